"""The engine asks every container for its health by its image's own means, and is answered well."""

from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = True
BUILT_IN = ("postgres", "redis", "edge")
"""What these are asked is rendered: it depends on their ports."""


def check(subject: Subject, evidence: Evidence) -> None:
    engine = subject.need_containers()
    for name, said in engine.containers().items():
        if name not in BUILT_IN:
            own = (engine.image(said["Image"])["Config"].get("Healthcheck") or {}).get("Test")
            evidence.expect(bool(own), f"{name}'s image has a health check: {' '.join(own or ['none'])}")
        health = said["State"].get("Health") or {"Status": "not asked", "Log": []}
        last = next((one["Output"].strip()[:100] for one in reversed(health["Log"])), "")
        evidence.expect(health["Status"] == "healthy", f"{name}: {health['Status']}" + (f" ({last})" if last else ""))
