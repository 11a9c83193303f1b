"""The platform of this repository, started and proven by the commands of its README."""

import json
import ssl
import subprocess
import urllib.request

from waiting import eventually

from neurmatic import __version__

STATUS_KEYS = {"service", "instance", "state", "health", "version", "address", "pid", "memory_bytes", "restarts"}


def get(platform, path):
    tls = ssl.create_default_context(cafile=str(platform.ca))
    with urllib.request.urlopen(platform.url + path, context=tls, timeout=10) as answer:
        return answer.status, answer.read().decode(), answer.headers


def test_status_shows_every_service_healthy(platform):
    status = platform.json("status")
    assert set(status) == {"stack", "environment", "url", "release", "maintenance", "services"}
    assert [row["instance"] for row in status["services"]] == [
        "postgres",
        "redis",
        "api-1",
        "api-2",
        "worker-1",
        "guard",
        "edge",
        "timer-backup",
        "timer-backup-watch",
        "timer-drill",
        "timer-disaster",
    ]
    for row in status["services"]:
        assert set(row) >= STATUS_KEYS
        health = "unknown" if row["instance"].startswith("timer-") else "healthy"  # it sleeps until its time
        assert (row["state"], row["health"], row["restarts"]) == ("running", health, 0), row
        assert row["pid"] and row["memory_bytes"] > 0


def test_the_site_and_the_guide_are_served(platform):
    status, page, _ = get(platform, "/")
    assert status == 200 and "<script" in page
    articles = json.loads(get(platform, "/api/v1/articles?limit=100")[1])["items"]
    assert len(articles) >= 30
    _, one, headers = get(platform, f"/api/v1/articles/{articles[0]['slug']}")
    assert (
        json.loads(one)["body_html"]
        and headers["x-request-id"]
        and headers["x-release"] == platform.json("status")["release"]
    )


def test_an_edit_is_served_at_once_and_nothing_else_is_fetched_anew(platform, tmp_path):
    env = {path.name: path.read_text().strip() for path in (platform.state / "services/api-1/env").iterdir()}
    program = platform.state / "releases" / env["NEURMATIC_RELEASE"] / "venv/bin/neurmatic-backend"
    paths = ("/api/v1/articles?limit=5", "/api/v1/tags", "/api/v1/articles/cached")
    other = "/api/v1/articles/first-start"

    def imported(title, status="published"):
        (tmp_path / "cached.md").write_text(f"---\ntitle: {title}\nstatus: {status}\ntags: [{title}]\n---\nText.")
        subprocess.run([program, "import", str(tmp_path / "cached.md")], env=env, check=True, capture_output=True)

    def first_with(path, words):
        """How the cache called the first answer that has the words, once the instances have heard of them and purged."""
        return eventually(lambda: words in (answer := get(platform, path))[1].lower() and answer[2]["x-cache"])

    imported("Before")
    for path in paths:
        first_with(path, "before")
        eventually(lambda: get(platform, path)[2]["x-cache"] == "HIT")  # noqa: B023
    get(platform, other)
    assert get(platform, other)[2]["x-cache"] == "HIT"
    imported("After")
    assert {path: first_with(path, "after") for path in paths} == dict.fromkeys(paths, "MISS")
    assert get(platform, other)[2]["x-cache"] == "HIT"
    imported("After", "archived")
    eventually(lambda: "After" not in get(platform, paths[0])[1])


def test_a_second_up_changes_nothing(platform):
    before = platform.json("status")["services"]
    assert platform.json("plan") == {"steps": [], "files": {}, "migrations": None}
    platform.run("up")
    assert [row["pid"] for row in platform.json("status")["services"]] == [row["pid"] for row in before]


def test_every_claim_that_has_a_check_is_seen_to_hold(platform):
    platform.run("backup", "run")
    platform.run("drill", "all")
    done = platform.run("verify", "--json", check=False)
    report = json.loads(done.stdout)
    red = [f"{one['slug']}: {one['evidence']}" for one in report["findings"] if one["status"] == "fail"]
    assert not red, "\n".join(red)
    assert done.returncode == 0
    assert set(report) == {"generated_at", "stack", "environment", "tool_version", "summary", "findings"}
    assert report["tool_version"] == __version__
    assert report["summary"]["pass"] >= 10
    assert sum(report["summary"].values()) == len(report["findings"]) == 99
    for ending, words in (("md", "# Readiness report"), ("html", "<!doctype html>"), ("json", '"findings"')):
        assert words in (platform.state / "reports" / f"readiness.{ending}").read_text()
    assert not (platform.state / "rehearsal").exists()
    assert platform.run("health").returncode == 0, "the live stack is as it was"


def test_unchecked_claims_are_never_ticked(platform):
    report = platform.json("verify", "deploy.staging", "health.metrics")
    assert [finding["status"] for finding in report["findings"]] == ["unchecked"] * 2
    assert platform.run("verify", "nonsense.claim", check=False).returncode == 2


def test_no_secret_is_shown(platform):
    secrets = [
        line.partition("=")[2] for line in (platform.state / "secrets.env").read_text().splitlines() if "=" in line
    ]
    assert len(secrets) >= 5 and all(len(secret) >= 64 for secret in secrets)
    assert (platform.state / "secrets.env").stat().st_mode & 0o777 == 0o600
    shown = "".join(
        platform.run(*words, check=False).stdout
        for words in (["config"], ["plan"], ["status"], ["logs"], ["events"], ["config", "--json"])
    )
    assert not [secret for secret in secrets if secret in shown]
