"""[secrets]: names of secret variables; values live in the state folder, never in the stack file."""

from typing import Annotated

from pydantic import Field

from neurmatic.stack.section import Section, VariableName

Names = Annotated[tuple[VariableName, ...], Field(strict=False)]


class Secrets(Section):
    """Secret variables of the services. Values live in the state folder's secrets.env, mode 0600."""

    generate: Names = Field(default=(), description="Made once: 64 URL-safe characters from a CSPRNG.")
    require: Names = Field(
        default=(), description="Written by the operator into secrets.env; nothing starts while one is missing."
    )
