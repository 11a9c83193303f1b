"""No secret in the repository, an image, a process's arguments, a log, or a file that others may read."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.secrets import in_arguments, in_engine, in_files, in_history, sought
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.values import read_secrets
from neurmatic.runtimes.containers.engine import Engine

QUICK = False
OWN_SECRETS = 0o600


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    secrets = {name: one.reveal() for name, one in read_secrets(live.host, live.layout).items()}
    wanted = sought(secrets)
    evidence.expect(bool(wanted), f"secrets that are looked for: {len(set(wanted.values()))}")
    mode = live.host.run(["stat", "-c", "%a", str(live.layout.secrets)], env={}).out.strip()
    evidence.expect(int(mode, 8) == OWN_SECRETS, f"{live.layout.secrets.name} has mode {mode}")
    _repository(live, evidence, wanted)
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


def _repository(live: View, evidence: Evidence, wanted: Mapping[bytes, str]) -> None:
    """The project's files and all that was ever committed; a server may have a copy without a repository.

    Raises:
        Unverifiable: there is a repository, and it can't be read.
    """
    host, project = live.host, live.layout.project
    git = ["git", "-c", "safe.directory=*", "-C", str(project)]  # it may be another account's
    listed = host.run([*git, "ls-files", "-z"], env={}, check=False) if host.which("git") else None
    if listed and listed.ok:
        files = [path for name in listed.out.split("\0") if name and host.exists(path := project / name)]
        _clean(evidence, "the repository", len(files), in_files(host, files, wanted))
        _clean(evidence, "all that was ever committed", 0, in_history(host, git, wanted))
    elif host.exists(project / ".git"):
        raise Unverifiable(f"the repository can't be read: {listed.err.strip() if listed else 'no git'}", "install git")
    else:
        evidence.note("the project is no repository")


def _found(live: View, folder: Path, *tests: str) -> list[Path]:
    """Files below a folder; of the data's, none in folders that are closed to others, such as a server's own."""
    closed = ["-path", f"{live.layout.data}/*", "-type", "d", "-not", "-perm", "/077", "-prune", "-o"]
    said = live.host.run(
        ["find", str(folder), *closed, "-type", "f", *tests, "-print0"], env={}, check=False, timeout=600
    )
    return [Path(name) for name in said.out.split("\0") if name]
