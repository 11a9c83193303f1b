"""The site's image was built with its settings, and serves what was built."""

import re

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.images import container_problems, settings
from neurmatic.readiness.subject import Subject
from neurmatic.render.inside import SITE

QUICK = True
_SCRIPT = re.compile(r'<script[^>]+src="(/[^"]+)"')


def check(subject: Subject, evidence: Evidence) -> None:
    running, live = subject.need_containers().containers(), subject.live
    name = live.stack.containers.image_of(SITE) if live.stack.containers else None
    sites = {at: one for at, one in running.items() if at.rpartition("-")[0] == SITE}
    if name is None or live.stack.containers is None or not sites:
        raise Unverifiable("the stack has no site", "add [site] and an image for it")
    dockerfile = live.stack.containers.images[name].dockerfile
    wanted = settings(live.host.read(live.layout.project / dockerfile) or "")
    if not wanted:
        raise Unverifiable(
            f"{dockerfile} sets no VITE_ variable", "name the API's address in one: ARG VITE_API_BASE=/api"
        )
    page = live.get("/")
    evidence.expect(page.status == 200, f"the front page: {page}")
    scripts = _SCRIPT.findall(page.body.decode(errors="replace"))
    text = "".join(live.get(path).body.decode(errors="replace") for path in scripts)
    for variable, value in wanted.items():
        evidence.expect(
            value in text,
            f"{variable}={value} {'stands' if value in text else 'does not stand'} in {', '.join(scripts)}",
        )
    for at, said in sites.items():
        problems = container_problems(said)
        status = (said["State"].get("Health") or {}).get("Status")
        evidence.expect(
            not problems and status == "healthy", f"{at}: {status}, {', '.join(problems) or 'without rights'}"
        )
