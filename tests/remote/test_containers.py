"""The stack as containers on a server that ssh reaches: from bootstrap to a rollback, with a registry's images."""

import json
import shutil

import pytest
from containers.contained import Contained
from containers.engine import started_engine
from containers.registry import Registry
from housed import Housed
from server import Operator

SUBNET = "10.214.0.0/20"
SERVERS = {"postgres": "POSTGRES_IMAGE", "redis": "REDIS_IMAGE"}
BUILT = {"app": ("Dockerfile", "PYTHON_IMAGE"), "edge": ("deploy/images/edge/Dockerfile", "DEBIAN_IMAGE")}
BOOTSTRAP = ("bootstrap", "server", "--runtime", "containers")


@pytest.fixture(scope="module")
def engine():
    """This machine's, whose client has what Debian 12 lacks."""
    with started_engine() as one:
        yield one


@pytest.fixture(scope="module")
def operator(bare, engine):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", engine.env["DOCKER_CONFIG"])
        yield Operator(bare, "/var/tmp")


@pytest.fixture(scope="module")
def brought(operator):
    """What bootstrap said on a fresh server, and what it said again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", "/nonexistent")
        without = operator.run(*BOOTSTRAP, code=1)
    return without, operator.run(*BOOTSTRAP), operator.run(*BOOTSTRAP, "--json")


def test_one_command_brings_the_engine_too(bare, brought):
    without, first, again = brought
    assert "docker.io" in without.stderr
    assert "no compose and no buildx for the engine, and this machine none to send" in without.stderr
    assert "installing plugins of docker" in first.stderr
    assert "! the container engine doesn't answer at server yet" in first.stderr
    assert "next: neurmatic -H server up --runtime containers" in first.stdout
    assert bare.ssh("docker compose version --short").startswith("2.")
    assert json.loads(again.stdout)["changed"] is False
    assert "install" not in again.stderr


@pytest.fixture(scope="module")
def images(engine, tmp_path_factory):
    """A project, and a registry with its versions: what a build server would have left. Nothing of it is here afterwards."""
    registry = Registry(tmp_path_factory.mktemp("registry"))
    project = Contained(engine, SUBNET)
    try:
        registry.start()
        _fill(engine, registry, project)
        yield project, registry
    finally:
        registry.stop()
        shutil.rmtree(project.folder)


def _fill(engine, registry, project):
    named = []
    for name, variable in SERVERS.items():
        tag = f"{registry.name}/{name}:base"
        engine.run("tag", engine.env[variable], tag)
        registry.take(engine, tag)
        named.append(f'{name}_image = "{tag}"\n')
    for version in ("1.0", "1.1", "1.2"):
        project.behave()
        for name, (dockerfile, base) in BUILT.items():
            tag, given = f"{registry.name}/{name}:{version}", f"{base}={engine.env[base]}"
            engine.build(
                project.folder / dockerfile, tag, project.folder, "--target", "production", "--build-arg", given
            )
            registry.take(engine, tag)
    registry.stop()
    project.edit("[containers]\n", f'[containers]\nregistry = "{registry.name}"\n{"".join(named)}')
    project.edit("[release]\n", '[release]\nversion = "1.0"\n')


@pytest.fixture(scope="module")
def shop(bare, brought, images):
    """An operator whose project is up, as containers, on a server that has images from its registry alone."""
    project, registry = images
    server = Housed(bare)
    try:
        server.start_engine()
        server.start_registry(registry)
        operator = Operator(server, project.folder)
        operator.said = operator.run("-H", "second", "up", "--runtime", "containers")
        yield operator
        operator.run("-H", "second", "down", "--purge", "--yes", "--backups")
        assert server.containers() == []
    finally:
        server.remove()


def serving(operator):
    """(version, every instance's health) as the server says."""
    said = json.loads(operator.run("-H", "second", "status", "--json").stdout)
    return said["release"].partition("-")[0], {row["health"] for row in said["services"]}


def test_the_engine_that_answers_needs_nothing(shop):
    said = shop.run("bootstrap", "second", "--runtime", "containers", "--json")
    assert json.loads(said.stdout)["changed"] is False and said.stderr == ""


def test_up_runs_it_as_containers_there(shop):
    assert "is up" in shop.said.stdout
    assert serving(shop) == ("1.0", {"healthy"})
    assert len(shop.server.containers()) == len(["edge", "postgres", "redis", "app-1", "app-2"])


def test_a_version_is_deployed_and_rolled_back_with_no_request_lost(shop):
    deployed = json.loads(shop.run("-H", "second", "deploy", "1.1", "--json").stdout)
    assert deployed["measured"]["failed"] == 0 < deployed["measured"]["requests"]
    assert serving(shop) == ("1.1", {"healthy"})
    back = json.loads(shop.run("-H", "second", "rollback", "--json").stdout)
    assert back["measured"]["failed"] == 0 < back["measured"]["requests"]
    assert serving(shop) == ("1.0", {"healthy"})


def test_a_deploy_goes_on_when_the_connection_is_cut(shop):
    with shop.begin("-H", "second", "deploy", "1.2") as process:
        assert any("healthy" in line for line in process.stdout)
        shop.server.cut()
        _, said = process.communicate(timeout=30)
    assert process.returncode == 255
    assert "`neurmatic -H second attach`" in said
    shop.run("-H", "second", "attach")
    assert serving(shop) == ("1.2", {"healthy"})


def test_what_the_stack_claims_of_its_limits_is_checked_there(shop):
    shop.run("-H", "second", "verify", "stack.limits")
