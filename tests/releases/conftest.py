"""One running stack for each module; what breaks it heals it."""

import pytest
from rolling import Rolling


@pytest.fixture(scope="module")
def shared(request):
    """A module says in EDITS what its stack file has otherwise."""
    one = Rolling()
    for edit in getattr(request.module, "EDITS", ()):
        one.edit(*edit)
    try:
        one.run("up")
        yield one
    finally:
        one.remove()


@pytest.fixture
def stack(shared):
    """It, with a good release that serves, and an edited stack file put back."""
    text = shared.file.read_text()
    yield shared
    shared.file.write_text(text)
