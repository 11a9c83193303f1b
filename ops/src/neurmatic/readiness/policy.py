"""What a Content-Security-Policy leaves open to somebody who gets text of theirs into a page. Pure."""

import re
from collections.abc import Iterator

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_UNSAFE = ("'unsafe-inline'", "'unsafe-eval'", "'unsafe-hashes'")
_NONE = ((), ("'none'",))


def holes(policy: str) -> list[str]:
    """Ways for foreign script, plugins, or foreign frames; empty for a policy that closes them all."""
    if "," in policy:
        return ["several policies in one header"]
    return list(_holes(_parse(policy)))


def _parse(policy: str) -> dict[str, tuple[str, ...]]:
    """The sources of each directive, as a browser reads them: of one that is repeated, the first counts."""
    directives: dict[str, tuple[str, ...]] = {}
    for part in policy.lower().split(";"):
        name, *sources = part.split() or [""]
        directives.setdefault(name, tuple(sources))
    return directives


def _holes(directives: dict[str, tuple[str, ...]]) -> Iterator[str]:
    of_scripts = set()
    for what, names in (
        ("scripts", ("script-src-elem", "script-src", "default-src")),
        ("handlers in attributes", ("script-src-attr", "script-src", "default-src")),
    ):
        governing = next((name for name in names if name in directives), None)
        if governing is None:
            yield f"no directive is about {what}"
            continue
        of_scripts.add(governing)
        weak = [source for source in directives[governing] if source in _UNSAFE or _is_foreign(source)]
        # The edge sends the same header with every page, so whoever read one page knows the nonce of the next.
        weak += [source for source in directives[governing] if source.startswith("'nonce-")]
        yield from (f"{governing} lets {source} run {what}" for source in weak)
    for name, sources in directives.items():
        if "'unsafe-inline'" in sources and name not in of_scripts:
            yield f"{name} has 'unsafe-inline'"
    plugins = directives.get("object-src", directives.get("default-src"))
    if plugins not in _NONE:
        yield f"plugins may come from {'anywhere' if plugins is None else ' '.join(plugins)}"
    for name in ("base-uri", "frame-ancestors"):  # these two fall back on nothing
        if name not in directives:
            yield f"{name} is missing"
        yield from (f"{name} has {source}" for source in directives.get(name, ()) if _is_foreign(source))


def _is_foreign(source: str) -> bool:
    """Whether it names places that nobody here chose: every host of a scheme, or every one under a name."""
    return "*" in source or bool(_SCHEME.fullmatch(source))
