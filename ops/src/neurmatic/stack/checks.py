"""[checks]: requests by which the readiness checks see the application work; the tool knows nothing else of it."""

from pydantic import Field

from neurmatic.stack.section import Name, Section, UrlPath, Words


class Edit(Section):
    """An edit of a source that changes an answer, by service of [containers.reload]: the check of hot reload makes it on a copy."""

    file: str = Field(description="A file of the project, in one of the service's mounts.")
    before: str = Field(min_length=1, description="What stands in the file, and in the answer.")
    after: str = Field(min_length=1, description="What is put in its place, and stands in the answer then.")
    path: UrlPath = Field(description="A GET that answers so; none that the edge caches.")


class Checks(Section):
    """Requests to the application that readiness checks make, always on a rehearsal copy where they change something."""

    read: UrlPath | None = Field(default=None, description="A public GET that needs the database.")
    enqueue: UrlPath | None = Field(default=None, description="A POST that puts one job into a queue.")
    enqueue_body: str = Field(default="{}", description="The JSON body of that POST.")
    fail: Words = Field(
        default=(),
        description="Command that puts as many jobs that can't succeed into a queue as its last argument says.",
    )
    websocket: UrlPath | None = Field(
        default=None, description="Where a websocket opens, with the query; within [edge.websocket] paths."
    )
    websocket_hello: str = Field(default="", description="What a client sends once it is open; empty: nothing.")
    announce: Words = Field(
        default=(),
        description="Command that has the application send every client a message which contains its last argument.",
    )
    edits: dict[Name, Edit] = Field(default_factory=dict, description="Edits that hot reload shows, by service.")
