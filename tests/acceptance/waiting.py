"""Waiting, for tests of what happens by itself."""

import time


def eventually(holds, seconds=20):
    """Ask until it holds; returns what it said."""
    until = time.monotonic() + seconds
    while not (result := holds()):
        assert time.monotonic() < until, f"not within {seconds} s"
        time.sleep(0.1)
    return result
