"""[checks]: requests by which the readiness checks see the application work; the tool knows nothing else of it."""

from pydantic import Field

from neurmatic.stack.section import Section, UrlPath, Words


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
