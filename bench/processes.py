"""Processes that the benchmark starts, waits for, and ends."""

import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neurmatic.stack.layout import SYSTEM_PATH

START_SECONDS = 30
END_SECONDS = 10


@contextmanager
def running(argv, log: Path, **how) -> Iterator[subprocess.Popen]:
    """A process in a session of its own: Ctrl-C ends the benchmark, and the benchmark ends the process."""
    with log.open("ab") as out:
        how = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out, "start_new_session": True} | how
        process = subprocess.Popen(argv, **how)
    try:
        yield process
    finally:
        _end(process)


def _end(process):
    if process.stdin:
        process.stdin.close()
    for sent in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, sent)
        try:
            process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def apart(behind: list[int], before: list[int]) -> Iterator[None]:
    """Half of the cores for the processes behind, the others for those before them and what is started meanwhile."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    before = [os.getpid(), *before]
    _put(behind, cores[:half] or cores)
    _put(before, cores[half:])
    try:
        yield
    finally:
        _put([*behind, *before], cores)


def _put(pids, cores):
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").glob("*"):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.sched_setaffinity(int(thread.name), cores)


def await_answer(url, log: Path, ca=None):
    """Wait for a 2xx; ends the benchmark with what the process said when none comes."""
    tls = ssl.create_default_context(cafile=ca) if ca else None
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5, context=tls):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > until:
                sys.exit(f"bench: no answer at {url}: {error}\n{log.read_text()[-2000:]}")
            time.sleep(0.1)


def program(name):
    """A server's program: an operator's PATH may have no sbin."""
    return shutil.which(name, path=SYSTEM_PATH) or sys.exit(f"bench: {name} is missing")
