"""[edge]: nginx, the one service that is reachable from outside."""

from pydantic import Field

from neurmatic.stack.cache import Cache
from neurmatic.stack.compression import Compression
from neurmatic.stack.cors import Cors
from neurmatic.stack.failover import Failover
from neurmatic.stack.headers import Headers
from neurmatic.stack.limits import Limits
from neurmatic.stack.maintenance import Maintenance
from neurmatic.stack.section import Port, Seconds, Section, UrlPath
from neurmatic.stack.trusted import Trusted
from neurmatic.stack.websocket import Websocket

FIRST_FREE_PORT = 1024


class Edge(Section):
    """nginx: TLS, the site's files, and the way to the services."""

    listen: str = Field(
        default="127.0.0.1", pattern=r"^[0-9a-fA-F.:]+$", description="The address on which the edge answers."
    )
    https_port: Port = Field(default=8443, description="Port for HTTPS.")
    http_port: Port = Field(default=8080, description="Port for HTTP, which only redirects to HTTPS.")
    control_port: Port = Field(
        default=8081, description="Port on 127.0.0.1 for the tool's own questions, and for an application's purges."
    )
    keepalive: int = Field(
        default=64, ge=1, le=4096, description="Idle connections kept open to each service's instances."
    )
    keepalive_timeout: Seconds = Field(
        default=1,
        gt=0,
        description="Seconds until nginx closes an idle one; less than the application keeps it, else a request meets a "
        "connection that is just being closed, and a POST fails. Gunicorn keeps them for 2 s, uvicorn and Node for 5 s.",
    )
    max_fails: int = Field(
        default=3, ge=1, le=100, description="Failures within `fail_timeout` that take an instance out."
    )
    fail_timeout: Seconds = Field(
        default=30, description="Seconds: the window for `max_fails`, and how long it stays out."
    )
    connect_timeout: Seconds = Field(
        default=2, description="Seconds to reach an instance before the next one is tried."
    )
    read_timeout: Seconds = Field(default=30, description="Seconds an instance may be silent within an answer.")
    static: dict[UrlPath, str] = Field(
        default_factory=dict, description="URL prefixes of folders, in the release or project, served by nginx itself."
    )
    body_size: str = Field(
        default="10m", pattern=r"^\d+[km]$", description="Largest request body, in nginx's notation."
    )
    limits: Limits = Field(default_factory=Limits, description="How much one client may ask for.")
    cache: Cache = Field(default_factory=Cache, description="Public answers that the edge keeps.")
    headers: Headers = Field(default_factory=Headers, description="Security headers.")
    cors: Cors = Field(default_factory=Cors, description="Which other sites may call the services.")
    compression: Compression = Field(default_factory=Compression, description="Which answers are made smaller.")
    websocket: Websocket = Field(default_factory=Websocket, description="Connections that stay open.")
    trusted: Trusted = Field(default_factory=Trusted, description="Who may name the client.")
    failover: Failover = Field(default_factory=Failover, description="When an instance gets no requests.")
    maintenance: Maintenance = Field(default_factory=Maintenance, description="What is said while it is closed.")

    @property
    def low_ports(self) -> bool:
        """Whether it listens where only root may, unless a right is given."""
        return min(self.https_port, self.http_port) < FIRST_FREE_PORT
