"""Waiting, for tests of what happens by itself."""

import time


def eventually(holds, seconds=20, seen=lambda: "nothing more is known"):
    """Ask until it holds; returns what it said. The failure says what is seen instead."""
    until = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < until, f"not within {seconds} s: {seen()}"
        time.sleep(0.1)
    return result
