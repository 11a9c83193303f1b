"""[tls]: where the edge's certificate comes from, and when it is renewed."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from neurmatic.stack.section import HostName, Section

Source = Literal["local", "acme", "files"]
Days = Annotated[float, Field(gt=0, le=3650)]
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class Tls(Section):
    """The edge's certificate. With this table in the file, staging and production take it from an ACME CA."""

    certificates: Source = Field(
        default="local",
        description="local: made by the stack's own CA; acme: issued and renewed by an ACME CA over HTTP-01, which must "
        "reach port 80 of the host (choosing it accepts the CA's terms of service); files: yours, taken at each `up` "
        "and `certificates renew`.",
    )
    names: Annotated[tuple[HostName, ...], Field(strict=False)] = Field(
        default=(), description="Further names in the certificate, such as www.example.org; they lead to the one host."
    )
    acme_directory: str = Field(
        default=LETS_ENCRYPT, pattern=r"^https://[^\s\"'\\]+$", description="The ACME CA's directory."
    )
    acme_email: str = Field(
        default="",
        pattern=r"^([^@\s/\"'\\]+@[^@\s/\"'\\]+)?$",
        description="Where the ACME CA may write to; names its account.",
    )
    ca: str = Field(
        default="",
        description="PEM file of a private CA's roots: trusted for the ACME server and for what it issues; empty: the "
        "system's.",
    )
    certificate: str = Field(default="", description="For files: PEM of the certificate and its chain, an EC key's.")
    key: str = Field(default="", description="For files: PEM of its key.")
    renew_before_days: Days = Field(
        default=30, description="Days before its end, or a third of its lifetime if that is less, to renew it from."
    )
    warn_days: Days = Field(
        default=14,
        description="Days before its end, or a sixth of its lifetime if that is less, it counts as red from.",
    )

    def problems(self, host: str) -> Iterator[str]:
        """What can't work with this public host; each problem names its field."""
        if self.certificates == "acme":
            for field, name in (("certificates", host), *(("names", name) for name in self.names)):
                if not is_public(name):
                    yield (
                        f'tls.{field}: no ACME CA issues for {name!r}: set [stack] host, or tls.certificates = "local" '
                        "(staging and production say acme where [tls] says nothing)"
                    )
            if not self.acme_email:
                yield "tls.acme_email: is required with acme"
        if self.certificates == "files" and not (self.certificate and self.key):
            yield "tls.certificates: files needs tls.certificate and tls.key"


def is_public(name: str) -> bool:
    """Whether it is a name that can be looked up, rather than this machine or an address."""
    return not is_address(name) and "." in name and not name.endswith(".localhost")


def is_address(name: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
