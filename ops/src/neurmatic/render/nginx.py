"""nginx's configuration: TLS, limits, cache, the site's files, and the way to the services."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

import jinja2

from neurmatic.render.file import File, Files
from neurmatic.render.locations import locations
from neurmatic.render.maintenance import CLOSED
from neurmatic.render.places import LOOPBACK, LOOPBACK_ADDRESS, Places
from neurmatic.stack.headers import NAMES as SECURITY_HEADERS
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

FOLDER = "config/nginx"
CONFIG = f"{FOLDER}/nginx.conf"
LUA = ("body", "cache", "credentials", "errors")
_NEVER_PASSED = ("Server", "X-Request-ID", "X-Powered-By", "X-Cache", "Access-Control-Allow-Origin", "Access-Control-Allow-Credentials",
    "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Max-Age")  # fmt: skip


class Upstream(NamedTuple):
    """A service that the edge sends requests to, and the file that lists its instances."""

    name: str
    servers: str


def render_nginx(  # noqa: PLR0913  the edge stands between all of these
    stack: Stack,
    layout: Layout,
    release: str,
    modules: Sequence[str],
    places: Places = LOOPBACK,
    *,
    before: str = "",
    kept: Sequence[str] = (),
) -> Files:
    """The edge's configuration for this release of the stack.

    Args:
        stack: what it stands in front of.
        layout: where everything lies.
        release: the one that serves.
        modules: full paths of nginx's own.
        places: where the instances are.
        before: the release whose pages may still be open; its folder need not be there.
        kept: URL prefixes of a site that is a service, whose files lie in the releases' folders, too.
    """
    root = layout.workdir(release, has_files=bool(stack.release.files))
    edge = stack.edge
    values: dict[str, Any] = {
        "stack": stack,
        "edge": edge,
        "limits": edge.limits,
        "compression": edge.compression,
        "cors": edge.cors,
        "trusted": edge.trusted,
        "site": stack.site,
        "release": release,
        "modules": modules,
        "brotli": any("brotli" in module for module in modules),
        "aliases": list(stack.tls_names[1:]),
        "listen": f"[{edge.listen}]" if ":" in edge.listen else edge.listen,
        "control": dict.fromkeys((LOOPBACK_ADDRESS, places.of("edge"))),
        "config": layout.state / FOLDER,
        "lua": layout.state / FOLDER / "lua",
        "run": layout.run,
        "certificate": layout.certificate,
        "stapling": layout.stapling,
        "challenges": layout.challenges,
        "maintenance": layout.maintenance,
        "switch": layout.switch,
        "closed": CLOSED,
        "mime_types": "/etc/nginx/mime.types",
        **_site(stack, layout, release, before, kept),
        "static": {prefix: root / folder for prefix, folder in edge.static.items()},
        "cors_origins": dict.fromkeys((stack.url, *edge.cors.origins)),
        "headers": [(name, value) for name, value in edge.headers.items() if name != "Strict-Transport-Security"],
        "hidden": (*SECURITY_HEADERS.values(), *_NEVER_PASSED),
        "upstreams": [Upstream(name, str(layout.upstream(name))) for name in stack.routed()],
        "locations": locations(stack),
        "probes": [one for one in locations(stack) if one.probe],
        "services": _services(stack),
        "page_services": [name for name, one in stack.routed().items() if "/" in one.routes],
    }
    return _filled(_environment(stack), values)


def _filled(environment: jinja2.Environment, values: Mapping[str, Any]) -> Files:
    """Every file, and in nginx.conf a digest of all of them."""
    main, common = (environment.get_template(f"{name}.j2") for name in ("nginx.conf", "common.conf"))
    texts = {"common.conf": common.render(values)} | {f"lua/{name}.lua": _lua(name) for name in LUA}
    content = main.render(values, generation="") + "".join(texts.values())
    texts["nginx.conf"] = main.render(values, generation=sha256(content.encode()).hexdigest()[:12])
    return {f"{FOLDER}/{name}": File(text) for name, text in texts.items()}


def _site(stack: Stack, layout: Layout, release: str, before: str, kept: Sequence[str]) -> dict[str, Any]:
    """Where the site's files lie, those of the release before among them, and which prefixes have hashes in their names."""
    site, has_files = stack.site, bool(stack.release.files)
    if site is None:
        return {
            "immutable": kept,
            "site_root": layout.kept(release),
            "site_before": layout.kept(before) if before and kept else None,
        }
    return {
        "immutable": (site.immutable,),
        "site_root": layout.workdir(release, has_files=has_files) / site.root,
        "site_before": layout.release(before) / site.root if before and has_files else None,
    }


def generation(config: str) -> str:
    """What an nginx that has loaded this nginx.conf says at its control port's /generation."""
    return config.partition("/generation {")[2].partition("return 200 ")[2].partition(";")[0]


def _environment(stack: Stack) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurmatic.render"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  it is no HTML; every value is validated by its section
    )
    credentials = stack.edge.limits.credentials
    environment.filters["seconds"] = _seconds
    environment.filters["regex"] = re.escape
    environment.filters["bucket"] = lambda name: f"{name}={credentials[name].per_minute}"
    environment.filters["lua_key"] = lambda name: f'["{name.lower()}"] = true'
    return environment


def _seconds(value: float) -> str:
    return f"{value:.0f}s" if value == int(value) else f"{value * 1000:.0f}ms"


def _services(stack: Stack) -> list[tuple[str, str]]:
    """(route, service), the longest first, as a map tries them."""
    routes = [(route, name) for name, one in stack.services.items() for route in one.routes]
    return sorted(routes, key=lambda pair: -len(pair[0]))


def _lua(name: str) -> str:
    return (files(__package__) / "lua" / f"{name}.lua").read_text(encoding="utf-8")
