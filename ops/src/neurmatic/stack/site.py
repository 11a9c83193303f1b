"""[site]: files that the edge serves itself."""

from pydantic import Field

from neurmatic.stack.section import Section


class Site(Section):
    """Static files served by the edge for every path that no service claims."""

    root: str = Field(
        description="Folder with the files, inside the release (or the project, without [release] files)."
    )
    index: str = Field(default="index.html", description="The page for a folder.")
    fallback: str = Field(
        default="", description="File for unknown paths (a single-page application's page); empty: 404."
    )
    immutable: str = Field(
        default="/assets/", description="URL prefix of files with a hash in their name; cached for a year."
    )
