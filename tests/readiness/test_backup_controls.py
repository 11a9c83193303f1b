"""The checks of backups: green for a stack that keeps them, and red for each way in which it can be had not to.

The stack itself is broken where that shows it; where only the product's own code could be wrong, it is made wrong. The
bucket is rclone's, which takes every storage class; lifecycle rules are moto's, which alone has them.
"""

import hashlib
import os
import secrets
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from examined import red, wrong
from s3servers import BUCKET, Moto

from neurmatic.backups import alarm, logical, proof, prune, watch
from neurmatic.backups import run as running
from neurmatic.backups.catalog import Kept
from neurmatic.backups.contents import differences
from neurmatic.backups.retention import decide
from neurmatic.backups.stores import lifecycle
from neurmatic.backups.stores.folder import FolderStore
from neurmatic.errors import NeurmaticError
from neurmatic.hosts.pipeline import Pipeline, Program
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import find_check
from neurmatic.stack.backup import KEY

SLUGS = [claim.slug for claim in claims() if claim.slug.startswith("backup.")]
DAILY, WATCH = "timer-backup", "timer-backup-watch"


@pytest.fixture(scope="module")
def moto():
    one = Moto()
    yield one
    one.remove()


# ---- wrong implementations


@contextmanager
def dump_without(program):
    """A dump in whose pipeline this program passes everything on as it is."""
    right = logical._dump_programs

    def programs(*args):
        return [Program(["cat"], user=one.user) if one.name == program else one for one in right(*args)]

    with wrong(logical, "_dump_programs", programs):
        yield


@contextmanager
def store_that(*, hides, clears):
    """A store that writes a file in place: under a hidden name or under its own, and clears it away or doesn't."""

    def put(self, key, source, _about=None):
        path = self._prepared(key)
        at = path.with_name(f".{secrets.token_hex(4)}") if hides else path
        try:
            with at.open("wb") as file:
                while chunk := source.read(1 << 16):
                    file.write(chunk)
                    file.flush()
        except BaseException:
            if clears:
                at.unlink()
            raise
        at.chmod(0o600)
        if self.owner:
            shutil.chown(at, self.owner)
        at.rename(path)
        return self._entry(path)

    with wrong(FolderStore, "put", put):
        yield


@contextmanager
def exit_codes_ignored(_kept):
    with wrong(Pipeline, "_settle", lambda self: [one.wait() for one in self._running]):
        yield


@contextmanager
def written_before_asked(_kept):
    right = logical._made

    def made(setting, database, store):
        store.put_text(f"logical/{secrets.token_hex(4)}.txt", "here it goes")
        return right(setting, database, store)

    with wrong(logical, "_made", made):
        yield


@contextmanager
def decided(change):
    """A retention that decides something else."""

    def other(*args):
        return [change(one) for one in decide(*args)]

    with wrong(prune, "decide", other):
        yield


def gone_where(*words):
    """Dumps go of which these words are said."""

    def change(one):
        goes = one.kept.manifest.kind == "logical" and any(word in one.why for word in words)
        return replace(one, action="remove") if goes else one

    return change


@contextmanager
def only_its_checksum(_kept):
    """A verify that reads the backup and restores nothing."""

    def prove(setting, kept, begun):
        with setting.store(kept.store).open(kept.manifest.dump_key) as file:
            there = hashlib.sha256(file.read()).hexdigest()
        return proof._proof(kept, begun, found=() if there == kept.manifest.sha256 else ("other bytes",))

    with wrong(proof, "prove_dump", prove):
        yield


@contextmanager
def compared_without(words):
    """A verify that is blind to what these words tell."""

    def some(wanted, found):
        return (line for line in differences(wanted, found) if words not in line)

    with wrong(proof, "differences", some):
        yield


