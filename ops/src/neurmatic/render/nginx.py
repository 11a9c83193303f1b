"""nginx's configuration, from templates/nginx.conf.j2: an operator who knows nginx finds his way in it."""

from typing import NamedTuple

import jinja2

from neurmatic.render.file import File, Files
from neurmatic.stack.layout import Layout
from neurmatic.stack.model import Stack

CONFIG = "config/nginx/nginx.conf"


class Upstream(NamedTuple):
    """A service that the edge sends requests to."""

    name: str
    servers: tuple["UpstreamServer", ...]


class UpstreamServer(NamedTuple):
    """One instance; one that is out gets no requests, whatever its state."""

    port: int
    out: bool


class Location(NamedTuple):
    """A URL prefix and the upstream that answers it."""

    route: str
    upstream: str
    websocket: bool


def render_nginx(stack: Stack, layout: Layout, release: str, out: frozenset[str] = frozenset()) -> Files:
    """The edge's configuration for this release of the stack; the instances named in `out` get no requests."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurmatic.render"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  nginx's syntax; every value was validated against what nginx takes literally
    )
    environment.filters["seconds"] = lambda value: f"{value:g}s"
    routed = {name: service for name, service in stack.services.items() if service.routes}
    servers = {
        name: tuple(UpstreamServer(i.port, i.name in out) for i in stack.instances() if i.service == name and i.port)
        for name in routed
    }
    root = layout.workdir(release, has_files=bool(stack.release.files))
    text = environment.get_template("nginx.conf.j2").render(
        stack=stack,
        edge=stack.edge,
        listen=f"[{stack.edge.listen}]" if ":" in stack.edge.listen else stack.edge.listen,
        site=stack.site,
        site_root=root / stack.site.root if stack.site else None,
        static={prefix: root / folder for prefix, folder in stack.edge.static.items()},
        run=layout.run,
        tls=layout.tls,
        mime_types="/etc/nginx/mime.types",
        upstreams=[Upstream(name, servers[name]) for name in routed],
        locations=[Location(r, name, r in one.websockets) for name, one in routed.items() for r in one.routes],
    )
    return {CONFIG: File(text)}
