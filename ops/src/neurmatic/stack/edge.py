"""[edge]: nginx, the one service that is reachable from outside."""

from pydantic import Field

from neurmatic.stack.section import Port, Seconds, Section, UrlPath


class Edge(Section):
    """nginx: TLS, the site's files, and the way to the services."""

    listen: str = Field(
        default="127.0.0.1", pattern=r"^[0-9a-fA-F.:]+$", description="The address on which the edge answers."
    )
    https_port: Port = Field(default=8443, description="Port for HTTPS.")
    http_port: Port = Field(default=8080, description="Port for HTTP, which only redirects to HTTPS.")
    keepalive: int = Field(
        default=64, ge=0, le=4096, description="Idle connections kept open to each service's instances."
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
