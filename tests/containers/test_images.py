"""The images of the product: what is in them, what they say of themselves, and that they need no rights."""

import time

import pytest
from containers.engine import REVISION, VERSION
from containers.looked_at import content_problems, files, image_problems

MEGABYTE = 10**6
LARGEST = {"backend": 110, "frontend": 1, "edge": 60}
"""Megabytes that each image may add to its base. A new dependency that breaks this is a decision, not an accident."""
BASE = {"backend": "python", "frontend": "nginx", "edge": "debian"}


@pytest.mark.parametrize("name", LARGEST)
def test_an_image_says_what_it_is_and_runs_without_rights(engine, images, name):
    said = engine.inspect(images[name])[0]
    assert image_problems(said, VERSION, REVISION) == []
    base = engine.inspect(
        engine.env[{"python": "PYTHON_IMAGE", "nginx": "NGINX_IMAGE", "debian": "DEBIAN_IMAGE"}[BASE[name]]]
    )
    added = (said["Size"] - base[0]["Size"]) / MEGABYTE
    print(f"{name}: {said['Size'] / MEGABYTE:.0f} MB, {added:.1f} MB of them beyond its base")
    assert added < LARGEST[name]


def test_an_image_without_labels_or_with_root_is_found(engine):
    problems = image_problems(engine.inspect(engine.env["PYTHON_IMAGE"])[0], VERSION, REVISION)
    assert problems == ["user ''", "label version None", "label revision None"]


@pytest.mark.parametrize("name", LARGEST)
def test_production_carries_nothing_of_its_making(engine, images, name):
    assert content_problems(engine, images[name]) == []


def test_what_a_builder_carries_is_found(engine):
    problems = content_problems(engine, engine.image("backend", "development"))
    assert {"program uv", "package watchfiles"} <= set(problems)
    assert "program node" in content_problems(engine, engine.image("frontend", "builder"))


def test_the_page_names_the_configured_api(engine, images):
    """Red if the build argument got lost on its way: the one image would say what the other says."""
    other = engine.image("frontend", VITE_API_BASE="/other/v9")
    said = {}
    for image in (images["frontend"], other):
        cat = ["sh", "-c", "cat /site/assets/*.js"]
        text = engine.run("run", "--rm", "--entrypoint", "", image, *cat).stdout
        said[image] = ("/other/v9" in text, VERSION in text)
    assert said == {images["frontend"]: (False, True), other: (True, True)}


def test_the_site_serves_itself_with_nothing_but_a_folder_in_memory(engine, images):
    words = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp"]
    one = engine.run("run", "--detach", *words, images["frontend"]).stdout.strip()
    try:
        _await(engine, one, "healthy")
        ask = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET %s HTTP/1.0\\r\\n\\r\\n' \"$0\" >&3; cat <&3"
        page = engine.run("exec", one, "bash", "-c", ask, "/articles/some").stdout
        asset = files(engine, images["frontend"], "-path", "/site/assets/*.js")[0].removeprefix("/site")
        script = engine.run("exec", one, "bash", "-c", ask, asset).stdout
        missing = engine.run("exec", one, "bash", "-c", ask, "/assets/none.js").stdout
    finally:
        engine.run("rm", "--force", one)
    assert "200 OK" in page and "no-cache" in page and "<title>Neurmatic</title>" in page
    assert "200 OK" in script and "immutable" in script
    assert " 404 " in missing


def test_an_image_whose_service_does_not_answer_is_unhealthy(engine, images):
    quick = ["--health-interval", "1s", "--health-retries", "1", "--health-start-period", "1s"]
    found = {}
    for name in ("backend", "frontend"):
        one = engine.run("run", "--detach", *quick, "--entrypoint", "sleep", images[name], "600").stdout.strip()
        try:
            found[name] = _await(engine, one, "unhealthy")
        finally:
            engine.run("rm", "--force", one)
    assert set(found.values()) == {"unhealthy"}


def _await(engine, container, wanted):
    deadline = time.monotonic() + 60
    while (now := engine.inspect(container)[0]["State"]["Health"]["Status"]) != wanted:
        assert time.monotonic() < deadline, (now, engine.run("logs", container).stderr)
        time.sleep(0.5)
    return now
