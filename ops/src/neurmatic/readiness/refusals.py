"""What a refusal by a limit must look like, and a credential limit seen from outside."""

import time

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence
from neurmatic.readiness.subject import Rehearsal
from neurmatic.stack.limits import Credential

WINDOW_SECONDS = 60


def expect_refusal(evidence: Evidence, answer: Answer, wait: int = 1) -> None:
    """429 with problem details, and Retry-After of `wait` seconds or more.

    Raises:
        Refuted: it isn't.
    """
    retry = answer.headers.get("retry-after", "")
    kind = answer.headers.get("content-type", "")
    body = answer.json()
    fits = retry.isdigit() and int(retry) >= wait and kind == "application/problem+json"
    evidence.expect(
        answer.status == 429 and fits and isinstance(body, dict) and body.get("status") == 429,  # noqa: PLR2004  HTTP's own
        f"the refusal: {answer.status}, Retry-After {retry or 'missing'}, {kind}",
    )


def expect_bucket(copy: Rehearsal, evidence: Evidence, name: str, limit: Credential) -> None:
    """As many requests as promised, then none, however the address is spelled; another client is not concerned.

    Raises:
        Refuted: more or fewer pass, or a spelling that reaches the service isn't counted.
    """
    path = limit.paths[0]
    client = copy.new_client()
    pace = 1.1 / copy.stack.edge.limits.rate if limit.per_minute > copy.stack.edge.limits.burst else 0.0
    passed = 0
    for _ in range(limit.per_minute):
        passed += copy.get(path, method="POST", body=b"{}", source=client).status != 429  # noqa: PLR2004  HTTP's own
        time.sleep(pace)
    last = copy.get(path, method="POST", body=b"{}", source=client)
    evidence.expect(passed == limit.per_minute, f"{name}: {passed} of the first {limit.per_minute} let through")
    expect_refusal(evidence, last, wait=WINDOW_SECONDS // 2)
    reached = []
    for spelling in [*(one for other in limit.paths for one in spellings(other))]:
        time.sleep(1.1 / copy.stack.edge.limits.rate)  # so that it isn't the general limit that refuses
        answer = copy.get(spelling, method="POST", body=b"{}", source=client)
        if answer.status != 429 and copy.logged(answer)["upstream"]:  # noqa: PLR2004  HTTP's own
            reached.append(f"{spelling} ({answer.status})")
    count = sum(len(spellings(one)) for one in limit.paths)
    evidence.expect(not reached, f"{name}: {count} other spellings, past the limit: {', '.join(reached) or 'none'}")
    other = copy.get(path, method="POST", body=b"{}", source=copy.new_client())
    evidence.expect(other.status != 429, f"{name}: another client meanwhile: {other.status}")  # noqa: PLR2004  HTTP's own


def spellings(path: str) -> list[str]:
    """Other ways to write a path that some router takes for the same."""
    head, _, last = path.rpartition("/")
    first = f"%{ord(last[0]):02x}"
    return [
        f"{path}/", f"{path}//", f"{path}?x=1", f"{path};x=1", f"{path}.json", f"{path}/.", f"{path}/x/..",
        f"{head}//{last}", f"{head}/./{last}", f"{head}/x/../{last}", f"{head};v=1/{last}", f"{head}/{last.upper()}",
        f"{head}/{last.capitalize()}", path.upper(), f"{head}/{first}{last[1:]}", f"{head}/{first.upper()}{last[1:]}",
        f"{head}%2f{last}", f"{head}%2F{last}", f"{head}/%25{first[1:]}{last[1:]}", f"{head}%5c{last}", f"{path}%20",
        f"{path}%09", f"{path}%3bx", f"/.{path}", f"/{path}", f"{path}#x",
    ]  # fmt: skip
