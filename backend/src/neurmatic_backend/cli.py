"""The command `neurmatic-backend`: serves, works, migrates, imports."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from neurmatic_backend.core.settings import Settings, SettingsError, read_settings

EPILOG = "Settings come from the environment; `neurmatic-backend check` lists what is wrong with them. Exit codes: 0 done, 1 failed, 2 usage or configuration."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="neurmatic-backend", description=__doc__, epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("serve", help="answer the API at $PORT")
    commands.add_parser("worker", help="take jobs; with $PORT, answer for its own health there")
    commands.add_parser("migrate", help="bring the database's schema up to date; may run twice, and at once")
    importing = commands.add_parser(
        "import", help="import a folder of Markdown files, one file, or an RSS or Atom feed"
    )
    importing.add_argument("source", metavar="PATH|FEED")
    importing.add_argument("--json", action="store_true", help="print what became of each item as JSON")
    commands.add_parser("openapi", help="print the API's OpenAPI document")
    commands.add_parser("check", help="check the settings and list every problem")
    announcing = commands.add_parser(
        "announce", help="tell every open page of an article of this title: for rehearsals, never in production"
    )
    announcing.add_argument("title")
    failing = commands.add_parser(
        "fail-jobs", help="put jobs that can't succeed into a queue: for rehearsals, never in production"
    )
    failing.add_argument("count", type=int)
    args = parser.parse_args(argv)
    try:
        return _run(args)
    except SettingsError as error:
        print("the environment is not usable:", *error.problems, sep="\n  ", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace) -> int:
    if args.command == "openapi":
        return _openapi()
    settings = read_settings()
    if args.command == "check":
        print("the settings are usable")
        return 0
    from neurmatic_backend.core.logging import configure_logging

    configure_logging(production=settings.is_production)
    commands = {"serve": _serve, "worker": _worker, "migrate": _migrate, "import": _import, "announce": _announce, "fail-jobs": _fail_jobs}  # fmt: skip
    return commands[args.command](settings, args)


def _serve(settings: Settings, _args: argparse.Namespace) -> int:
    from neurmatic_backend.app import create_api
    from neurmatic_backend.core.lifecycle import Lifecycle
    from neurmatic_backend.server import make_server

    lifecycle = Lifecycle(settings.neurmatic_release, settings.neurmatic_instance)
    server = make_server(create_api(settings, lifecycle), settings, lifecycle, settings.neurmatic_drain_seconds)
    server.run()
    return 0 if server.started else 1


def _worker(settings: Settings, _args: argparse.Namespace) -> int:
    from neurmatic_backend.core.lifecycle import Lifecycle
    from neurmatic_backend.worker import run_worker

    asyncio.run(run_worker(settings, Lifecycle(settings.neurmatic_release, settings.neurmatic_instance)))
    return 0


def _migrate(settings: Settings, _args: argparse.Namespace) -> int:
    import asyncpg

    from neurmatic_backend.core.migrations import MigrationError, migrate

    async def run() -> list[str]:
        connection = await asyncpg.connect(settings.database_url, timeout=10)
        try:
            return await migrate(connection)
        finally:
            await connection.close()

    try:
        applied = asyncio.run(run())
    except (MigrationError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        print(f"migrate: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"applied: {', '.join(applied)}" if applied else "the schema is up to date")
    return 0


def _import(settings: Settings, args: argparse.Namespace) -> int:
    from neurmatic_backend.articles.importer import Summary, import_from
    from neurmatic_backend.core.database import GONE, Database

    async def run() -> Summary:
        database = Database(settings.database_url, 2, "import")
        await database.open()
        try:
            return await import_from(database, args.source)
        finally:
            await database.close()

    try:
        summary = asyncio.run(run())
    except GONE as error:
        print(f"import: the database does not answer: {error}", file=sys.stderr)
        return 1
    _show(summary, as_json=args.json)
    return 1 if summary.refused else 0


def _show(summary: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(summary), indent=2))
        return
    print(
        f"{len(summary.imported)} imported, {len(summary.updated)} updated, {len(summary.unchanged)} unchanged", end=""
    )
    print(f", {len(summary.refused)} refused:" if summary.refused else "")
    for name, reason in summary.refused.items():
        print(f"  {name}: {reason}")


def _announce(settings: Settings, args: argparse.Namespace) -> int:
    from neurmatic_backend.realtime.schemas import Change, new_version
    from neurmatic_backend.realtime.service import announce

    async def say(connection: Any) -> None:
        await announce(connection, Change(new_version(), title=args.title), ())

    _in_transaction(settings, say)
    return 0


def _fail_jobs(settings: Settings, args: argparse.Namespace) -> int:
    from neurmatic_backend.core.queues import ANALYTICS, enqueue

    async def fill(connection: Any) -> None:
        for _ in range(args.count):
            await enqueue(connection, ANALYTICS, None)

    _in_transaction(settings, fill)
    print(f"{args.count} jobs that can't succeed wait in {ANALYTICS}")
    return 0


def _in_transaction(settings: Settings, work: Callable[[Any], Awaitable[None]]) -> None:
    from neurmatic_backend.core.database import Database

    async def run() -> None:
        database = Database(settings.database_url, 1, "command")
        await database.open()
        async with database.transaction() as connection:
            await work(connection)
        await database.close()

    asyncio.run(run())


def _openapi() -> int:
    from litestar import Litestar

    from neurmatic_backend.app import create_api
    from neurmatic_backend.core.lifecycle import Lifecycle

    nowhere = Settings(database_url="postgresql://localhost/none", redis_url="redis://localhost")
    app: Any = create_api(nowhere, Lifecycle("none", "none"))
    litestar: Litestar = app.app
    print(json.dumps(litestar.openapi_schema.to_schema(), indent=2))
    return 0
