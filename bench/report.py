"""Results as text: tables for the terminal, and the same as Markdown for results.md."""

from statistics import median

import edge_report
from commands import AIMS
from peers import PROCESSES
from tools import CONCURRENCY

LIMIT, OURS = "limit", "platform"
LIST_SHARE = 0.85
OWN_PARTS = ("application", "postgres", "redis")
WAYS = {
    "direct": f"Requests a second, {CONCURRENCY} connections, one process each",
    "edge": f"The same through nginx with TLS, {PROCESSES} processes each",
}


def ratios(ours, other):
    """The platform's figure as a multiple of the other's, round by round: both felt the same noise of the machine."""
    return [a / b for a, b in zip(ours["rounds"], other["rounds"], strict=True)]


def judged(results):
    """What was aimed at, and what came of it."""
    aims = []
    cells = {(one["way"], one["endpoint"], one["target"]): one for one in results.get("requests", [])}
    for way in WAYS:
        ours = cells.get((way, "list", OURS))
        if not ours:
            continue
        share = median(ratios(ours, cells[way, "list", LIMIT]))
        if way == "direct":
            aims.append(_aim("list, direct: at least 85 % of the limit", f"{share:.1%}", met=share >= LIST_SHARE))
        for peer in ("Express", "Django"):
            times = median(ratios(ours, cells[way, "list", peer]))
            aims.append(_aim(f"list, {way}: ahead of {peer}", f"{times:.2f}x", met=times > 1))
    for one in results.get("commands", []):
        if limit := AIMS.get(one["command"]):
            times = one["times_empty"]
            aims.append(_aim(f"{one['command']}: under {limit}x an empty Python", f"{times:.1f}x", met=times < limit))
    if edge := results.get("edge"):
        aims += [_aim(what, value, met=met) for what, value, met in edge_report.aims(edge)]
    return aims


def _aim(what, value, *, met):
    return {"aim": what, "measured": value, "met": met}


def tables(results):
    """(title, header, rows) of everything that was measured."""
    requests = results.get("requests", [])
    for way, title in WAYS.items():
        cells = [one for one in requests if one["way"] == way]
        if cells:
            yield title, *_throughput(cells)
            yield f"The platform against each, {way}", *_ratios(cells)
    if edge := results.get("edge"):
        yield from edge_report.tables(edge)
    if commands := results.get("commands"):
        rows = [(one["command"], f"{one['seconds'] * 1000:.0f} ms", f"{one['times_empty']:.1f}x") for one in commands]
        yield "Commands", ("command", "median", "against an empty Python"), rows
    if parts := results.get("memory"):
        whole, other = sum(parts.values()), sum(size for part, size in parts.items() if part not in OWN_PARTS)
        rows = [*parts.items(), ("whole stack", whole), ("not application, PostgreSQL or Redis", other)]
        yield "Memory after the start (PSS)", ("part", "memory"), [(a, f"{b / 2**20:.1f} MB") for a, b in rows]
    for key, title in (("make", "`make build`, fresh clone, empty caches"), ("up", "First `up`")):
        if phases := results.get(key):
            rows = [*phases.items(), ("in all", sum(phases.values()))]
            yield f"{title}, by phase", ("phase", "time"), [(name, f"{seconds:.1f} s") for name, seconds in rows]
    if aims := judged(results):
        rows = [(one["aim"], one["measured"], "met" if one["met"] else "missed") for one in aims]
        yield "Aims", ("aim", "measured", ""), rows


def _throughput(cells):
    names = list(dict.fromkeys(one["target"] for one in cells))
    rows = []
    for endpoint in dict.fromkeys(one["endpoint"] for one in cells):
        row = {one["target"]: one for one in cells if one["endpoint"] == endpoint}
        rows.append((endpoint, *(f"{row[n]['per_second']} ({row[n]['lowest']}-{row[n]['highest']})" for n in names)))
    return ("median (lowest-highest)", *names), rows


def _ratios(cells):
    names = [name for name in dict.fromkeys(one["target"] for one in cells) if name != OURS]
    rows = []
    for endpoint in dict.fromkeys(one["endpoint"] for one in cells):
        row = {one["target"]: one for one in cells if one["endpoint"] == endpoint}
        times = {name: ratios(row[OURS], row[name]) for name in names}
        rows.append((endpoint, *(f"{median(all_):.2f}x ({min(all_):.2f}-{max(all_):.2f})" for all_ in times.values())))
    return ("platform / peer", *names), rows


def as_text(results):
    """For the terminal."""
    parts = []
    for title, header, rows in tables(results):
        widths = [max(len(row[n]) for row in (header, *rows)) for n in range(len(header))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (header, *rows)
        ]
        parts.append("\n".join([f"# {title}", *(line.rstrip() for line in lines)]))
    return "\n\n".join([*parts, _circumstances(results)])


def as_markdown(results):
    """For results.md."""
    parts = ["# Results", f"Written by `make bench`; [README.md](README.md) says how. {_circumstances(results)}"]
    for title, header, rows in tables(results):
        lines = [f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows)]
        parts.append("\n".join([f"## {title}\n", *lines]))
    return "\n\n".join(parts) + "\n"


def _circumstances(results):
    machine = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"Measured {machine['at']} on {machine['cpu']}, {machine['memory']}, {machine['system']}; "
        f"load average before: {machine['load_before']}. Figures compare within this run alone.\n{versions}."
    )
