"""A bucket's own rules for old dumps: to Glacier, and gone in the end; installed and read back where a store has them.

A rule knows nothing of proofs. So the rules are for dumps that bear a mark, a tag of the object's, and `backup prune` sets
it where a newer dump is proven and takes it away where none is any more: what has no mark stays for ever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from neurmatic.backups.manifest import LOGICAL
from neurmatic.backups.stores.base import StoreError
from neurmatic.backups.stores.s3 import INCOMING, S3Store
from neurmatic.backups.stores.s3_bucket import answered, is_refusal
from neurmatic.stack.backup import S3

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import TagTypeDef

MARK: "TagTypeDef" = {"Key": "neurmatic", "Value": "superseded"}
GLACIER = "GLACIER"
UNFINISHED_DAYS = 2
"""After so many days an upload is not slow but dead."""
NONE_YET = "NoSuchLifecycleConfiguration"
NOT_FOR_US = ("NotImplemented", "MethodNotAllowed", "AccessDenied")
MINIMUM = "TransitionDefaultMinimumObjectSize"
"""A setting of the bucket's, kept as it is."""

Rule = Mapping[str, Any]
"""As S3 has it."""


class NoLifecycleError(StoreError):
    """The store has no such rules, or not all that they need."""


@dataclass(frozen=True)
class Rules:
    """What becomes of marked dumps by the store's own rules, in days after they were made.

    Attributes:
        glacier_days: when they move to Glacier; None: never.
        gone_days: when they are removed.
        unfinished_days: when uploads that nobody finished are.
    """

    glacier_days: int | None
    gone_days: int
    unfinished_days: int

    def __str__(self) -> str:
        moved = f"to Glacier after {self.glacier_days} days, " if self.glacier_days else ""
        return (
            f"superseded dumps {moved}gone after {self.gone_days} days; unfinished uploads after {self.unfinished_days}"
        )


def install(store: S3Store, s3: S3) -> Rules:
    """Install the rules, and read them back. Rules of others on the same bucket stay as they are.

    A store that has no Glacier gets the rules without it.

    Raises:
        NoLifecycleError: the store does not have them, or the key may not set them; nothing must be marked then.
        StoreError: the store can't be asked.
    """
    there = _read(store)
    _check_marks(store)
    refused = ""
    for wanted in (_rules(store, s3), _rules(store, s3, glacier=False)):
        if _found(store, there["Rules"]) == _found(store, wanted):
            break
        refused = _write(store, there, wanted)
        if not refused:
            break
    found = read(store)
    if found is None:
        raise NoLifecycleError(f"{store.bucket.endpoint} takes no lifecycle rules: {refused or 'it forgot them'}")
    return found


def read(store: S3Store) -> Rules | None:
    """Our rules as the store has them; None: it has none of them, or no rules at all."""
    try:
        return look(store)
    except NoLifecycleError:
        return None


def look(store: S3Store) -> Rules | None:
    """Our rules as the store has them; None: they are not installed.

    Raises:
        NoLifecycleError: they can't be, as far as is seen without trying.
    """
    return _found(store, _read(store)["Rules"])


def mark(store: S3Store, key: str) -> None:
    """Leave a dump to the rules."""
    with store.bucket.asked(f"marking {key}"):
        store.bucket.client.put_object_tagging(Bucket=store.bucket.name, Key=store.at(key), Tagging={"TagSet": [MARK]})


def unmark(store: S3Store, key: str) -> bool:
    """Take a dump from the rules; whether it was left to them."""
    if not is_marked(store, key):
        return False
    with store.bucket.asked(f"unmarking {key}"):
        store.bucket.client.delete_object_tagging(Bucket=store.bucket.name, Key=store.at(key))
    return True


def is_marked(store: S3Store, key: str) -> bool:
    with store.bucket.asked(f"asking for the mark of {key}"):
        answer = store.bucket.client.get_object_tagging(Bucket=store.bucket.name, Key=store.at(key))
    return MARK in answer["TagSet"]


