"""Run the readiness checks and write the report. Every line of it is a check that just ran, or says that none did.

Without SLUG, all claims of the catalogue. Checks that break something do it to a rehearsal copy of the stack, with
ports and data of its own, never to the one that serves. The report goes to the state folder, reports/, as Markdown,
one HTML page, and JSON. Exit code 1 when a check fails; what could not be executed is `unverifiable`, never a tick.
"""

import argparse
import json
from datetime import UTC, datetime

from neurmatic import __version__
from neurmatic.cli.context import HOST, Terminal
from neurmatic.cli.loaded import prepare_up
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.finding import Finding, Status
from neurmatic.readiness.report import WORDS, Report, markdown, page
from neurmatic.readiness.run import choose, find_check
from neurmatic.readiness.run import run as run_checks
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases import running
from neurmatic.releases.project import Quiet
from neurmatic.stack.layout import Layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="claims to check, such as health.live (default: all)")
    parser.add_argument(
        "--section", type=int, metavar="N", help="only the claims of this section of the catalogue, 1 to 8"
    )
    parser.add_argument("--quick", action="store_true", help="only the checks that take a few seconds")
    parser.add_argument("--list", action="store_true", help="list the claims and whether a check exists; run nothing")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    if args.list:
        return _list(as_json=args.json)
    chosen = choose(args.slugs, args.section)
    up = prepare_up(args, place=False)
    running.read(HOST, up.layout)  # nothing to verify unless something was started
    reporter = Quiet() if args.json else Terminal()
    subject = Subject(View(HOST, up.layout, up.stack), up.user, reporter.say)
    findings = []
    try:
        for finding in run_checks(subject, chosen, quick=args.quick):
            findings.append(finding)
            if finding.status is not Status.UNCHECKED or args.slugs:
                reporter.say(_line(finding))
    finally:
        subject.close()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    report = Report(now, up.stack.name, up.stack.environment, __version__, tuple(findings))
    written = _write(up.layout, report)
    if args.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print(f"\n{report.headline()}\n  {written}")
    return 0 if report.ok else 1


def _line(one: Finding) -> str:
    head = f"{WORDS[one.status]:12} {one.slug:24} {one.duration_s:5.1f} s"
    if one.status is Status.PASS:
        return head
    return f"{head}\n    {one.evidence}" + (f"\n    next: {one.hint}" if one.hint else "")


def _list(*, as_json: bool) -> int:
    rows = [(claim.slug, find_check(claim)) for claim in claims()]
    words = {slug: "none yet" if check is None else "quick" if check.quick else "yes" for slug, check in rows}
    print(json.dumps(words, indent=2) if as_json else "\n".join(f"{slug:28} {word}" for slug, word in words.items()))
    return 0


def _write(layout: Layout, report: Report) -> str:
    """Write the three forms; returns the path of the page."""
    texts = {"json": json.dumps(report.as_json(), indent=2) + "\n", "md": markdown(report), "html": page(report)}
    for ending, text in texts.items():
        HOST.write(layout.reports / f"readiness.{ending}", text)
    return str(layout.reports / "readiness.html")
