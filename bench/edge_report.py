"""The edge's results as tables, and what was aimed at. A ratio is the median of the rounds' own."""

from statistics import median

from edge import APART
from gaps import RATE
from tools import CONCURRENCY

HIT_SHARE, MISS_SHARE = 0.85, 0.90
GAP_MS = {"an instance killed": 1000, "an instance hung": 5000}


def tables(results):
    """(title, header, rows)."""
    speed = results["speed"]
    yield f"The edge, {CONCURRENCY} requests in progress; connections one after the other", *_speed(speed)
    yield "The edge against what it is compared with", *_ratios(speed)
    yield "What each feature of the edge costs, nginx's CPU time for each request", *_costs(results["costs"])
    yield f"Faults under {RATE} requests a second, the worst of all times", *_gaps(results["gaps"])


def aims(results):
    """(what, measured, whether it was met)."""
    cells = {(row["what"], row["who"]): row["rounds"] for row in results["speed"]}
    for what, base, share in (
        ("cache hit, HTTP/1.1", "plain nginx", HIT_SHARE),
        ("cache hit, HTTP/2", "plain nginx", HIT_SHARE),
        ("cache hit, HTTP/1.1", "plain nginx without a log", HIT_SHARE),
        ("cache hit, HTTP/2", "plain nginx without a log", HIT_SHARE),
        ("cache miss", "instance", MISS_SHARE),
        ("passed by the cache", "instance", MISS_SHARE),
        ("cache miss" + APART, "instance", MISS_SHARE),
        ("passed by the cache" + APART, "instance", MISS_SHARE),
    ):
        seen = median(_each(cells[what, "edge"], cells[what, base]))
        yield f"{what}: at least {share:.0%} of {base}", f"{seen:.0%}", seen >= share
    for fault, limit in GAP_MS.items():
        worst = _worst(results["gaps"], fault)
        longest = max(worst["longest_gap_ms"], worst["slowest_ms"])
        words = f"{worst['failed']} failed, {longest:.0f} ms"
        yield f"{fault}: none fails, nobody waits {limit / 1000:g} s", words, not worst["failed"] and longest < limit


def _each(ours, other, figure="per_second"):
    return [a[figure] / b[figure] for a, b in zip(ours, other, strict=True)]


def _middle(rounds, figure, digits=1):
    values = [one[figure] for one in rounds]
    return "" if None in values or not any(values) else f"{median(values):.{digits}f}"


def _speed(rows):
    header = ("what", "who", "a second (lowest-highest)", "p50 ms", "p99 ms", "nginx CPU us", "svlogd CPU us")
    found = []
    for row in rows:
        rounds = row["rounds"]
        figures = [one["per_second"] for one in rounds]
        found.append(
            (
                row["what"],
                row["who"],
                f"{median(figures):.0f} ({min(figures):.0f}-{max(figures):.0f})",
                *(_middle(rounds, figure, 2) for figure in ("p50_ms", "p99_ms")),
                *(_middle(rounds, figure) for figure in ("cpu_us", "logger_us")),
            )
        )
    return header, found


def _ratios(rows):
    ours = {row["what"]: row["rounds"] for row in rows if row["who"] == "edge"}
    found = []
    for row in rows:
        if row["who"] != "edge":
            shares = _each(ours[row["what"]], row["rounds"])
            found.append((row["what"], row["who"], f"{median(shares):.0%} ({min(shares):.0%}-{max(shares):.0%})"))
    return ("what", "against", "the edge gives"), found


def _costs(rows):
    """With and without, round by round: both felt the same noise of the machine."""
    cells = {(row["what"], row["who"]): row["rounds"] for row in rows}
    found = []
    for what in dict.fromkeys(what for what, _ in cells):
        whole, lesser = cells[what, "with"], cells[what, "without"]
        saved = [a["cpu_us"] - b["cpu_us"] for a, b in zip(whole, lesser, strict=True)]
        middles = (f"{_middle(rounds, 'cpu_us')} us" for rounds in (whole, lesser))
        found.append((what, *middles, f"{median(saved):.1f} us ({min(saved):.1f} to {max(saved):.1f})"))
    return ("request: feature", "with", "without", "it costs"), found


def _worst(gaps, fault):
    """The worst of every figure, all times together; of failures the sum."""
    rows = [row for row in gaps if row["fault"] == fault]
    worst = {figure: max(row[figure] for row in rows) for figure in rows[0] if figure != "fault"}
    return worst | {figure: sum(row[figure] for row in rows) for figure in ("due", "failed")}


def _gaps(gaps):
    header = ("fault", "due", "failed", "longest gap", "slowest answer", "p99", "the client's own delay")
    figures = ("longest_gap_ms", "slowest_ms", "p99_ms", "client_delay_ms")
    found = []
    for fault in dict.fromkeys(row["fault"] for row in gaps):
        worst = _worst(gaps, fault)
        found.append((fault, f"{worst['due']}", f"{worst['failed']}", *(f"{worst[one]:.0f} ms" for one in figures)))
    return header, found
