"""Releases as containers on a real engine: good ones drop nothing, bad ones are borne, and whatever cuts a deploy off, one serves.

The rollout is the same as natively, and so are its own tests in tests/releases; these show what the engine does to it.
"""

import contextlib

import pytest
from containers.contained import STEPS, Contained, begin
from containers.registry import Registry

INTERRUPTED = 130
HASTY = ("start_timeout = 20", "start_timeout = 6"), ("\ntimeout = 20", "\ntimeout = 6")
"""Less patient with what never comes."""
WATCHFUL = (("watch = 1", "watch = 6"),)
"""Watching for as long as a release needs to go wrong."""
BAD = {
    "never ready": ({"never_ready": True}, "did not become healthy within 6 s", HASTY[:1]),
    "ends at its start": ({"exits": True}, "as it was told to", ()),
    "says another version": ({"says": "0.0.9-old"}, ", and it says that it is 0.0.9-old", HASTY[:1]),
    "one is ready and dies": ({"dies": [1.5, ["app-2", "app-34"]]}, "was ready and ended 1 time since", WATCHFUL),
    "its migration fails": ({"migrate": "fail"}, "migrate fails as it was told to", ()),
    "its migration hangs": ({"migrate": "hang"}, "did not end within 6 s", HASTY[1:]),
    "its build fails": ({"build": "fail"}, "build fails as it was told to", ()),
}


@pytest.fixture(scope="module")
def shared(engine):
    one = Contained(engine, "10.202.16.0/20")
    try:
        one.run("up", "--runtime", "containers")
        yield one
        one.run("down", "--purge", "--yes")
        assert one.left() == {"containers": [], "networks": [], "volumes": []}
    finally:
        one.remove()


@pytest.fixture
def stack(shared):
    """It, with a good release that serves, and an edited stack file put back."""
    text = shared.file.read_text()
    yield shared
    shared.end()
    shared.file.write_text(text)
    shared.others = {}


@contextlib.contextmanager
def borne(stack):
    """Whatever is done in the block: the release that serves goes on, no request fails, and nothing is left behind."""
    greeting, before = stack.get()["greeting"], stack.deployed["release"]
    with stack.unharmed():
        yield
        assert stack.get()["greeting"] == greeting and stack.deployed["release"] == before
        stack.behave_as(greeting)
        stack.check_whole(greeting)
        greeting = stack.behave()
        assert "cut off" not in stack.run("deploy")
        assert stack.get()["greeting"] == greeting


def test_a_deploy_and_the_way_back_drop_nothing(stack):
    old = stack.get()["greeting"]
    with stack.unharmed():
        greeting = stack.behave()
        said = stack.run("deploy")
        assert " requests, 0 failed, longest gap " in said
        stack.check_whole(greeting)
        stack.run("rollback")
        stack.check_whole(old)
        stack.run("deploy")
        stack.check_whole(greeting)


def test_a_service_is_scaled_and_stays_so(stack):
    greeting = stack.get()["greeting"]
    try:
        with stack.unharmed():
            assert "0 failed" in stack.run("scale", "app=4")
            stack.check_whole(greeting, 4)
            stack.run("up")
            stack.check_whole(greeting, 4)
            assert "0 failed" in stack.run("scale", "app=1")
            stack.check_whole(greeting, 1)
    finally:
        stack.run("scale", "app=2")  # the tests after this one begin with two
    stack.check_whole(greeting)


@pytest.mark.parametrize(("ways", "words", "edits"), BAD.values(), ids=BAD.keys())
def test_a_release_that(stack, ways, words, edits):
    with borne(stack):
        text = stack.file.read_text()
        for edit in edits:
            stack.edit(*edit)
        stack.behave(**ways)
        assert words in stack.run("deploy", code=1)
        stack.file.write_text(text)


@pytest.mark.parametrize("number", range(len(STEPS)), ids=STEPS)
def test_killed_when_it(stack, number):
    with stack.unharmed():
        command, moments, old, new = begin(stack)
        assert command.reach(getattr(moments, STEPS[number])), command.said
        command.kill()
        assert stack.get()["greeting"] in (old, new)
        stack.run(("deploy", "up")[number % 2])
        stack.check_whole(new)


@pytest.mark.parametrize("step", ["runs_the_migration", "has_started_one", "watches"])
def test_interrupted_when_it(stack, step):
    with borne(stack):
        command, moments, *_ = begin(stack)
        assert command.reach(getattr(moments, step)), command.said
        command.interrupt()
        assert command.wait() == INTERRUPTED, command.said


