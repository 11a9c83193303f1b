"""deploys.md: what was measured of both runtimes and of the peers, and what others have said of theirs."""

from math import inf
from statistics import median

from acts import RATE

LIMIT, COMPOSE = "limit:", "docker compose"
OWN = ("edge", "guard", "timers", "supervision")
MOST_GAP_MS, MOST_SECONDS, MOST_BYTES = 200, 10, 60 * 2**20
PEERS = """\
- **limit: a hand-written script**: starts two new instances, asks until they are ready, rewrites nginx's list, sends HUP, stops the old two; natively
  with `sv`, among containers with `docker compose`. No check, record, migration or way back; the guard is held still, as it would put its own list back.
- **docker compose up -d**: the compose file of [deploy/production](../deploy/production/compose.yaml) with another `VERSION`: migrations and seed run,
  then both instances, the worker, the site and the edge are stopped and made anew, all at once.
- **docker compose up -d, the edge left alone**: the same for `api-1 api-2 worker-1 site-1`; nginx goes on, and has nobody to ask.

The seconds of `docker compose` last until its edge answers again. The peers' images are there before; the platform builds its own within the deploy.
"""
PUBLISHED = """\
What others have published about theirs, quoted as they say it and **not measured here**: Coolify 18-31 s of 502 and 503 with each rolling update
(coollabsio/coolify issue 8627); Swarm with Traefik two 502 and one 504 with an update (traefik/traefik issue 7373); Kamal drains for 30 s; Dokku waits 10 s
before it takes a container for started, and 60 s before it ends the old one (its documentation); control planes hold 0.5 to 1.2 GB.
"""


def as_markdown(described, found, rounds):
    """The whole page; `found` has each runtime's rows and memory."""
    lines = [
        "# What a deploy takes, and what clients notice of it",
        "",
        f"Written by `make bench-deploys`; [README.md](README.md) says how. Measured {described['at']} on {described['cpu']}, {described['memory']},",
        f"{described['system']}; load average before: {described['load_before']}, after: {described['load_after']}. The platform in production's environment, two API instances and a worker;",
        f"{RATE} requests a second through the edge (an open loop, the list of articles, never cached). {rounds} round{'s' * (rounds != 1)}: seconds and longest gap are medians",
        "(lowest-highest), requests and failures sums. A gap is the longest time without a good answer, this client's own delays included.",
        "Figures compare within this run alone.",
    ]
    for runtime, one in found.items():
        lines += ["", f"## {runtime.capitalize()}", "", *_acts(one["rows"]), *_broken(one["rows"])]
    lines += ["", "## The peers", "", PEERS, PUBLISHED, "## What is resident", "", *_memory(found)]
    lines += ["", "## What was aimed at", "", *_aims(found)]
    for runtime, one in found.items():
        lines += ["", f"## Where the time goes, {runtime}", "", *_phases(one["rows"])]
    return "\n".join(lines) + "\n"


def _acts(rows):
    yield from _head("what", "seconds", "requests", "failed", "longest gap", "client late by")
    for name, mine in _by_name(rows):
        known = [row["seconds"] for row in mine if row["seconds"] is not None]
        failed = sum(row["failed"] for row in mine)
        broken = sum(bool(row["broken"]) for row in mine)
        yield _line(
            f"{name}{f' (**{broken} of {len(mine)} did not succeed**)' if broken else ''}",
            spread(known, 1) if known else "-",
            sum(row["due"] for row in mine),
            f"{failed}{_why(mine)}" if failed else 0,
            f"{spread([row['gap'] for row in mine], 0)} ms",
            f"{max(row['late'] for row in mine):.0f} ms",
        )


def _broken(rows):
    """What the commands said that did not succeed."""
    for row in rows:
        if row["broken"]:
            yield from ("", f"{row['name']}: `{' '.join(row['broken'].split())}`")


def _why(rows):
    total = {}
    for row in rows:
        for kind, count in row["why"].items():
            total[kind] = total.get(kind, 0) + count
    return f" ({', '.join(f'{count} {kind}' for kind, count in total.items())})"


def _phases(rows):
    yield from _head("what", "phase", "seconds")
    for name, mine in _by_name(rows):
        told = [row for row in mine if row["phases"]]
        for phase in told[0]["phases"] if told else ():
            yield _line(name, phase, spread([row["phases"].get(phase, 0.0) for row in told], 1))
        if told:
            rest = [row["seconds"] - sum(row["phases"].values()) for row in told]
            yield _line(name, "the rest: the tool's own start; images", spread(rest, 1))


def _memory(found):
    yield "PSS right after the start, in MB. The engine's part is what it holds for this stack's containers, and its daemons, which it has for all."
    yield ""
    yield from _head("part", *found)
    parts = list(dict.fromkeys(part for one in found.values() for part in one["memory"]))
    for part in parts:
        yield _line(part, *(_mb(one["memory"].get(part)) for one in found.values()))
    yield _line("**ours: " + ", ".join(OWN) + "**", *(f"**{_mb(_ours(one))}**" for one in found.values()))
    for part in dict.fromkeys(part for one in found.values() for part in one["engine"]):
        yield _line(f"engine: {part}", *(_mb(one["engine"].get(part)) for one in found.values()))
    yield _line("the engine in all", *(_mb(sum(one["engine"].values()) or None) for one in found.values()))


def _aims(found):
    yield from _head("runtime", "aim", "measured", "")
    for runtime, one in found.items():
        mine = [row for row in one["rows"] if not row["name"].startswith((LIMIT, COMPOSE))]
        failed, gap = sum(row["failed"] for row in mine), max(row["gap"] for row in mine)
        deploys = [row for row in mine if row["name"].startswith("deploy, ")]
        # One that was taken back isn't a quick one.
        beyond = median(inf if row["broken"] else row["seconds"] - row["phases"].get("start", 0) for row in deploys)
        ours = _ours(one)
        yield _line(runtime, "no request fails, whatever of this is done", failed, _met(is_met=failed == 0))
        late = max(row["late"] for row in mine)
        yield _line(
            runtime,
            f"longest gap under {MOST_GAP_MS} ms",
            f"{gap:.0f} ms, this client late by up to {late:.0f} ms",
            _met(is_met=gap < MOST_GAP_MS),
        )
        yield _line(
            runtime,
            f"a deploy under {MOST_SECONDS} s beyond the application's start",
            f"{beyond:.1f} s",
            _met(is_met=beyond < MOST_SECONDS),
        )
        yield _line(
            runtime,
            "nothing of ours over 60 MB resident, together",
            f"{_mb(ours)} MB",
            _met(is_met=ours < MOST_BYTES),
        )


def _ours(one):
    return sum(one["memory"].get(part, 0) for part in OWN)


def _met(*, is_met):
    return "met" if is_met else "missed"


def _by_name(rows):
    for name in dict.fromkeys(row["name"] for row in rows):
        yield name, [row for row in rows if row["name"] == name]


def _head(*cells):
    return _line(*cells), _line(*("---",) * len(cells))


def _line(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def _mb(size):
    return "-" if size is None else f"{size / 2**20:.1f}"


def spread(values, digits):
    """Median, lowest and highest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
