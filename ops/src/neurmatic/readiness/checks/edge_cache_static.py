"""Files with a hash in their name are cached for a day or longer; the page that names them never across a deploy."""

import re

from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject

QUICK = True
DAY_SECONDS = 86400


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    site = live.stack.site
    if site is None:
        raise Unverifiable("the stack has no [site]", "add [site]")
    page = live.get("/")
    control = page.every("cache-control")
    evidence.expect(page.status == 200 and control == ["no-cache"], f"the page: {page.status}, Cache-Control {control}")
    etag = page.headers.get("etag", "")
    again = live.get("/", headers={"If-None-Match": etag})
    evidence.expect(again.status == 304, f"the page again, with its entity tag: {again.status}")
    assets = re.findall(rf'["\']({re.escape(site.immutable)}[^"\']+)["\']', page.body.decode(errors="replace"))
    if not assets:
        raise Unverifiable(f"the page names no file below {site.immutable}", "set [site] immutable")
    for path in assets:
        answer = live.get(path)
        found = re.fullmatch(r"public, max-age=(\d+), immutable", answer.headers.get("cache-control", ""))
        evidence.expect(
            answer.status == 200 and found is not None and int(found[1]) >= DAY_SECONDS,
            f"{path}: {answer.status}, Cache-Control {answer.every('cache-control')}",
        )
    missing = live.get(f"{site.immutable}neurmatic-nowhere.js")
    evidence.expect(
        missing.status == 404 and missing.every("cache-control") == ["no-store"],
        f"a file that isn't there: {missing.status}, Cache-Control {missing.every('cache-control')}",
    )
