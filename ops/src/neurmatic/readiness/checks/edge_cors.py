"""CORS: exactly the configured origins, methods, headers, credentials, for a day; preflights answered; nothing twice."""

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Subject

QUICK = True
PREFIX = "access-control-"
FOREIGN = ("https://strange.example", "null", "https://localhost.strange.example")


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    cors, url = live.stack.edge.cors, live.stack.url
    path = live.health_path("ready")
    route = live.service()[1].routes[0]
    simple = {"access-control-allow-credentials": ["true"]}
    full = simple | {
        "access-control-allow-methods": [", ".join(cors.methods)],
        "access-control-allow-headers": [", ".join(cors.headers)],
        "access-control-max-age": [f"{cors.max_age:.0f}"],
    }
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for origin in (url, *cors.origins):
        allowed = {"access-control-allow-origin": [origin]}
        answer = live.get(path, headers={"Origin": origin})
        evidence.expect(_cors(answer) == allowed | simple, f"{origin}, simple: {_cors(answer)}")
        answer = live.get(f"{route}neurmatic", method="OPTIONS", headers={"Origin": origin, **ask})
        evidence.expect(
            answer.status == 204 and _cors(answer) == allowed | full,
            f"{origin}, preflight: {answer.status}, {_cors(answer)}",
        )
    for origin in (*FOREIGN, url.replace("https:", "http:"), f"{url}0", url.upper()):
        answer = live.get(path, headers={"Origin": origin})
        evidence.expect(not _cors(answer), f"{origin}, simple: {_cors(answer) or 'nothing allowed'}")
        answer = live.get(f"{route}neurmatic", method="OPTIONS", headers={"Origin": origin, **ask})
        evidence.expect(
            not _cors(answer), f"{origin}, preflight: {answer.status}, {_cors(answer) or 'nothing allowed'}"
        )
    varies = any("origin" in value.lower() for value in live.get(path).every("vary"))
    evidence.expect(varies, f"Vary names Origin, so that no cache mixes them up: {varies}")


def _cors(answer: Answer) -> dict[str, list[str]]:
    return {name: answer.every(name) for name, _ in answer.fields if name.startswith(PREFIX)}
