import pytest
from containers.engine import started_engine
from containers.platform import Platform


@pytest.fixture(scope="session")
def engine():
    with started_engine() as one:
        yield one


@pytest.fixture(scope="session")
def images(engine):
    """Tags of the production images."""
    return {name: engine.image(name) for name in ("backend", "frontend", "edge")}


@pytest.fixture(scope="module")
def production(engine, images, tmp_path_factory):
    """The platform as its production file brings it up, with other ports and another network."""
    one = Platform(engine, tmp_path_factory.mktemp("production"), "production", subnet=1)
    try:
        one.up()
        yield one
    finally:
        one.down("--volumes")
