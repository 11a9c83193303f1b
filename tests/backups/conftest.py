import uuid

import faulty
import pytest
import s3servers


def _served(kind):
    one = kind()
    yield one
    one.remove()


@pytest.fixture(scope="session")
def rclone():
    yield from _served(s3servers.Rclone)


@pytest.fixture(scope="session")
def moto():
    yield from _served(s3servers.Moto)


@pytest.fixture(scope="session")
def swift():
    yield from _served(s3servers.Swift)


@pytest.fixture
def own_rclone():
    """One for a test that kills it."""
    yield from _served(s3servers.Rclone)


@pytest.fixture(params=["rclone", "swift", "moto"])
def server(request):
    """Each of them: what must hold everywhere."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def prefix():
    """A test's own folder of a bucket."""
    return f"stacks/{uuid.uuid4().hex[:8]}"


@pytest.fixture
def proxy():
    """Makes a proxy in front of a server."""
    made = []

    def make(server, **how):
        made.append(faulty.Proxy(server, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()