@contextmanager
def run_that(*, swallows=False, destroys=False):
    right = running._one

    def one(setting, kind, stores, *, full):
        try:
            return right(setting, kind, stores, full=full)
        except NeurmaticError:
            if destroys:
                for entry in setting.local.entries("logical/"):
                    setting.local.remove(entry.key)
            if swallows:
                return []
            raise

    with wrong(running, "_one", one):
        yield


@contextmanager
def unlocked(_kept):
    @contextmanager
    def alone(*_args):
        yield

    with wrong(running, "alone", alone):
        yield


@contextmanager
def raised_at_each_look(_kept):
    with (
        wrong(watch, "raise_alert", lambda to, subject, why: to.events.write("alert", "raised", subject=subject)),
        wrong(watch, "raised", lambda _setting: {}),
    ):
        yield


# ---- the stack broken


@contextmanager
def dump_in_the_bucket(kept, **other):
    """The newest dump's object, other than it was put there."""
    key = kept.newest("logical", "s3").dump_key
    with kept.objects([key], put=lambda one: one | {name: make(one) for name, make in other.items()}):
        yield


def timed_alone(one):
    """Metadata as a dump has that was streamed there."""
    return {"time": one["Metadata"]["time"]}


@contextmanager
def sums_nowhere(kept):
    """Neither with a dump that was streamed there nor with its manifest."""
    with (
        dump_in_the_bucket(kept, Metadata=timed_alone),
        kept.objects([kept.newest("logical", "s3").key], put=lambda one: one | {"Metadata": {}}),
    ):
        yield


@contextmanager
def no_dump_in_the_bucket(kept):
    keys = [key for key in kept.server.keys("logical/") if key.endswith(".json")]
    with kept.objects(keys):
        yield


@contextmanager
def said_in_the_file(kept, old, new):
    """Another stack file, which the check gets."""
    assert old in kept.text
    yield kept.text.replace(old, new)


@contextmanager
def key_in_the_store(kept):
    text = f"so that it is at hand: {kept.setting.secrets[KEY].reveal()}\n"
    with kept.another(kept.local / "logical" / "note.txt", text.encode()):
        yield


def newest_dump(kept):
    return kept.local / kept.newest("logical", "local").dump_key


def base_manifest(kept):
    return kept.local / "physical/backup/main" / kept.newest("physical", "local").id / "backup.manifest"


