"""The development file on a real engine: one command, and an edited source changes the answer without a restart."""

import subprocess
import time
import urllib.request

import pytest
from containers.engine import ROOT
from containers.platform import Platform


@pytest.fixture(scope="module")
def development(engine, tmp_path_factory):
    """In a copy of the sources, which the test edits."""
    project = tmp_path_factory.mktemp("development")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    parts = ("backend/", "frontend/", "guide/", "requirements/", "deploy/images/", ".dockerignore")
    names = [name for name in listed.stdout.decode().split("\0") if name.startswith(parts) and (ROOT / name).exists()]
    copy = subprocess.run(["tar", "-c", *names], cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=project, input=copy, check=True)
    project.chmod(0o755)  # the instances' own account reads the sources
    one = Platform(engine, project, "development", subnet=2, project=project)
    try:
        one.up()
        yield one
    finally:
        one.down("--volumes")


def test_an_edited_source_changes_the_answer_without_a_restart(development):
    assert set(development.running()) == {"postgres", "redis", "api-1", "api-2", "worker-1", "site-1", "edge"}
    started = {name: one["State"]["StartedAt"] for name, one in development.running().items()}
    assert development.get_json("/api/v1/health/live")["status"] == "alive"
    edited = [file for file in (development.project / "backend/src").rglob("*.py") if '"alive"' in file.read_text()]
    for file in edited:
        file.write_text(file.read_text().replace('"alive"', '"edited"'))
    _until(lambda: {development.get_json("/api/v1/health/live").get("status") for _ in range(6)} == {"edited"})

    settings = development.project / "frontend/src/settings.ts"
    assert "/api/v1" in _source(development, "/src/settings.ts")
    settings.write_text(settings.read_text().replace("/api/v1", "/api/v1/edited"))
    _until(lambda: "/api/v1/edited" in _source(development, "/src/settings.ts"))
    assert {name: one["State"]["StartedAt"] for name, one in development.running().items()} == started


def test_the_development_server_leads_to_the_stack(development):
    assert '"status":"healthy"' in _source(development, "/api/v1/health")
    assert "/@vite/client" in _source(development, "/")


def _source(development, path):
    with urllib.request.urlopen(f"http://localhost:{development.site_port}{path}", timeout=10) as answer:
        return answer.read().decode()


def _until(seen, seconds=60):
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.5)
