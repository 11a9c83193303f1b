"""`neurmatic -H a -H b`: one command on several hosts, each line of its output behind the host's name."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from neurmatic.errors import ConfigurationError
from neurmatic.remote import session
from neurmatic.remote.fleet import End, each, fleet
from neurmatic.remote.session import Sent
from neurmatic.remote.target import ALONE, CHANGING, Target
from neurmatic.remote.together import Command


class Shown:
    """Prints what is heard of each host; with `as_json`, what commands write to their output is kept for the end."""

    def __init__(self, hosts: Sequence[str], *, as_json: bool) -> None:
        self._width = max(map(len, hosts))
        self._kept: dict[str, list[str]] | None = {host: [] for host in hosts} if as_json else None

    def tell(self, host: str, stream: str, line: str) -> None:
        """A line that a command wrote there to ``out`` or ``err``."""
        if stream == "out" and self._kept is not None:
            self._kept[host].append(line)
            return
        with suppress(BrokenPipeError):  # that nobody reads it any more stops nothing, least of all a way back
            print(f"{host:{self._width}} | {line}", file=sys.stdout if stream == "out" else sys.stderr, flush=True)

    def say(self, host: str, text: str) -> None:
        """What is done about it from here."""
        for line in text.splitlines():
            self.tell(host, "err", line)

    def output(self, host: str) -> Any:
        """What the command wrote there as JSON; a list where each line is JSON of its own, text where it is none."""
        lines = self._kept[host] if self._kept else []
        for text in ("\n".join(lines), f"[{','.join(lines)}]"):
            with suppress(ValueError):
                return json.loads(text)
        return "\n".join(lines)


def run(targets: Sequence[Target], command: Command, sent: Sent | None, *, as_json: bool) -> int:
    """Run it on each; returns the worst exit code."""
    hosts = [str(one) for one in targets]
    if len(set(hosts)) < len(hosts):
        raise ConfigurationError("a host is named twice", "name each once")
    if command.name in ALONE or command.follows:
        raise ConfigurationError(
            f"`{' '.join(command.words)}` runs on one host at a time", "give -H once, for one after the other"
        )
    shown = Shown(hosts, as_json=as_json)
    if command.only_looks or command.name not in CHANGING:
        return _each(targets, command, sent, shown, as_json=as_json)
    with fleet(targets, command, sent, shown) as hosts_together:
        hosts_together.prepare()
        hosts_together.go()
    ends = hosts_together.ends
    if as_json:
        print(json.dumps({end.host: _as_json(end, shown) for end in ends}, indent=2))
    else:
        print("\n".join(_lines(ends, command)))
    return hosts_together.code


def _each(targets: Sequence[Target], command: Command, sent: Sent | None, shown: Shown, *, as_json: bool) -> int:
    def run_on(target: Target) -> int:
        host = str(target)
        return session.run(target, command.words, sent, partial(shown.say, host), partial(shown.tell, host))

    code = each(targets, run_on, shown)
    if as_json:
        print(json.dumps({str(one): shown.output(str(one)) or None for one in targets}, indent=2))
    return code


def _as_json(end: End, shown: Shown) -> dict[str, Any]:
    stands = end.stands
    return {
        "result": end.result,
        "reason": end.reason or None,
        "next": end.next or None,
        "release": stands.release if stands else None,
        "instances": dict(stands.instances) if stands else None,
        "maintenance": stands.closed if stands else None,
        "output": shown.output(end.host) or None,
    }


def _lines(ends: Sequence[End], command: Command) -> Iterator[str]:
    """What is said at the end: for each host what serves, and what is left to be done by hand."""
    whole = all(end.result == "done" for end in ends)
    clean = not any(end.next for end in ends)
    yield f"\n{command.name}: " + (
        f"done on {len(ends)} hosts"
        if whole
        else "failed; every host is as it was before"
        if clean
        else "failed, and NOT every host is as it was before"
    )
    width = max(len(end.host) for end in ends)
    for end in ends:
        reason = f": {end.reason.splitlines()[0]}" if end.reason else ""
        yield f"{end.host:{width}}  {end.result}{reason}; {end.stands or 'how it stands is not known'}"
        if end.next:
            yield f"{'':{width}}  next: {end.next}"
