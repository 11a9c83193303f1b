"""gzip, and brotli where nginx has it, for the listed types alone, and never where an answer could tell a secret by its length."""

import gzip

from neurmatic.probes.http import Answer
from neurmatic.readiness.finding import Evidence, Unverifiable
from neurmatic.readiness.subject import Subject, View
from neurmatic.render.nginx import CONFIG

QUICK = True
MATRIX = {"": "", "gzip": "gzip", "br": "br", "gzip, br": "br", "br;q=0, gzip": "gzip", "identity": "", "deflate": ""}


def check(subject: Subject, evidence: Evidence) -> None:
    live = subject.live
    config = live.host.read(live.layout.state / CONFIG) or ""
    has_brotli = "brotli on;" in config
    evidence.expect(f"gzip_comp_level {live.stack.edge.compression.level};" in config, "gzip's level as configured")
    path, whole = _large(live)
    for accept, coding in MATRIX.items():
        wanted = coding if coding != "br" or has_brotli else "gzip" if "gzip" in accept else ""
        answer = live.get(path, headers={"Accept-Encoding": accept})
        seen = answer.headers.get("content-encoding", "")
        evidence.expect(
            seen == wanted and (not seen or len(answer.body) < len(whole)),
            f"{path}, Accept-Encoding {accept or 'none'}: {seen or 'as it is'}, {len(answer.body)} bytes",
        )
        if seen == "gzip":
            evidence.expect(gzip.decompress(answer.body) == whole, "what comes out of it is the whole answer")
    evidence.expect(
        has_brotli or "brotli" not in config, f"brotli: {'on' if has_brotli else 'nginx has no such module here'}"
    )
    for name, limit in live.stack.edge.limits.credentials.items():
        block = config.partition(f'check("{name}={limit.per_minute}")')[2][:200]
        evidence.expect("gzip off;" in block, f"credential addresses ({name}) are left as they are")


def _large(live: View) -> tuple[str, bytes]:
    """An answer worth compressing: the site's page, a cached list, or whatever is long enough."""
    paths = ["/", *live.stack.edge.cache.paths, str(live.stack.checks.read or "/")]
    for path in paths:
        answer: Answer = live.get(path, headers={"Accept-Encoding": "identity"})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        listed = kind in ("text/html", *live.stack.edge.compression.types)
        if answer.status == 200 and listed and len(answer.body) > live.stack.edge.compression.min_bytes:
            return path, answer.body
    raise Unverifiable(f"no answer of {', '.join(paths)} is long enough to be compressed", "set [checks] read")