# slug, what is broken, how, words that the evidence must contain
CONTROLS = [
    ("backup.schedule", "timer stopped", lambda k: k.stopped(DAILY), "timer-backup, daily at 02:00 UTC, is stopped"),
    ("backup.schedule", "watch stopped", lambda k: k.stopped(WATCH), "timer-backup-watch, hourly at :30, is stopped"),
    ("backup.schedule", "runs at three", lambda k: k.told(DAILY, "-H 2 ", "-H 3 "), "scheduler's own next run is"),
    ("backup.schedule", "another time is asked", lambda k: said_in_the_file(k, "[backup]\n", '[backup]\nat = "03:00"\n'), "at is 03:00"),
    ("backup.schedule", "runs another command", lambda k: k.told(DAILY, "backup run", "backup list", restart=False), "not backup run"),
    ("backup.schedule", "the tool is gone", lambda k: k.told(DAILY, "-m neurmatic", "-m gone", restart=False), "exit 1 "),
    ("backup.schedule", "the watch finds no stack", lambda k: k.aside(k.stack.file), "in an empty environment: exit"),
    ("backup.dump", "not sealed", lambda _: dump_without("age"), "age ended with 1"),
    ("backup.dump", "not compressed", lambda _: dump_without("zstd"), "zstd ended with 1"),
    ("backup.dump", "partial file shown", lambda _: store_that(hides=False, clears=True), "seen in the store meanwhile: logical/"),
    ("backup.dump", "partial file left", lambda _: store_that(hides=True, clears=False), "no part of it is left"),
    ("backup.dump", "pg_dump's exit code ignored", exit_codes_ignored, "ended in mid-dump: nothing failed"),
    ("backup.dump", "written before the connection", written_before_asked, "nothing was written before"),
    ("backup.s3", "other bytes", lambda k: dump_in_the_bucket(k, Body=lambda one: one["Body"][:-1] + b"x"), "read back: sha256"),
    ("backup.s3", "cut off", lambda k: dump_in_the_bucket(k, Body=lambda one: one["Body"][:-1]), "read back: sha256"),
    ("backup.s3", "no metadata", lambda k: dump_in_the_bucket(k, Metadata=lambda _: {}), "metadata: time is None"),
    ("backup.s3", "no checksum, with the manifest neither", sums_nowhere, "size is None, sha256 is None"),
    ("backup.s3", "other class", lambda k: dump_in_the_bucket(k, StorageClass=lambda _: "STANDARD"), "storage class STANDARD, wanted"),
    ("backup.s3", "no dump there", no_dump_in_the_bucket, "there is none"),
    ("backup.retention", "the last proven goes", lambda _: decided(gone_where("the last one", "the newest")), "was deleted"),
    ("backup.retention", "the unproven go", lambda _: decided(gone_where("no backup of its kind")), "while nothing is proven"),
    ("backup.retention", "nothing goes", lambda _: decided(lambda one: replace(one, action="keep")), "31, 45, 100, 400 were kept"),
    ("backup.retention", "31 days", lambda k: said_in_the_file(k, "[backup]\n", "[backup]\ndays = 31\n"), "kept for 31 days"),
    ("backup.retention", "60 in the bucket", lambda k: said_in_the_file(k, "[backup.s3]\n", "[backup.s3]\ndays = 60\n"), "at hand for 60"),
    ("backup.verified", "its checksum alone", only_its_checksum, "one table short: nothing failed"),
    ("backup.verified", "no sums of rows", lambda _: compared_without("has other rows"), "a row of another value: nothing failed"),
    ("backup.verified", "no numbers of rows", lambda _: compared_without("rows, not"), "a row short: nothing failed"),
    ("backup.verified", "no tables", lambda _: compared_without("is missing"), "one table short: nothing failed"),
    ("backup.verified", "no constraints", lambda _: compared_without("missing: constraint"), "a constraint short: nothing failed"),
    ("backup.verified", "good when made", lambda _: wrong(Kept, "proven", property(lambda _: True)), "when it is made"),
    ("backup.failures", "errors swallowed", lambda _: run_that(swallows=True), "wrong password: nothing failed"),
    ("backup.failures", "earlier ones destroyed", lambda _: run_that(destroys=True), "byte for byte"),
    ("backup.failures", "no alert", lambda _: wrong(alarm, "raise_alert", lambda *_: None), "was not raised"),
    ("backup.failures", "partial file left", lambda _: store_that(hides=True, clears=False), "nothing partial lies beside"),
    ("backup.failures", "no lock", unlocked, "two at once: nothing failed"),
    ("backup.encrypted", "a dump for all eyes", lambda k: k.mode(newest_dump(k), 0o644), "backups: 644 "),
    ("backup.encrypted", "its folder for all", lambda k: k.mode(k.local / "logical", 0o755), "backups: 755 "),
    ("backup.encrypted", "the key for all eyes", lambda k: k.mode(k.layout.backup_key, 0o644), "has mode 644"),
    ("backup.encrypted", "the secrets for all eyes", lambda k: k.mode(k.layout.secrets, 0o640), "secrets.env has mode 640"),
    ("backup.encrypted", "the key in the store", key_in_the_store, "the key lies in the store: "),
    ("backup.encrypted", "dumps not sealed", lambda _: dump_without("age"), "age ended with 1"),
    ("backup.encrypted", "one there is not", lambda k: k.another(newest_dump(k), b"\x28\xb5\x2f\xfd" * 99), "not so: logical/"),
    ("backup.encrypted", "base backups in the clear", lambda k: k.another(base_manifest(k), b"[backup]\nlabel=1\n"), "no readable text"),
    ("backup.missing-alert", "never raised", lambda _: wrong(watch, "raise_alert", lambda *_: None), "no backup.missing.logical"),
    ("backup.missing-alert", "raised at each look", raised_at_each_look, "raised 2 times"),
    ("backup.missing-alert", "never cleared", lambda _: wrong(watch, "clear_alert", lambda *_: None), "still there: backup"),
]  # fmt: skip


