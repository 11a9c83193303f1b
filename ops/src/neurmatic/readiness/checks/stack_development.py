"""One command starts the whole stack from the sources, and an edited source changes an answer without a restart: on a copy."""

import time

from neurmatic.errors import ConfigurationError
from neurmatic.readiness.figures import need_environment
from neurmatic.readiness.finding import Evidence, Refuted, Unverifiable
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.development import ENVIRONMENT, Development, developed
from neurmatic.render.inside import SITE
from neurmatic.runtimes.containers.engine import Engine
from neurmatic.stack.checks import Edit
from neurmatic.stack.model import Stack

QUICK = False
PATIENCE = 60.0
PAUSE = 0.5


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    need_environment(live, ENVIRONMENT)
    edits = _edits(live.stack)
    _need_engine(live)
    subject.say("starting a copy of the sources as in development, to edit it")
    with developed(live.host, live.layout, live.stack) as one:
        _see_healthy(one, evidence)
        for service, edit in edits.items():
            _edit(one, service, edit, evidence)


def _edits(stack: Stack) -> dict[str, Edit]:
    """What to edit, by service: of each that runs from sources and answers through the edge."""
    if stack.containers is None or not stack.containers.reload:
        raise Unverifiable("no service runs from its sources", "[containers.reload] names those that do in development")
    asked = [name for name in stack.containers.reload if name == SITE or name in stack.routed()]
    if missing := [name for name in asked if name not in stack.checks.edits]:
        raise Unverifiable(
            f"no edit is named that changes an answer of {', '.join(missing)}",
            "name one in [checks.edits.SERVICE]: docs/reference/stack-file.md",
        )
    return {name: stack.checks.edits[name] for name in asked}


def _need_engine(live: View) -> None:
    if not live.host.is_root():
        raise Unverifiable("root alone can hand the containers' account its secrets", "run `neurmatic verify` as root")
    try:
        Engine(live.host, live.layout).check()
    except ConfigurationError as error:
        raise Unverifiable(str(error), error.hint) from None


def _see_healthy(one: Development, evidence: Evidence) -> None:
    running = one.containers()
    for name in one.services():
        state = running[name]["State"] if name in running else {}
        is_over = state.get("Status") == "exited" and state.get("ExitCode") == 0
        health = "done" if is_over else state.get("Health", {}).get("Status", state.get("Status", "not there"))
        evidence.expect(health in ("healthy", "done"), f"{name} {health}")


def _edit(one: Development, service: str, edit: Edit, evidence: Evidence) -> None:
    """Change a source, and see the answers of every instance change, though nothing was started anew."""
    view = View(one.host, one.layout, one.stack)
    source = one.layout.project / edit.file
    text = one.host.read(source) or ""
    first = view.get(edit.path)
    for where, said in ((edit.file, text), (edit.path, first.body.decode(errors="replace"))):
        evidence.expect(
            edit.before in said, f"{edit.before} stands in {where}" if edit.before in said else _lacks(edit, where)
        )
    started = {name: said["State"]["StartedAt"] for name, said in one.containers().items()}
    one.host.write(source, text.replace(edit.before, edit.after))
    begun = time.monotonic()
    turns = 2 * (one.stack.services[service].instances if service in one.stack.services else 1)
    while not all(_says(view, edit) for _ in range(turns)):
        if time.monotonic() > begun + PATIENCE:
            raise Refuted(
                f"{edit.file} was edited, and {PATIENCE:g} s later {edit.path} doesn't answer {edit.after} yet"
            )
        time.sleep(PAUSE)
    evidence.note(
        f"{edit.file} edited: {turns} answers in a row have {edit.after}, {time.monotonic() - begun:.1f} s later"
    )
    anew = [name for name, said in one.containers().items() if said["State"]["StartedAt"] != started.get(name)]
    evidence.expect(not anew, f"started anew for it: {', '.join(anew) or 'no container'}")


def _lacks(edit: Edit, where: str) -> str:
    return f"{edit.before} does not stand in {where}"


def _says(view: View, edit: Edit) -> bool:
    """Whether the answer is the edited one."""
    answer = view.get(edit.path)
    return answer.status == 200 and edit.after in answer.body.decode(errors="replace")
