"""Starts the command it is given, with the container's secrets as variables: a container is told none of their values.

Each file in /run/secrets is one secret, its name the variable's. Where the value of another variable says {NAME}, the
secret takes that place, so that a URL can be written down without its password.
"""

import os
import re
import sys
from pathlib import Path

FOLDER = Path("/run/secrets")


def filled(environ: dict[str, str], secrets: dict[str, str]) -> dict[str, str]:
    """The command's environment; braces around anything but a secret's name stay as they are."""
    names = re.compile("{(" + "|".join(map(re.escape, secrets)) + ")}")
    if not secrets:
        return environ
    return secrets | {name: names.sub(lambda found: secrets[found[1]], value) for name, value in environ.items()}


if __name__ == "__main__":
    files = [file for file in FOLDER.glob("*") if file.is_file()]
    environ = filled(dict(os.environ), {file.name: file.read_text(encoding="utf-8").strip() for file in files})
    # In place of this process, so that the command gets the engine's signals itself.
    os.execvpe(sys.argv[1], sys.argv[1:], environ)  # noqa: S606  no shell is wanted
