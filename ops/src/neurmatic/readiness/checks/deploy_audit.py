"""Who deployed what, when, with what result, outlives the process: read from the log after a success and a failure."""

from contextlib import suppress
from typing import Any

from neurmatic.errors import NeurmaticError
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.rolling import rolling
from neurmatic.readiness.subject import Subject
from neurmatic.releases.events import EventLog

QUICK = False


def check(subject: Subject, evidence: Evidence) -> None:
    with rolling(subject) as one:
        one.roll()
        with suppress(NeurmaticError):
            one.roll(one.broken())
        log = EventLog(one.copy.host, one.copy.layout).read()
        ended = [event for event in log if event["action"] == "deploy" and event["result"] != "begun"]
        evidence.expect(len(ended) >= 2, f"{len(ended)} deploys have an end in the log, of two")
        good, bad = ended[-2:]
        evidence.expect(good["result"] == "done", f"a good one: {_words(good)}")
        evidence.expect(bad["result"] == "failed" and bool(bad.get("reason")), f"a bad one: {_words(bad)}")
        for event in (good, bad):
            missing = [
                key for key in ("at", "actor", "release", "duration_s", "measured", "phases") if not event.get(key)
            ]
            evidence.expect(not missing, f"its event says {'all of it' if not missing else 'no ' + ', '.join(missing)}")


def _words(event: dict[str, Any]) -> str:
    reason = str(event.get("reason", "")).splitlines()[:1]
    return " ".join([event["at"][:19], event["actor"], event["result"], str(event.get("release")), *reason])
