"""[watch]: when the machine itself counts as not well."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Section

Percent = Annotated[float, Field(ge=0, le=100)]


class Watch(Section):
    """Limits for `neurmatic health`."""

    disk_used_percent: Percent = Field(
        default=90, description="Percent of the state folder's disk in use, from which it is red."
    )
    memory_free_percent: Percent = Field(
        default=10, description="Percent of the machine's memory available, below which it is red."
    )
