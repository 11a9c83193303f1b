"""Close the edge for maintenance, open it again, or say how it stands.

  neurmatic maintenance on       every request gets 503, Retry-After and a page (problem details where a service is routed)
  neurmatic maintenance off      everybody is let in again
  neurmatic maintenance          says whether it is closed, since when, by whom

No request is dropped by either. What the page says, when clients should ask again and which addresses are let in all the same stands in
[edge.maintenance] of the stack file and is read by `on`; `on` again applies a change. Still answered to everybody: the services' health
addresses, by the instances themselves; the redirects from HTTP, and the CA's questions there. Websockets of those not let in are closed
within half a minute. The edge stays closed whatever is started anew, `up` and the machine included, until `off`.

Exit code 1 when nginx goes on with something else than the switch says; 0 otherwise.
"""

import argparse
import json
from dataclasses import asdict

from neurmatic.cli.context import HOST, layout
from neurmatic.cli.loaded import prepare_up
from neurmatic.releases import running
from neurmatic.releases.maintenance import maintenance_of
from neurmatic.releases.project import check_format
from neurmatic.releases.switch import closed, loaded
from neurmatic.runtimes.choice import runtime_of
from neurmatic.stack.layout import Layout

DONE = {
    ("on", True): "closed",
    ("on", False): "nothing to do: it is closed just so",
    ("off", True): "open to everybody again",
    ("off", False): "nothing to do: it is open to everybody",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", nargs="?", choices=["on", "off", "status"], default="status", help="what to do (default: status)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    where = layout(args)
    running.read(HOST, where)  # refuses where nothing was ever started
    if args.action != "status":
        up = prepare_up(args, place=False)
        check_format(HOST, up.layout)
        maintenance = maintenance_of(HOST, up.layout, up.stack, up.user)
        changed = maintenance.close() if args.action == "on" else maintenance.open()
        if not args.json:
            print(DONE[args.action, changed])
            if args.action == "off":
                return 0
    return _show(where, as_json=args.json)


def _show(where: Layout, *, as_json: bool) -> int:
    now = closed(HOST, where)
    seen = runtime_of(HOST, where).inspect(["edge"]).get("edge")
    serves = bool(seen and seen.pid)
    has_loaded = loaded(HOST, where, running.read(HOST, where).control) if serves else None
    if as_json:
        print(json.dumps({"on": now is not None, "loaded": has_loaded, **(asdict(now) if now else {})}, indent=2))
        return 1 if has_loaded is False else 0
    print(now or "open to everybody")
    if now:
        print(f"they are told: {now.page or now.message} (503, Retry-After {now.retry_after})")
    if not serves:
        print("the edge does not run; so it will be when it starts")
    elif not has_loaded:
        print("! nginx goes on with something else; `neurmatic maintenance on` or `off` has it load what is meant")
    return 1 if has_loaded is False else 0