@pytest.mark.parametrize("slug", SLUGS)
def test_green_for_a_stack_that_keeps_backups(kept, slug):
    finding = kept.examine(slug)
    if slug == "backup.retention":
        assert finding.status is Status.UNVERIFIABLE, finding
        assert finding.evidence.endswith("has no lifecycle rules: `backup prune` deletes after 90 days instead")
        assert "two years later the last proven one is still there" in finding.evidence
    elif slug == "backup.failures" and os.geteuid() != 0:
        assert finding.status is Status.UNVERIFIABLE, finding
        assert "only root may mount" in finding.evidence
    else:
        assert finding.status is Status.PASS, finding.evidence


@pytest.mark.parametrize(
    ("slug", "way", "words"),
    [(slug, way, words) for slug, _, way, words in CONTROLS],
    ids=[f"{slug}-{what}" for slug, what, _, _ in CONTROLS],
)
def test_red_where_it_is_broken(kept, slug, way, words):
    with way(kept) as text:
        red(kept.examine(slug, text or ""), words)


def test_a_dump_of_another_class_is_as_asked_and_not_as_claimed(kept):
    text = kept.text.replace("[backup.s3]\n", '[backup.s3]\nstorage_class = "STANDARD"\n')
    with dump_in_the_bucket(kept, StorageClass=lambda _: "STANDARD"):
        finding = kept.examine("backup.s3", text)
    assert finding.status is Status.UNVERIFIABLE, finding
    assert "asks its store for STANDARD" in finding.evidence


def test_lifecycle_rules_are_read_back_from_a_store_that_has_them(kept, moto):
    store, section = moto.store(), moto.section()
    red(kept.examine("backup.retention", s3=section), "the rules for dumps are not there")
    lifecycle.install(store, section)
    finding = kept.examine("backup.retention", s3=section)
    assert finding.status is Status.PASS, finding.evidence
    assert "to Glacier after 90 days, gone after 365" in finding.evidence
    for days in ({"days": 60}, {"glacier_days": 100}):
        lifecycle.install(store, section.replace(**days))
        red(kept.examine("backup.retention", s3=section), "lifecycle read back: superseded dumps to Glacier")
    lifecycle.install(store, section)
    rules = moto.client().get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    off = [rule | {"Status": "Disabled"} for rule in rules]
    moto.client().put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": off})
    red(kept.examine("backup.retention", s3=section), "not there, or switched off")


@pytest.mark.parametrize("slug", ["backup.schedule", "backup.s3", "backup.retention", "backup.encrypted"])
def test_unverifiable_without_backups(kept, slug):
    finding = kept.examine(slug, kept.text.partition("[backup]")[0])
    assert finding.status is Status.UNVERIFIABLE, finding
    assert "no [backup]" in finding.evidence


def test_of_a_streamed_dump_the_manifest_carries_what_is_known_at_its_end(kept):
    with dump_in_the_bucket(kept, Metadata=timed_alone):
        finding = kept.examine("backup.s3")
    assert finding.status is Status.PASS, finding
    assert "metadata: time, size, sha256" in finding.evidence


def test_unverifiable_without_a_bucket(kept):
    finding = kept.examine("backup.s3", kept.text.partition("[backup.s3]")[0])
    assert finding.status is Status.UNVERIFIABLE, finding
    assert "no [backup.s3]" in finding.evidence


def test_every_check_has_a_control():
    assert {slug for slug, *_ in CONTROLS} == set(SLUGS)
    assert all(find_check(claim) for claim in claims() if claim.slug in SLUGS)
