"""The production images carry what production needs: no compiler, no installer, no development package, not the tool itself."""

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.images import content_problems, stages
from neurmatic.readiness.subject import Subject

QUICK = False
STAGES = ("base", "builder", "production")
EDITED = "development"
"""The stage of an image whose services run from sources that are being edited."""


def check(subject: Subject, evidence: Evidence) -> None:
    engine, live = subject.need_containers(), subject.live
    containers = live.stack.containers
    if containers is None:
        raise Unverifiable("the stack file has no [containers]", "docs/reference/stack-file.md describes it")
    running = engine.containers()
    for name, image in containers.images.items():
        own = [service for service in image.services if service in live.stack.services]
        text = live.host.read(live.layout.project / image.dockerfile)
        if own and text is not None:  # the others add packages to somebody else's, in one stage
            found = stages(text)
            wanted = (*STAGES, *([EDITED] if containers.reload.keys() & set(image.services) else []))
            missing = [stage for stage in wanted if stage not in found]
            evidence.expect(not missing, f"{image.dockerfile} has the stages {', '.join(found)}" + _not(missing))
        used = {
            one["Image"]
            for at, one in running.items()
            if at in image.services or at.rpartition("-")[0] in image.services
        }
        evidence.expect(bool(used), f"{name} runs" + ("" if used else " nowhere"))
        for chosen in sorted(used):
            problems = content_problems(engine, chosen)
            size = engine.image(chosen)["Size"] / 1e6
            evidence.expect(
                not problems, f"{name}, {size:.0f} MB, carries {', '.join(problems) or 'nothing of its making'}"
            )


def _not(missing: list[str]) -> str:
    return f", not {', '.join(missing)}" if missing else ""
