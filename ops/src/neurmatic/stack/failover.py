"""[edge.failover]: when an instance stops getting requests, and when it gets them again."""

from pydantic import Field

from neurmatic.stack.section import Section


class Failover(Section):
    """The guard asks every routed instance for its readiness and leads requests around those that are not ready."""

    interval: float = Field(default=0.5, ge=0.1, le=60, description="Seconds between two questions to an instance.")
    timeout: float = Field(default=1.0, ge=0.1, le=60, description="Seconds until a question counts as not answered.")
    fall: int = Field(default=2, ge=1, le=100, description="Bad answers in a row that take an instance out.")
    rise: int = Field(default=2, ge=1, le=100, description="Good answers in a row that bring it back.")
    hung_seconds: float = Field(
        default=3,
        ge=0,
        le=3600,
        description="Seconds without any answer from `health.live` after which an instance is killed, so that its "
        "supervisor starts it anew and requests stuck in it go elsewhere; 0: never. Only for services that name one.",
    )