def _rules(store: S3Store, s3: S3, *, glacier: bool = True) -> list[dict[str, Any]]:
    marked = {"And": {"Prefix": store.at(LOGICAL), "Tags": [MARK]}}
    dumps: dict[str, Any] = {"ID": _id(store, "dumps"), "Status": "Enabled", "Filter": marked}
    if glacier and s3.days < s3.glacier_days:
        dumps["Transitions"] = [{"Days": s3.days, "StorageClass": GLACIER}]
    dumps["Expiration"] = {"Days": s3.glacier_days}
    return [dumps] + [
        {
            "ID": _id(store, f"unfinished-{folder.rstrip('/')}"),
            "Status": "Enabled",
            "Filter": {"Prefix": store.at(folder)},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_DAYS},
        }
        for folder in (INCOMING, LOGICAL)
    ]


def _id(store: S3Store, name: str) -> str:
    return "-".join(part for part in ("neurmatic", store.prefix, name) if part)


def _found(store: S3Store, rules: Sequence[Rule]) -> Rules | None:
    """What our rules among these say; None where one is missing, switched off, or not for marked dumps alone."""
    own = {rule["ID"]: rule for rule in rules if rule.get("ID", "").startswith(_id(store, "")) and _is_on(rule)}
    dumps = own.get(_id(store, "dumps"), {})
    unfinished = [own.get(_id(store, f"unfinished-{folder.rstrip('/')}"), {}) for folder in (INCOMING, LOGICAL)]
    if dumps.get("Filter") != {"And": {"Prefix": store.at(LOGICAL), "Tags": [MARK]}} or not all(unfinished):
        return None
    moved = [one["Days"] for one in dumps.get("Transitions", []) if one["StorageClass"] == GLACIER]
    days = max(one["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for one in unfinished)
    return Rules(moved[0] if moved else None, dumps["Expiration"]["Days"], days)


def _is_on(rule: Rule) -> bool:
    return bool(rule.get("Status") == "Enabled")


def _read(store: S3Store) -> dict[str, Any]:
    """Every rule of the bucket.

    Raises:
        NoLifecycleError: the store does not know what is asked, or the key may not ask.
    """
    with store.bucket.asked("reading the lifecycle rules"):
        try:
            answer = store.bucket.client.get_bucket_lifecycle_configuration(Bucket=store.bucket.name)
        except ClientError as error:
            if answered(error) == NONE_YET:
                return {"Rules": []}
            if answered(error) in NOT_FOR_US:
                raise NoLifecycleError(f"{store.bucket.endpoint} shows no lifecycle rules: {answered(error)}") from None
            raise
    if "Rules" not in answer:  # what was asked is not known, and what came is the list of objects
        raise NoLifecycleError(f"{store.bucket.endpoint} has no lifecycle rules")
    return {name: value for name, value in answer.items() if name in ("Rules", MINIMUM)}


def _write(store: S3Store, there: Mapping[str, Any], wanted: list[dict[str, Any]]) -> str:
    """Put our rules beside those of others; what the store has against it."""
    own = {rule["ID"] for rule in wanted}
    rules = [*(rule for rule in there["Rules"] if rule.get("ID") not in own), *wanted]
    more = {name: value for name, value in there.items() if name == MINIMUM}
    with store.bucket.asked("writing the lifecycle rules"):
        try:
            store.bucket.client.put_bucket_lifecycle_configuration(
                Bucket=store.bucket.name, LifecycleConfiguration={"Rules": rules}, **more
            )
        except ClientError as error:
            if is_refusal(error):
                return answered(error)
            raise
    return ""


def _check_marks(store: S3Store) -> None:
    """See on an object of no worth that marks can be set.

    A store that does not know what a tag is takes its text for the object's new content, and a tag's removal for that
    of the object.

    Raises:
        NoLifecycleError: they can't.
    """
    key, text = f"{INCOMING}mark", "to see whether the store keeps marks"
    store.put_text(key, text)
    try:
        mark(store, key)
        marked = unmark(store, key) and not is_marked(store, key) and store.text(key) == text
    except StoreError as error:
        if not isinstance(error.__cause__, ClientError) or not is_refusal(error.__cause__):
            raise
        marked = False
    finally:
        store.remove(key)
    if not marked:
        raise NoLifecycleError(f"{store.bucket.endpoint} keeps no tags, which the rules need")
