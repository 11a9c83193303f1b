"""[release]: how a version of the application is made, from files of the project to a folder of its own."""

from typing import Annotated

from pydantic import AfterValidator, Field

from neurmatic.stack.section import Commands, Name, Section, Words


def _inside(pattern: str) -> str:
    if pattern.startswith("/") or ".." in pattern.split("/") or "**" in pattern or not pattern.strip("/"):
        raise ValueError("must be a path or pattern below the project, without .. and **")
    return pattern


class Release(Section):
    """How a release is made. Without `files`, services run in the project's own folder."""

    version: str = Field(
        default="0.1.0",
        pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,60}$",
        description="The version's name; the digest of `files` is appended, so that each content is one release.",
    )
    files: Words = Field(
        default=(), description="Files and folders of the project that a release consists of; copied into its folder."
    )
    make: Commands = Field(
        default=(),
        description="Commands run in a clean checkout of the project, which make `files` there: for `neurmatic deploy --git`.",
    )
    build: Commands = Field(
        default=(), description="Commands run inside the new release's folder before it counts as made."
    )
    migrate: Words = Field(
        default=(), description="Command run once per release, before its first request, with `service`'s environment."
    )
    migrations: Annotated[str, AfterValidator(_inside)] | None = Field(
        default=None,
        description="Where the SQL files that `migrate` runs lie in the project, such as `migrations/*.sql`; they are read before they run "
        "and refused if they lock tables for long or break the release before: see `neurmatic migrations --help`.",
    )
    seed: Words = Field(
        default=(), description="Command run after `migrate`, once per release: content that a new stack starts with."
    )
    service: Name | None = Field(
        default=None, description="The service whose environment `migrate` and `seed` get; default: the first one."
    )
    timeout: float = Field(default=600, gt=0, description="Seconds that one build, migrate or seed command may take.")
