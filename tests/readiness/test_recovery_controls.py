"""The checks of recovery: green for a stack that comes back, and red for each way in which it wouldn't."""

import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta

import pytest
from examined import red, wrong

from neurmatic.backups import archive, catalog, drill, logical, physical, recovery, restore_dump, swap
from neurmatic.backups.contents import differences, read_contents
from neurmatic.errors import NeurmaticError
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import find_check

SLUGS = [claim.slug for claim in claims() if claim.slug.startswith("recovery.")]
MONTHLY, QUARTERLY = "timer-drill", "timer-disaster"


# ---- wrong implementations


@contextmanager
def recovered_elsewhere(change):
    """A recovery that ends at another moment than it was asked for."""
    right = recovery.recovered

    def recovered(setting, data, *, at, **other):
        return right(setting, data, at=change(at), **other)

    with wrong(recovery, "recovered", recovered):
        yield


@contextmanager
def newest_alone(_kept):
    """A list in which of all base backups only the newest can be found."""
    right = catalog.listed

    def listed(stores):
        found = right(stores)
        bases = [one for one in found if one.manifest.kind == "physical"]
        return [one for one in found if one not in bases[:-1]]

    with wrong(catalog, "listed", listed):
        yield


@contextmanager
def dropped_first(_kept):
    right = restore_dump.in_place

    def in_place(setting, *args, **how):
        swap.drop(logical.live(setting, "postgres"), setting.postgres.database)
        return right(setting, *args, **how)

    with wrong(restore_dump, "in_place", in_place):
        yield


@contextmanager
def without_statistics(_kept):
    def beside(setting, kept, server, name, _done):
        logical.create_database(setting, server, name)
        logical.load(setting, setting.store(kept.store), kept.manifest, server.to(name))
        with server.to(name).connected() as connection:
            found = read_contents(connection)
        if list(differences(kept.manifest.contents, found)):
            raise NeurmaticError("it did not restore to what was backed up")
        return found

    with wrong(restore_dump, "_restore_beside", beside):
        yield


@contextmanager
def without_what_was_before(_kept):
    right = swap.swap

    def exchanged(server, database, restored):
        name = right(server, database, restored)
        swap.drop(server, name)
        return name

    with wrong(swap, "swap", exchanged):
        yield


@contextmanager
def production_killed(kept):
    """A drill that kills the instances that serve instead of its copy's."""

    def api(setting, _up, record):
        setting.runtime.signal("app-1", "KILL")
        record.rto_s, record.seen = 1.0, ["app-1 killed"]

    try:
        with wrong(drill, "_api", api):
            yield
    finally:
        kept.stack.run("up")


# ---- the stack broken


def no_drill(kept):
    return kept.events(lambda one: one if one["action"] != "drill" else None)


def aged(kept, days, scenario):
    """Drills of one scenario, made so many days ago."""

    def change(one):
        if one.get("scenario") != scenario:
            return one
        return one | {"at": (datetime.fromisoformat(one["at"]) - timedelta(days=days)).isoformat()}

    return kept.events(change)


def took(kept, seconds):
    return kept.events(lambda one: one | {"rto_s": seconds} if one["action"] == "drill" else one)


@contextmanager
def archiving_by(kept, command):
    """The server archives by another command, and a segment is due."""
    kept.sql(f"ALTER SYSTEM SET archive_command = '{command}'")
    kept.sql("SELECT pg_reload_conf()")
    until = time.monotonic() + 60
    kept.sql("UPDATE notes SET text = text || '.'")
    segment = kept.sql("SELECT pg_walfile_name(pg_switch_wal())")[0][0]
    while not kept.sql(
        "SELECT 1 FROM pg_stat_archiver WHERE last_archived_wal = %s OR last_failed_wal = %s", *[segment] * 2
    ):
        assert time.monotonic() < until
        time.sleep(0.1)
    try:
        yield
    finally:
        kept.sql("ALTER SYSTEM RESET archive_command")
        kept.sql("SELECT pg_reload_conf()")
        physical.flush(kept.setting, "s3")


@contextmanager
def given_away(kept):
    """WAL that the archive command said it had kept. Only new base backups can do without it."""
    try:
        with archiving_by(kept, "true"):
            yield
    finally:
        kept.stack.run("backup", "run", "--kind", "physical")


def segments(kept):
    """Of the local archive, from the newest base backup's first one on, with one before and one behind the middle."""
    for _ in range(3):
        kept.sql("UPDATE notes SET text = text || '.'")
        physical.flush(kept.setting, "s3")
    first = kept.newest("physical", "local").wal_start
    found = (kept.local / "physical" / "archive" / "main").glob("*/*/*.zst")
    return sorted(path for path in found if path.name[:24] > first)


@contextmanager
def segment_gone_from_the_bucket(kept):
    name = segments(kept)[-2].name[:24]
    with kept.objects([key for key in kept.server.keys("physical/archive/") if f"/{name}-" in key]):
        yield


@contextmanager
def dump_of_the_bucket_damaged(kept):
    manifest = kept.newest("logical", "s3")
    with kept.objects([manifest.dump_key], put=lambda one: one | {"Body": one["Body"][:-9] + b"elsewhere"}):
        try:
            yield
        finally:
            kept.setting.store("s3").remove(manifest.proof_key)


