"""How long the tool's commands take, by hyperfine, against a Python that does nothing."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from stack import Stack

RUNS = 10
AIMS = {"neurmatic --help": 6, "neurmatic status": 16}


def measure(stack: Stack, folder: Path, rounds: int, say):
    """Seconds of each command (median of all runs), and how many times the empty Python's they are."""
    neurmatic = Path(sys.executable).with_name("neurmatic")
    own = f"--file {stack.platform.file} --state {stack.platform.state}"
    commands = {
        "python -c pass": f"{sys.executable} -c pass",
        "neurmatic --help": f"{neurmatic} --help",
        "neurmatic status": f"{neurmatic} status {own}",
    }
    times = {name: [] for name in commands}
    for number in range(1, rounds + 1):
        say(f"commands, round {number} of {rounds}")
        for name, seconds in zip(commands, _hyperfine(list(commands.values()), folder / "commands.json"), strict=True):
            times[name] += seconds
    empty = median(times["python -c pass"])
    return [
        {"command": name, "seconds": round(median(all_), 4), "times_empty": round(median(all_) / empty, 1)}
        for name, all_ in times.items()
    ]


def _hyperfine(commands, export: Path):
    argv = ["hyperfine", "-N", "--style=none", "--warmup=2", f"--runs={RUNS}", f"--export-json={export}", *commands]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"bench: hyperfine failed: {done.stdout}{done.stderr}")
    return [one["times"] for one in json.loads(export.read_text())["results"]]
