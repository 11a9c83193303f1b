"""The backup before the last deploy exists, and was accepted by a restore, before anything changed."""

from typing import Any

from neurmatic.backups.catalog import listed
from neurmatic.readiness.backups import live_setting
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject
from neurmatic.releases.events import EventLog

QUICK = True
CHANGES = ("migrate", "seed", "start")


def check(subject: Subject, evidence: Evidence) -> None:
    setting = live_setting(subject)
    log = EventLog(setting.host, setting.layout).read()
    ended = [n for n, event in enumerate(log) if (event["action"], event["result"]) == ("deploy", "done")]
    if not ended:
        raise Unverifiable("nothing was ever deployed here but by `up`", "neurmatic deploy")
    begun = max(n for n in range(ended[-1]) if (log[n]["action"], log[n]["result"]) == ("deploy", "begun"))
    within = log[begun : ended[-1]]
    release, at = within[0]["release"], within[0]["at"][:19]
    proof = _first(within, lambda event: (event["action"], event["result"]) == ("verify", "done"))
    evidence.expect(
        proof is not None,
        f"the deploy of {release} at {at} {'had' if proof is not None else 'had no'} proven backup first",
        "neurmatic deploy, without --no-backup; `up` makes none",
    )
    assert proof is not None  # noqa: S101  as was just seen
    change = _first(within, lambda event: event["action"] in CHANGES)
    evidence.expect(change is None or proof < change, "it was proven before anything was migrated or started")
    name = within[proof]["id"]
    kept = next((one for one in listed(setting.stores) if one.id == name), None)
    evidence.expect(kept is not None, f"backup {name} {'is kept' if kept else 'is gone'}")
    assert kept is not None  # noqa: S101  as was just seen
    evidence.expect(kept.manifest.size > 0, f"it holds {kept.manifest.size} bytes")
    evidence.expect(
        bool(kept.proof and kept.proof.holds), f"restored and compared: {kept.proof and kept.proof.rows} rows"
    )


def _first(events: list[dict[str, Any]], holds: Any) -> int | None:
    return next((n for n, event in enumerate(events) if holds(event)), None)
