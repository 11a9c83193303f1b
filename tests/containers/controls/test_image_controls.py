"""The checks of images and of the containers' rights: red for each thing too many, and for one that isn't well."""

import pytest
from containers.controls.sabotage import built, edited, first, image_of, image_tag, red, stray
from waiting import eventually

from neurmatic.readiness.finding import Status


@pytest.mark.parametrize("stage", ["builder", "development"])
def test_a_dockerfile_without_a_stage_is_noticed(examine, live, stage):
    with edited(live.project / "backend/Dockerfile", f" AS {stage}\n", " AS another\n"):
        red(examine("image.multi-stage"), f"not {stage}")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("install -m 755 /dev/null /usr/bin/gcc", "program /usr/bin/gcc"),
        ("install -m 755 /dev/null /app/venv/bin/neurmatic", "program /app/venv/bin/neurmatic"),
        ("mkdir -p /usr/local/lib/python3.11/site-packages/pytest-8.0.0.dist-info", "package pytest-8.0.0"),
        ("mkdir -p /app/tests && touch /app/tests/test_api.py", "test /app/tests/test_api.py"),
    ],
)
def test_what_has_no_place_in_an_image_is_noticed(examine, live, made, words):
    lines = f"FROM {image_tag(live, first(live))}", "USER 0", f"RUN {made}", "USER 10001"
    with built(live, *lines) as image, stray(live, "--entrypoint", "sleep", image=image, command=["600"]):
        red(examine("image.multi-stage"), words)


def test_a_development_image_in_production_is_noticed(examine, live):
    image = live.engine.image("backend", target="development")
    with stray(live, "--entrypoint", "sleep", image=image, command=["600"]):
        red(examine("image.multi-stage"), "watchfiles")


def test_pip_of_the_base_image_is_nothing_of_our_making(examine, live):
    lines = (
        f"FROM {image_tag(live, first(live))}",
        "USER 0",
        "RUN install -m 755 /dev/null /usr/local/bin/pip",
        "USER 10001",
    )
    with built(live, *lines) as image, stray(live, "--entrypoint", "sleep", image=image, command=["600"]):
        assert examine("image.multi-stage").status is Status.PASS


NO_RIGHTS = ("--user", "65534:65534", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--read-only")


@pytest.mark.parametrize(
    ("without", "more", "words"),
    [
        (("--user", "65534:65534"), (), "it runs as root"),
        ((), ("--privileged",), "it is privileged"),
        (("--cap-drop", "ALL"), (), "it has capabilities"),
        ((), ("--cap-add", "NET_RAW"), "it has capabilities"),
        (("--security-opt", "no-new-privileges:true"), (), "it may gain privileges"),
        (("--read-only",), (), "its root can be written to"),
    ],
    ids=lambda value: " ".join(value).strip("-") if isinstance(value, tuple) else None,
)
def test_a_container_with_more_rights_is_noticed(examine, live, without, more, words):
    with stray(live, *[word for word in NO_RIGHTS if word not in without], *more):
        red(examine("image.non-root"), words)


def test_a_container_that_hides_behind_the_name_of_another_is_noticed(examine, live):
    with stray(live, "--label", f"com.docker.compose.service={first(live)}", name="another"):
        red(examine("image.non-root"), "another: it runs as root")


def test_an_image_without_a_health_check_is_noticed(examine, live):
    with stray(live, *NO_RIGHTS):
        red(examine("image.health"), "image has a health check: none")


def test_a_container_that_is_not_well_is_noticed(examine, live):
    backend = image_of(live, first(live))
    bad = (
        "--health-cmd",
        "exit 1",
        "--health-interval",
        "1s",
        "--health-retries",
        "1",
        "--health-start-period",
        "1ms",
        "--entrypoint",
        "sleep",
    )
    with stray(live, *bad, image=backend, command=["600"]) as one:
        eventually(lambda: live.engine.inspect(one)[0]["State"]["Health"]["Status"] == "unhealthy")
        red(examine("image.health"), "api-63: unhealthy")
    with stray(live, "--no-healthcheck", "--entrypoint", "sleep", image=backend, command=["600"]):
        red(examine("image.health"), "api-63: not asked")


def test_a_site_built_with_another_setting_is_noticed(examine, live):
    with edited(live.project / "frontend/Dockerfile", "ARG VITE_API_BASE=/api/v1", "ARG VITE_API_BASE=/api/v2"):
        red(examine("image.frontend"), "VITE_API_BASE=/api/v2 does not stand in /assets/")


def test_a_site_with_more_rights_is_noticed(examine, live):
    with stray(
        live,
        "--user",
        "0",
        "--entrypoint",
        "sleep",
        image=image_of(live, first(live, "site")),
        command=["600"],
        name="site-63",
    ):
        red(examine("image.frontend"), "site-63: ")
