"""The staging file on a real engine: its servers alone, for their figures are what differs."""

import pytest
from containers.platform import Platform

MEGABYTE = 1024**2


@pytest.fixture(scope="module")
def staging(engine, images, tmp_path_factory):
    one = Platform(engine, tmp_path_factory.mktemp("staging"), "staging", subnet=3)
    try:
        one.up("postgres", "redis")
        yield one
    finally:
        one.down("--volumes")


def test_the_servers_run_with_the_figures_of_the_environment(staging):
    assert [staging.sql(f"SHOW {name}") for name in ("max_connections", "shared_buffers")] == ["100", "256MB"]
    said = {name: staging.redis("config", "get", name)[1] for name in ("maxmemory", "appendonly")}
    assert said["maxmemory"] == str(512 * MEGABYTE) and said["appendonly"] == "yes"
    assert staging.redis("config", "get", "save")[1:] == ["900", "1", "300", "10", "60", "10000"]
    limits = {name: one["HostConfig"]["Memory"] // MEGABYTE for name, one in staging.running().items()}
    assert limits == {"postgres": 1024 + 100 * 5, "redis": 512 * 3 // 2 + 32}
