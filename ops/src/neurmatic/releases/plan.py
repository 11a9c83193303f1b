"""What `up` will change: a pure function from what should run and what is there to steps in their order."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from neurmatic.render.file import Files
from neurmatic.stack.instance import Instance
from neurmatic.stack.model import Stack

RolloutVerb = Literal["backup", "switch", "watch", "stop"]
Verb = (
    Literal["build", "create", "start", "restart", "reload", "migrate", "seed", "remove", "supervise", "issue"]
    | RolloutVerb
)
SERVING = ("running", "restarting", "orphaned")


@dataclass(frozen=True)
class Step:
    """One thing that `up` does, to what, and why."""

    verb: Verb
    subject: str
    why: str

    def __str__(self) -> str:
        return f"{self.verb} {self.subject}: {self.why}"


@dataclass(frozen=True)
class Mark:
    """What an instance was started with: digests of its process's files, its configuration's, and its certificate."""

    process: str = ""
    config: str = ""
    certificate: str = ""


@dataclass(frozen=True)
class Facts:
    """What is there now.

    Attributes:
        migrated: releases whose migrations have run on this database, the last one last.
        states: state of each instance that has a service directory.
        marks: what each instance was started with, when it came up well.
        files: current text of each file that would be written; None when it isn't there.
        certificate: why the CA is to be asked for a certificate; empty when it isn't.
    """

    release_complete: bool = False
    cluster: bool = False
    migrated: tuple[str, ...] = ()
    supervised: bool = True
    states: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    certificate: str = ""


@dataclass(frozen=True)
class Plan:
    """Steps in their order, and the files that differ."""

    steps: tuple[Step, ...]
    diffs: Mapping[str, str]


def mark(files: Files, certificate: str = "", beside: str = "") -> Mark:
    """Digests of an instance's rendered files, and of its certificate's text if it has one.

    Args:
        files: as rendered.
        certificate: its text.
        beside: what else its configuration consists of.
    """
    process, config = hashlib.sha256(), hashlib.sha256(beside.encode())
    for path in sorted(files):
        part = process if path.startswith(("services/", "supervised/")) else config
        part.update(f"{path}\0{files[path].text}\0".encode())
    return Mark(process.hexdigest()[:16], config.hexdigest()[:16], certificate_digest(certificate))


def certificate_digest(text: str) -> str:
    """A digest of a certificate's text; empty for none."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else ""


def make_plan(stack: Stack, release: str, files: Mapping[str, Files], marks: Mapping[str, Mark], facts: Facts) -> Plan:
    """Decide what to do so that exactly the stack's instances run, each with its current files."""
    steps = [*_release_steps(stack, release, facts), *_instance_steps(stack, release, marks, facts)]
    return Plan(tuple(steps), dict(_diffs(files, facts)))


def _release_steps(stack: Stack, release: str, facts: Facts) -> Iterator[Step]:
    if not facts.release_complete and stack.release.files:
        yield Step("build", release, "this release was not made yet")
    if stack.postgres and not facts.cluster:
        yield Step("create", "postgres", "there is no data folder yet")
    if not facts.supervised and facts.states:
        yield Step("supervise", "runsvdir", "the supervisor is not running")


def _instance_steps(stack: Stack, release: str, marks: Mapping[str, Mark], facts: Facts) -> Iterator[Step]:
    fresh_data = bool(stack.postgres) and not facts.cluster
    migrated = release in facts.migrated and not fresh_data
    wanted = stack.instances()
    for one in wanted:
        if one.kind == "service" and not migrated:
            migrated = True
            why = (
                "a new database"
                if fresh_data or not facts.migrated
                else f"the release changes from {facts.migrated[-1]}"
            )
            yield from (Step(verb, release, why) for verb in ("migrate", "seed") if getattr(stack.release, verb))
        if step := _instance_step(one, marks[one.name], facts):
            yield step
    names = {one.name for one in wanted}
    yield from (Step("remove", name, "the stack has it no more") for name in facts.states if name not in names)
    if facts.certificate:  # last: the CA asks the edge itself whether the host is ours
        yield Step("issue", stack.identity.host, facts.certificate)


def _instance_step(one: Instance, now: Mark, facts: Facts) -> Step | None:
    if facts.states.get(one.name) not in SERVING:
        return Step("start", one.name, "it is not running")
    before = facts.marks.get(one.name)
    if before == now:
        return None
    if before is None:
        return Step("restart", one.name, "an earlier start did not come to its end")
    if one.kind == "edge" and before.process == now.process:
        what = "certificate" if before.config == now.config else "configuration"
        return Step("reload", one.name, f"its {what} changed")
    return Step(
        "restart", one.name, "its configuration changed" if before.process == now.process else "its process changed"
    )


def _diffs(files: Mapping[str, Files], facts: Facts) -> Iterator[tuple[str, str]]:
    for path, file in sorted((path, file) for of in files.values() for path, file in of.items()):
        before = facts.files.get(path)
        if before == file.text:
            continue
        if file.secret:
            yield path, f"{path}: {'changes' if before is not None else 'is new'} (secret: not shown)\n"
        else:
            old = before.splitlines(keepends=True) if before is not None else []
            source = path if before is not None else "/dev/null"
            yield path, "".join(difflib.unified_diff(old, file.text.splitlines(keepends=True), source, path, n=2))
