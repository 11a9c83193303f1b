"""How a bucket is reached, and what its errors mean to an operator."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, SSLError
from urllib3.exceptions import HTTPError

from neurmatic.backups.stores.base import StoreError
from neurmatic.stack.backup import S3, S3_KEY_ID, S3_SECRET
from neurmatic.stack.secret import Secret

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client  # types alone: the package is there in development only

CONNECT_SECONDS, READ_SECONDS, TRIES = 10, 60, 4
"""Silence that is borne, and how often a request is sent before its failure is an error."""

_KEY = (
    f"see that {S3_KEY_ID} and {S3_SECRET} in secrets.env are this store's, and what their owner may do in the bucket"
)
_PLACE = "correct [backup.s3] endpoint, region or path_style"
_HINTS = {
    "NoSuchBucket": "create the bucket, or correct [backup.s3] bucket and endpoint",
    "InvalidStorageClass": 'set [backup.s3] storage_class to one that this store has; every store has "STANDARD"',
    "InvalidObjectState": "it lies in Glacier: have the store restore it first, which takes hours",
    "RequestTimeTooSkewed": "set this machine's clock: the store refuses requests of another time",
    "AuthorizationHeaderMalformed": _PLACE,
    "IllegalLocationConstraintException": _PLACE,
    "PermanentRedirect": _PLACE,
    "301": _PLACE,
    "NoSuchKey": "`neurmatic backup list` shows what there is",
    "404": "`neurmatic backup list` shows what there is",
}
_BY_STATUS = {403: _KEY, 404: _HINTS["NoSuchBucket"]}
_TROUBLE = "the store itself has trouble: run it again later; what was there before is untouched"
_UNREACHABLE = "see that [backup.s3] endpoint is right and reachable from here, then run it again"
_TLS = "name the PEM file of the authorities that its certificate comes from as [backup.s3] ca"
SERVERS_FAULT, NOT_IMPLEMENTED = 500, 501

FAULTS = (BotoCoreError, ClientError, HTTPError, OSError)
"""What boto3's client raises, and what comes through it from the network."""


@dataclass(frozen=True)
class Bucket:
    """A bucket's client, and what to call the bucket in messages."""

    client: "S3Client"
    name: str
    endpoint: str

    @classmethod
    def of(cls, s3: S3, secrets: Mapping[str, Secret], project: Path) -> "Bucket":
        """Nothing is asked yet.

        Every request's body is signed by its SHA-256, so that a store which checks signatures refuses damaged bytes.
        The newer checksums in trailers are left out: many compatible stores don't know them.
        """
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            s3={"addressing_style": "path" if s3.path_style else "auto", "payload_signing_enabled": True},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # Always named, so that no variable of the caller's says otherwise; pgBackRest is told the same.
        endpoint = s3.endpoint or f"https://s3.{s3.region}.amazonaws.com"
        client = boto3.Session(
            aws_access_key_id=secrets[S3_KEY_ID].reveal(),
            aws_secret_access_key=secrets[S3_SECRET].reveal(),
            region_name=s3.region,
        ).client("s3", endpoint_url=endpoint, verify=_authorities(s3, project), config=config)
        return cls(client, s3.bucket, endpoint)

    @contextmanager
    def asked(self, what: str) -> Iterator[None]:
        """Whatever goes wrong with the store in this block is a StoreError that says what failed, where, and what to do."""
        try:
            yield
        except FAULTS as error:
            raise self.explained(what, error) from error

    def explained(self, what: str, error: Exception) -> StoreError:
        """The error in an operator's words."""
        where = f"bucket {self.name} at {self.endpoint}"
        if isinstance(error, ClientError):
            about = error.response.get("Error", {})
            code, status = about.get("Code", ""), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            hint = _TROUBLE if status >= SERVERS_FAULT else _HINTS.get(code) or _BY_STATUS.get(status, "")
            said = f"{status} {code} {about.get('Message', '')}".strip()
            return StoreError(f"{what} failed in {where}: the store answered {said}", hint)
        return StoreError(f"{what} failed in {where}: {error}", _TLS if isinstance(error, SSLError) else _UNREACHABLE)


def answered(error: ClientError) -> str:
    """The code that the store answered with."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_refusal(error: ClientError) -> bool:
    """Whether the store won't, rather than can't now."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status < SERVERS_FAULT or status == NOT_IMPLEMENTED


def _authorities(s3: S3, project: Path) -> str | bool:
    """The file of authorities; boto3 would take its own list where the system's was promised."""
    if s3.ca:
        return str((project / s3.ca).resolve())
    system = (ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/cert.pem")
    return next((path for path in system if path and Path(path).is_file()), True)
