"""Data outlives what runs on it: after `down` and `up`, the same rows and the same keys."""

from collections.abc import Callable

from neurmatic.backups.database import value
from neurmatic.backups.setting import setting_of
from neurmatic.errors import NeurmaticError
from neurmatic.readiness.backups import database
from neurmatic.readiness.finding import Evidence, Refuted, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject
from neurmatic.releases.down import down
from neurmatic.releases.project import Quiet
from neurmatic.runtimes.containers.engine import Engine

QUICK = False
ROWS = 1000
TABLE = "neurmatic_persistence"
_SUM = f"SELECT count(*) || ' rows, ' || md5(string_agg(word, '' ORDER BY word)) FROM {TABLE}"  # noqa: S608  a name of ours


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    if copy.stack.postgres is None and copy.stack.redis is None:
        raise Unverifiable(
            "the stack has neither [postgres] nor [redis]", "what the application keeps itself isn't known"
        )
    asked: dict[str, Callable[[Rehearsal], str]] = {}
    if copy.stack.postgres:
        _write_rows(copy)
        asked["PostgreSQL"] = _rows
    if copy.stack.redis and copy.stack.redis.appendonly:
        copy.redis("SET", TABLE, "kept")
        asked["Redis"] = lambda one: one.redis("GET", TABLE)
    before = {name: ask(copy) for name, ask in asked.items()}
    down(copy.host, copy.layout, Quiet())
    _is_gone(copy, evidence)
    copy.up.up()
    for name, ask in asked.items():
        now = ask(copy)
        evidence.expect(now == before[name], f"{name}: {before[name]} before, {now or 'nothing'} after")


def _is_gone(copy: Rehearsal, evidence: Evidence) -> None:
    runtime = copy.runtime
    left = (
        list(runtime.containers())
        if isinstance(runtime, Engine)
        else [name for name, one in runtime.inspect(runtime.present()).items() if one.pid]
    )
    evidence.expect(not left, f"between the two nothing of it is left{': ' + ', '.join(left) if left else ''}")


def _write_rows(copy: Rehearsal) -> None:
    with database(setting_of(copy.up)).connected() as connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (word text)".encode())
        connection.execute(f"INSERT INTO {TABLE} SELECT md5(n::text) FROM generate_series(1, {ROWS}) n".encode())  # noqa: S608  as above


def _rows(copy: Rehearsal) -> str:
    try:
        with database(setting_of(copy.up)).connected() as connection:
            return str(value(connection, _SUM))
    except NeurmaticError as error:
        raise Refuted(f"the rows can't be read: {error}") from None
