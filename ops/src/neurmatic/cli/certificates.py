"""Show the edge's certificate: names, issuer, end, source, OCSP, and when it is renewed. Exit code 1 when it is red.

`neurmatic certificates renew` makes, takes or has issued a new one when that is due, checks it, and has nginx load it
without dropping a request; what fails leaves the one before in place. A stack with ACME runs it twice a day by itself.
"""

import argparse
import json

from neurmatic.cli.context import HOST, Terminal
from neurmatic.cli.loaded import prepare_up
from neurmatic.releases import expiry
from neurmatic.releases.certificates import Certificates, certificates_of
from neurmatic.releases.events import actor
from neurmatic.releases.lock import locked
from neurmatic.releases.project import Quiet, check_format


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=["show", "renew"], default="show", help="what to do (default: show)"
    )
    parser.add_argument("--force", action="store_true", help="with renew: though it isn't due")
    parser.add_argument(
        "--wait",
        type=float,
        default=0,
        metavar="SECONDS",
        help="with renew: how long to wait for another command's end",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    up = prepare_up(args, place=False)
    check_format(HOST, up.layout)
    reporter = Quiet() if args.json else Terminal()
    certificates = certificates_of(HOST, up.layout, up.stack, reporter, up.user)
    expiry.look(certificates)  # nothing to renew where nothing was started
    if args.action == "renew":
        with locked(HOST, up.layout, f"neurmatic certificates renew by {actor()}", reporter, args.wait):
            decision = certificates.renew(force=args.force)
        if not args.json:
            print("nothing to do: " + decision.why if decision.action == "keep" else "done")
            return 0
    return _show(certificates, as_json=args.json)


def _show(certificates: Certificates, *, as_json: bool) -> int:
    one = expiry.look(certificates)
    if as_json:
        print(json.dumps(one.as_json(), indent=2))
        return 1 if one.problems else 0
    renewal = one.schedule or "by `neurmatic up` and `neurmatic certificates renew`"
    rows = {
        "names": ", ".join(one.names),
        "issuer": one.issuer,
        "serial": one.serial,
        "key": one.key,
        "source": one.source,
        "valid until": f"{one.not_after} ({one.days_left:g} days left)",
        "OCSP": f"stapled, from {one.ocsp}" if one.ocsp else "the CA offers none: there is nothing to staple",
        "renewal": f"from {one.renew_from}, {renewal}" + (f"; next run {one.next_run}" if one.next_run else ""),
        "last": one.last or "none was asked for yet",
    }
    for name, value in rows.items():
        print(f"{name:12} {value}")
    for problem in one.problems:
        print(f"RED          {problem}")
    return 1 if one.problems else 0
