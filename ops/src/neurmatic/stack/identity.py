"""[stack]: what this stack is called and for whom it answers."""

from typing import Literal

from pydantic import Field

from neurmatic.stack.section import HostName, Name, Section

Environment = Literal["development", "staging", "production"]


class Identity(Section):
    """What this stack is called, and the one public host name that feeds every URL."""

    name: Name = Field(description="The stack's name; part of every message and of the state folder on a server.")
    host: HostName = Field(
        default="localhost", description="The one public host name. Every public URL is made from it."
    )
    environment: Environment = Field(
        default="development", description="Which [environments.NAME] overlay applies when --environment isn't given."
    )
    user: Name = Field(
        default="neurmatic", description="The unprivileged account that runs everything when started by root."
    )
