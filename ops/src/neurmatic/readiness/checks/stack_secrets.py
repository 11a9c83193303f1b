"""No secret in the repository, an image, a process's arguments, a log, or a file that others may read."""

from collections.abc import Iterable
from pathlib import Path

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.secrets import in_arguments, in_engine, in_files, sought
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.values import read_secrets
from neurmatic.runtimes.containers.engine import Engine

QUICK = False
OWN_SECRETS = 0o600


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    secrets = {name: one.reveal() for name, one in read_secrets(live.host, live.layout).items()}
    wanted = sought(secrets)
    evidence.expect(bool(wanted), f"{len(wanted)} secrets are looked for")
    mode = live.host.run(["stat", "-c", "%a", str(live.layout.secrets)], env={}).out.strip()
    evidence.expect(int(mode, 8) == OWN_SECRETS, f"{live.layout.secrets.name} has mode {mode}")
    _clean(evidence, "the repository", len(files := _tracked(live)), in_files(live.host, files, wanted))
    files = _found(live, live.layout.state, "-perm", "/077")
    _clean(evidence, "files in the state folder that others may read", len(files), in_files(live.host, files, wanted))
    files = _found(live, live.layout.logs)
    _clean(evidence, "logs", len(files), in_files(live.host, files, wanted))
    _clean(evidence, "arguments of every process", 0, in_arguments(live.host, wanted))
    if isinstance(engine := live.runtime, Engine):
        _clean(evidence, "containers, their logs and images", len(engine.containers()), in_engine(engine, wanted))


def _clean(evidence: Evidence, where: str, count: int, found: Iterable[str]) -> None:
    problems = list(found)
    counted = f"{where} ({count})" if count else where
    evidence.expect(
        not problems, f"{counted}: {'; '.join(problems[:5]) or 'none'}", "change that secret: whoever saw it knows it"
    )


def _tracked(live: View) -> list[Path]:
    """Files of the project's repository; none where it is no repository."""
    listed = live.host.run(["git", "-C", str(live.layout.project), "ls-files", "-z"], env={}, check=False)
    names = listed.out.split("\0") if listed.ok else []
    return [path for name in names if name and live.host.exists(path := live.layout.project / name)]


def _found(live: View, folder: Path, *tests: str) -> list[Path]:
    """Files below a folder; of the databases' own, which are closed to others as a whole, none."""
    closed = ["-path", str(live.layout.data), "-prune", "-o"]
    said = live.host.run(
        ["find", str(folder), *closed, "-type", "f", *tests, "-print0"], env={}, check=False, timeout=600
    )
    return [Path(name) for name in said.out.split("\0") if name]