def test_a_migration_that_outlives_its_command_is_waited_for_and_ended_at_last(stack):
    stack.edit(*HASTY[1])
    with stack.unharmed():
        command, moments, *_ = begin(stack, migrate="hang")
        assert command.reach(moments.runs_the_migration)
        command.kill()
        new = stack.behave()
        assert "whose command was killed" in stack.run("deploy")
        stack.check_whole(new)  # of the container that hung nothing is left, either


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    one = Registry(tmp_path_factory.mktemp("registry"))
    one.start()
    yield one
    one.stop()


def test_a_version_comes_from_the_registry_and_goes_back(stack, registry):
    old, before = stack.get()["greeting"], stack.deployed["release"]
    greeting = pushed(stack, registry, "0.2.0")
    with stack.unharmed():
        stack.others = {"REGISTRY": registry.name}
        stack.run("deploy", "0.2.0")
        stack.others = {}
        assert stack.deployed["release"].startswith("0.2.0-")
        stack.check_whole(greeting)
        assert "there is no release" not in stack.run("rollback")
        assert stack.deployed["release"] == before
        stack.check_whole(old)
        stack.run("deploy", "0.2.0")  # it is here
        stack.check_whole(greeting)


def pushed(stack, registry, version):
    """A release that the registry has, and nobody else."""
    engine, before = stack.engine, (stack.folder / "behaviour.json").read_text()
    greeting = stack.behave()
    tag = f"{registry.name}/app:{version}"
    base = f"PYTHON_IMAGE={engine.env['PYTHON_IMAGE']}"
    engine.build(stack.folder / "Dockerfile", tag, stack.folder, "--target", "production", "--build-arg", base)
    registry.take(engine, tag)
    (stack.folder / "behaviour.json").write_text(before)
    return greeting


def test_a_registry_that_cannot_be_reached_changes_nothing(stack, registry):
    pushed(stack, registry, "0.3.0")
    greeting = stack.get()["greeting"]
    with stack.unharmed():
        stack.others = {"REGISTRY": registry.name}
        registry.stop()
        said = stack.run("deploy", "0.3.0", code=1)
        assert "can't be pulled" in said and "refused" in said
        stack.others = {}
        stack.check_whole(greeting)
        registry.start()
        stack.others = {"REGISTRY": registry.name}
        stack.engine.run("pull", f"{registry.name}/app:0.3.0")
        registry.stop()
        said = stack.run("deploy", "0.3.0")
        assert "can't be pulled, the one that is here is used" in said
    registry.start()


def test_without_an_engine_every_command_says_so(stack):
    before = stack.deployed
    with stack.unharmed():
        stack.others = {"DOCKER_HOST": "unix:///var/tmp/nobody-listens-here"}
        for words in (["up"], ["deploy"], ["rollback"], ["scale", "app=1"]):
            said = stack.run(*words, code=2)
            assert "the container engine does not answer" in said and "next: start it" in said, words
        said = stack.run("status", code=1)
        assert "Cannot connect to the Docker daemon" in said and "stopped" not in said
        stack.others = {}
        assert stack.deployed == before
        stack.check_whole(stack.get()["greeting"])


def test_another_stack_of_the_same_name_touches_nothing_of_this_one(stack, engine):
    other = Contained(engine, "10.202.48.0/20")
    before = stack.pids(), images_of(stack)
    try:
        said = other.run("up", "--runtime", "containers", code=2)
        assert "another stack on this host is called rolling-development" in said and str(stack.state) in said
        # Even if it was up once itself, under that name: what is there now isn't its own.
        for name in ("edge", *stack.placed()):
            (other.state / "services" / name).mkdir(parents=True)
        (other.state / "FORMAT").write_text("1\n")
        assert "nothing was running" in other.run("down")
    finally:
        other.remove()
    assert (stack.pids(), images_of(stack)) == before
    stack.run("health")


def images_of(stack):
    return set(stack.engine.run("image", "ls", "--format", "{{.Tag}}", f"{stack.project}/app").stdout.split())


def test_the_images_of_releases_that_no_rollback_needs_are_removed(stack):
    greeting = stack.get()["greeting"]
    stack.behave()
    stack.run("deploy")
    assert len(stack.json("releases")) > 2
    stack.edit("watch = 1", "watch = 1\nkeep = 2\nkeep_days = 0")
    stack.run("releases", "--prune")
    releases = {one["release"] for one in stack.json("releases")}
    assert images_of(stack) == {*releases, "0.1.0"} and len(releases) == 2  # that one is the newest build
    stack.run("rollback")
    stack.check_whole(greeting)
