"""[postgres]: the database, a cluster of this stack's own."""

from pydantic import Field

from neurmatic.stack.section import Port, Section, Size


class Postgres(Section):
    """PostgreSQL with a data folder of its own, reachable on loopback alone."""

    port: Port = Field(default=8054, description="Port on 127.0.0.1.")
    database: str = Field(default="app", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="The application's database.")
    user: str = Field(
        default="app", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="The application's role; owns the database."
    )
    max_connections: int = Field(default=50, ge=5, le=10000, description="Connections the server accepts.")
    reserved_connections: int = Field(
        default=10,
        ge=3,
        description="Connections kept for operator, backups and migrations; the services share the rest.",
    )
    shared_buffers: Size = Field(default="128MB", description="Memory for cached pages.")
    effective_cache_size: Size = Field(
        default="512MB", description="What the planner may assume is cached, the system's cache included."
    )
    slow_statement_ms: int = Field(
        default=1000, ge=0, description="Statements slower than this (milliseconds) are logged."
    )
    revision: str = Field(
        default="",
        description="Query for the migrations' last revision, one value; what a backup or a release says of its schema.",
    )

    @property
    def free_connections(self) -> int:
        """What the services share."""
        return self.max_connections - self.reserved_connections
