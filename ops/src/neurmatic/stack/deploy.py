"""[deploy]: how a release goes live, and how many of them are kept for a rollback."""

from pydantic import Field

from neurmatic.stack.section import Seconds, Section


class Deploy(Section):
    """A new release starts beside the one that serves; constant load through the edge says what clients notice."""

    rate: float = Field(
        default=20, gt=0, le=500, description="Requests a second to each probed URL while a deploy is on its way."
    )
    watch: Seconds = Field(
        default=5,
        description="Seconds from the switch until the old release's instances end; what goes wrong until then switches back.",
    )
    max_failed: int = Field(
        default=0, ge=0, description="Failed requests after the switch that are borne before it is switched back."
    )
    keep: int = Field(
        default=5, ge=2, le=100, description="Releases that served last and are kept, the present one included."
    )
    keep_days: int = Field(default=14, ge=0, description="Days for which any other release is kept.")
    backup: bool = Field(default=True, description="Back up and prove first, where the stack has a [backup].")
