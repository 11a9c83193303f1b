"""Where in a TOML text a key stands; tomllib keeps no positions."""

import re

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")

Path = tuple[str, ...]


def _parts(dotted: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def line_numbers(text: str) -> dict[Path, int]:
    """Line of each table header and each key that starts a line, by path; inline tables count as their key."""
    lines: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            parts = _parts(key[1])
            for length in range(1, len(parts) + 1):  # health.ready = … stands for health, too
                lines.setdefault(table + parts[:length], number)
    return lines


def nearest_line(lines: dict[Path, int], path: Path) -> int:
    """Line of the path, or of the closest enclosing table that the text names; 1 when there is none."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)
