"""Public answers are kept for minutes, never one made from or asked with a credential; one fetch for a stampede; stale served."""

import time
from concurrent.futures import ThreadPoolExecutor

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Rehearsal, Subject, eventually

QUICK = False
CREDENTIALS = {
    "Authorization": "Bearer a.b.c", "Cookie": "session=1", "X-Api-Key": "k", "X-Session-Token": "t", "X-User": "1",
    "Proxy-Authorization": "Basic eDp5", "X-Whatever-The-Application-Calls-It": "t",
}  # fmt: skip
STAMPEDE = 30


def check(subject: Subject, evidence: Evidence) -> None:
    copy = subject.rehearsal()
    cache = copy.stack.edge.cache
    if not cache.paths:
        raise Unverifiable("nothing is cached", "name public paths in [edge.cache] paths")
    path = cache.paths[0]
    with copy.unlimited() as free:
        free.purge(path)
        first, second = free.get(path), free.get(path)
        evidence.expect(
            (_word(first), _word(second)) == ("MISS", "HIT") and first.body == second.body,
            f"asked twice without a credential: {_word(first)}, {_word(second)}",
        )
        _credentials(free, evidence, path)
        _stampede(free, evidence, path)
        _purge(free, evidence, path)
    _stale(copy, evidence, path)


def _word(answer: Answer) -> str:
    return answer.headers.get("x-cache", "none")


def _credentials(copy: Rehearsal, evidence: Evidence, path: str) -> None:
    """Neither answered from the cache, nor kept for others."""
    for name, value in CREDENTIALS.items():
        answer = copy.get(path, headers={name: value})
        evidence.expect(
            _word(answer) == "BYPASS" and bool(copy.logged(answer)["upstream"]), f"with {name}: {_word(answer)}"
        )
    copy.purge(path)
    copy.get(path, headers={"Authorization": "Bearer a.b.c"})
    after = copy.get(path)
    evidence.expect(_word(after) == "MISS", f"without, after an answer made with a credential: {_word(after)}")
    token = copy.get(f"{path}?access_token=x"), copy.get(f"{path}?access_token=x")
    evidence.expect(
        _word(token[1]) == "BYPASS", f"with a token in the query, twice: {_word(token[0])}, {_word(token[1])}"
    )


def _stampede(copy: Rehearsal, evidence: Evidence, path: str) -> None:
    copy.purge(path)
    with ThreadPoolExecutor(STAMPEDE) as pool:
        answers = list(pool.map(lambda _: copy.get(path, timeout=20), range(STAMPEDE)))
    fetches = [a for a in answers if copy.logged(a)["upstream"]]
    bodies = {a.body for a in answers}
    evidence.expect(
        len(fetches) == 1 and len(bodies) == 1 and all(a.status == 200 for a in answers),
        f"{STAMPEDE} at once for a missing answer: {len(fetches)} reached a service",
    )


def _purge(copy: Rehearsal, evidence: Evidence, path: str) -> None:
    other = f"{path}?{copy.stack.edge.cache.query[0]}=1" if copy.stack.edge.cache.query else None
    rest = copy.stack.edge.cache.paths[1:]
    for one in (path, *([other] if other else []), *rest):
        copy.get(one)
    copy.purge(path)
    words = {one: _word(copy.get(one)) for one in (path, *rest)}
    fits = words.pop(path) == "MISS" and set(words.values()) <= {"HIT"}
    evidence.expect(fits, f"after a purge of {path}: it is fetched anew; others {words or 'there are none'}")


def _stale(copy: Rehearsal, evidence: Evidence, path: str) -> None:
    """With answers that are fresh for a second, and every instance stopped."""
    with copy.changed(cache=copy.stack.edge.cache.replace(seconds=1.0)) as hasty:
        hasty.purge(path)
        fresh = hasty.get(path)
        names = [one.name for one in hasty.instances(hasty.service()[0])]
        for name in names:
            hasty.stop(name)
        time.sleep(1.5)
        stale = eventually(lambda: hasty.get(path), lambda a: a.status == 200, "a stale answer", 5)
        evidence.expect(
            _word(stale) in ("STALE", "UPDATING") and stale.body == fresh.body,
            f"a second later, with every instance stopped: {stale.status}, {_word(stale)}",
        )
        for name in names:
            hasty.start(name)
        hasty.await_health(*names)