@contextmanager
def file_of_the_base_backup_gone(kept):
    newest = max((kept.newest("physical", store) for store in ("local", "s3")), key=lambda one: (one.ended, one.id))
    if newest.id == kept.newest("physical", "s3").id:
        keys = kept.server.keys(f"physical/backup/main/{newest.id}/")
        with kept.objects([key for key in keys if "/bundle/" in key or "/pg_data/" in key]):
            yield
    else:
        with kept.aside(kept.local / "physical/backup/main" / newest.id):
            yield


def coming_late():
    """A month from which on more than a quarter is left."""
    return (datetime.now(UTC).month + 4) % 12 + 1


# slug, what is broken, how, words that the evidence must contain
CONTROLS = [
    ("recovery.pitr", "to the end", lambda _: recovered_elsewhere(lambda _at: None), "rows [0, 1, 2, 3, 4, 5]"),
    ("recovery.pitr", "a second late", lambda _: recovered_elsewhere(lambda at: at + timedelta(seconds=1.2)), "rows [0, 1, 2]"),
    ("recovery.pitr", "from the newest alone", newest_alone, "no base backup was complete at"),
    ("recovery.rpo", "archiving fails", lambda k: archiving_by(k, "false"), "archiving has failed since"),
    ("recovery.rpo", "archiving says yes and keeps nothing", given_away, "the archive lacks"),
    ("recovery.rpo", "a segment gone", lambda k: k.aside(segments(k)[-2]), "in local: the archive lacks"),
    ("recovery.rpo", "a segment gone from the bucket", segment_gone_from_the_bucket, "in s3: the archive lacks"),
    ("recovery.rpo", "no base backup", lambda k: k.aside(k.local / "base-backups"), "base backups in local: 0"),
    ("recovery.rpo", "a day behind", lambda _: wrong(archive, "lag", lambda _setting: archive.Lag(90_000.0)), "RPO now 90000"),
    ("recovery.rto", "no drill", no_drill, "no drill was ever made"),
    ("recovery.rto", "an old drill", lambda k: aged(k, 40, "database"), "40.0 days ago"),
    ("recovery.rto", "a slow one", lambda k: took(k, 20_000), "promised are 14400 s"),
    ("recovery.restore", "live one dropped first", dropped_first, 'database "app" does not exist'),
    ("recovery.restore", "swapped before compared", lambda _: wrong(restore_dump, "differences", lambda *_: ()), "something else than was dumped: nothing failed"),
    ("recovery.restore", "rubbish left", lambda _: wrong(restore_dump, "dropped_on_failure", lambda *_: nullcontext()), "nothing is left beside"),
    ("recovery.restore", "no statistics", without_statistics, "statistics are of what is there: -1"),
    ("recovery.restore", "loss not said", lambda _: wrong(restore_dump, "rows_changed", lambda *_: ()), "said before it: "),
    ("recovery.restore", "nothing put aside", without_what_was_before, "the state before is kept: "),
    ("recovery.restore", "the bucket's is damaged", dump_of_the_bucket_damaged, "in s3 is NOT good"),
    ("recovery.drill", "never", no_drill, "drill database: never made"),
    ("recovery.drill", "long ago", lambda k: aged(k, 36, "database"), "36.0 days ago"),
    ("recovery.drill", "the disaster long ago", lambda k: aged(k, 101, "server"), "101.0 days ago"),
    ("recovery.drill", "timer stopped", lambda k: k.stopped(MONTHLY), "monthly: day 1 of each month at 04:00 UTC, stopped"),
    ("recovery.drill", "disaster timer stopped", lambda k: k.stopped(QUARTERLY), "at 04:00 UTC, stopped"),
    ("recovery.drill", "disaster once a year", lambda k: k.told(QUARTERLY, "-m 1,4,7,10", f"-m {coming_late()}"), "due within 92 days"),
    ("recovery.scenarios", "a file gone", file_of_the_base_backup_gone, "unable to open missing file"),
    ("recovery.scenarios", "nothing acted out", lambda _: wrong(drill, "_database", lambda *_: None), "database: acted out and recorded, 0"),
    ("recovery.scenarios", "production hit", production_killed, "production meanwhile: app-1"),
]  # fmt: skip


@pytest.mark.parametrize("slug", SLUGS)
def test_green_for_a_stack_that_comes_back(kept, slug):
    finding = kept.examine(slug)
    assert finding.status is Status.PASS, finding.evidence


@pytest.mark.parametrize(
    ("slug", "way", "words"),
    [(slug, way, words) for slug, _, way, words in CONTROLS],
    ids=[f"{slug}-{what}" for slug, what, _, _ in CONTROLS],
)
def test_red_where_it_is_broken(kept, slug, way, words):
    with way(kept):
        red(kept.examine(slug), words)


def test_a_restore_from_a_bucket_is_unverifiable_without_one(kept):
    finding = kept.examine("recovery.restore", kept.text.partition("[backup.s3]")[0])
    assert finding.status is Status.UNVERIFIABLE, finding
    assert "in place: " in finding.evidence and "no [backup.s3]" in finding.evidence


def test_every_check_has_a_control():
    assert {slug for slug, *_ in CONTROLS} == set(SLUGS)
    assert all(find_check(claim) for claim in claims() if claim.slug in SLUGS)
