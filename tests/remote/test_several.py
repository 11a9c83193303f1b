"""One command on two servers: on both or on none, whatever becomes of one of them."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from server import Operator
from small_stack import StackDir

from neurmatic.cli.main import main
from neurmatic.remote import member

BOTH = ("-H", "server", "-H", "second")
STACK = """
[stack]
name = "pair"
user = "nobody"
[deploy]
rate = 10
watch = 0.5
[edge]
https_port = {https}
http_port = {http}
control_port = {control}
limits.connections = {limit}
[services.app]
command = ["python3", "demo_app.py"]
instances = 1
ports = "{first}-{last}"
routes = ["/"]
start_timeout = 6
drain = 0.2
stop_timeout = 5
health.ready = "/ready"
[release]
files = ["demo_app.py"]
version = "{version}"
build = {build}
"""
LIMIT = "limit_conn connections {};"
NUMBERS = itertools.count(1)


class Pair(Operator):
    """An operator of a project on both; a release is ready where no file there says otherwise."""

    def __init__(self, first, second):
        self.stack = StackDir()
        super().__init__(second, self.stack.folder)
        self.servers = {"server": first, "second": second}
        app = self.folder / "demo_app.py"
        text = app.read_text()
        assert '"unready"' in text
        app.write_text(text.replace('"unready"', '"/var/tmp/unready-" + os.environ["NEURMATIC_RELEASE"].split("-")[0]'))
        self.release()

    def release(self, *, waits=False, limit=1000):
        """Let the project's files be the next release; its version. Its build waits for `go` there."""
        version = f"1.{next(NUMBERS)}"
        script = f"touch /var/tmp/building-{version}; until test -e /var/tmp/go-{version}; do sleep 0.1; done"
        build = json.dumps([["sh", "-c", script]] if waits else [])
        self.stack.file.write_text(STACK.format(**self.stack.ports, version=version, build=build, limit=limit))
        return version

    def mark(self, host, name):
        """Leave a file that a release or its build looks for there."""
        self.servers[host].path(f"/var/tmp/{name}").touch()

    def wait(self, host, name):
        until = time.monotonic() + 60
        while not self.servers[host].path(f"/var/tmp/{name}").exists():
            assert time.monotonic() < until, name
            time.sleep(0.05)

    def there(self, host, path):
        return self.servers[host].path(f"/srv/pair/{path}")

    def both(self, *words, code=0):
        return self.run(*BOTH, *words, code=code)

    def serve(self):
        """The version that serves on each: as deployed, and as it answers there."""
        status = json.loads(self.both("status", "--json").stdout)
        found = {}
        for host, one in status.items():
            versions = {row["version"] for row in one["services"] if row["service"] == "app"}
            assert versions == {one["release"]} and {row["health"] for row in one["services"]} == {"healthy"}
            found[host] = one["release"].split("-")[0]
        return found

    def events(self, host):
        return [json.loads(line) for line in self.there(host, ".neurmatic/events.jsonl").read_text().splitlines()]

    def files(self):
        return {host: self.there(host, "neurmatic.toml").read_text() for host in self.servers}


@pytest.fixture(scope="module")
def running(bootstrapped, second):
    """It, and what its first `up` said."""
    pair = Pair(bootstrapped[0], second)
    yield pair, pair.both("up")
    for host, server in pair.servers.items():
        if server.process.poll() is None:
            pair.run("-H", host, "down", "--purge", "--yes")
    shutil.rmtree(pair.folder)


@pytest.fixture
def pair(running):
    """Both serve the same release, whose version is `now`; what an earlier test left is healed by a deploy alone."""
    one = running[0]
    serving = one.serve()
    if len(set(serving.values())) > 1:
        one.release()
        one.both("deploy")
        serving = one.serve()
    one.now = serving["server"]
    return one


@contextlib.contextmanager
def taken_back(pair):
    """Whatever is done in the block fails: both serve what they did, and have the files that they had."""
    before = pair.files()
    yield
    assert pair.serve() == {"server": pair.now, "second": pair.now}
    assert pair.files() == before


def test_up_on_both_and_what_it_says(running):
    _, said = running
    assert re.search(r"^server \| pair \(development\) is up: \d+ steps", said.stdout, re.MULTILINE)
    assert re.search(r"^second \| pair \(development\) is up: \d+ steps", said.stdout, re.MULTILINE)
    assert "\nup: done on 2 hosts\n" in said.stdout
    assert re.search(r"^server  done; 1\.1-\w+ serves \(1 app\)$", said.stdout, re.MULTILINE)
    assert "server | sending demo_app.py, neurmatic.toml to /srv/pair" in said.stderr


def test_what_only_looks_runs_on_each_and_the_worst_code_counts(running):
    pair, _ = running
    lines = pair.both("status").stdout.splitlines()
    assert {line.split(" | ")[0] for line in lines} == {"server", "second"}
    found = json.loads(pair.both("events", "--json").stdout)
    assert found["second"][-1]["action"] == found["server"][-1]["action"] == "fleet"
    done = pair.run(*BOTH, "-H", "closed", "status", "--json", code=1)
    found = json.loads(done.stdout)
    assert found["server"]["stack"] == found["second"]["stack"] == "pair" and found["closed"] is None
    assert "closed | closed: nothing listens there for ssh" in done.stderr
    assert pair.both("logs", "nobody", code=2).stderr.count("nothing was logged for 'nobody'") == 2


def test_what_is_for_one_host_at_a_time_is_refused(running):
    pair, _ = running
    for words in (["restore"], ["down"], ["attach"], ["logs", "-f"]):
        assert "one host at a time" in pair.both(*words, code=2).stderr, words
    assert "named twice" in pair.run("-H", "server", "-H", "server", "status", code=2).stderr
    assert "another question on each host" in pair.both("rollback", "--with-database", code=2).stderr


def test_a_release_that_is_bad_on_the_second_only_and_a_good_one_after_it(pair):
    with taken_back(pair):
        bad = pair.release()
        pair.mark("second", f"unready-{bad}")
        done = pair.both("deploy", code=1)
    assert "did not become healthy" in done.stderr
    assert f"server | back: rollback {pair.now}-" in done.stderr
    assert "deploy: failed; every host is as it was before" in done.stdout
    assert re.search(rf"^server  taken back; {pair.now}-\w+ serves", done.stdout, re.MULTILINE)
    assert re.search(rf"^second  failed: deploy ended with 1; {pair.now}-\w+ serves", done.stdout, re.MULTILINE)
    events = {host: pair.events(host)[-1] for host in pair.servers}
    assert {one["result"] for one in events.values()} == {"failed"}
    assert events["server"]["here"] == "taken back" and events["server"]["reason"] == "second: deploy ended with 1"

    good = pair.release()
    refused = pair.both("up", code=2).stderr
    assert "on some of the hosts only: server stays with" in refused and "deploy` brings them live on each" in refused
    done = pair.both("deploy")
    assert "deploy: done on 2 hosts" in done.stdout
    assert pair.serve() == {"server": good, "second": good}
    assert done.stdout.index(f"server | deploy: {good}-") < done.stdout.index(f"second | deploy: {good}-")
    for host in pair.servers:
        event = pair.events(host)[-1]
        assert (event["action"], event["result"], event["command"]) == ("fleet", "done", "deploy")
        assert event["hosts"] == "server, second"


def test_up_goes_back_with_its_settings_too(pair):
    with taken_back(pair):
        bad = pair.release(limit=500)
        pair.mark("second", f"unready-{bad}")
        found = json.loads(pair.both("up", "--json", code=1).stdout)
        assert (found["server"]["result"], found["second"]["result"]) == ("taken back", "failed")
        assert all(one["release"].startswith(pair.now) and one["next"] is None for one in found.values())
        for host in pair.servers:
            config = "".join(path.read_text() for path in pair.there(host, ".neurmatic/config").rglob("*.conf"))
            assert LIMIT.format(1000) in config and LIMIT.format(500) not in config


def test_one_host_that_is_not_reached_and_nothing_begins(pair):
    before = {host: pair.events(host) for host in pair.servers}, pair.files()
    pair.release()
    done = pair.run(*BOTH, "-H", "closed", "deploy", code=1)
    assert "nothing was begun on any host:\n  closed: nothing listens there for ssh" in done.stderr
    assert ({host: pair.events(host) for host in pair.servers}, pair.files()) == before


def test_one_host_that_is_at_work_and_nothing_begins(pair):
    before = {host: pair.events(host) for host in pair.servers}, pair.files()
    pair.release()
    lock = pair.there("second", ".neurmatic/lock")
    lock.write_text("neurmatic restore by somebody")
    with subprocess.Popen(["flock", "--no-fork", lock, "cat"], stdin=subprocess.PIPE) as holder:
        until = time.monotonic() + 10
        while subprocess.run(["flock", "--nonblock", lock, "true"], check=False).returncode == 0:
            assert time.monotonic() < until
        done = pair.both("deploy", code=1)
        holder.stdin.close()
    assert "second: another command is at work there: neurmatic restore by somebody" in done.stderr
    assert ({host: pair.events(host) for host in pair.servers}, pair.files()) == before


def test_maintenance_scale_and_rollback_go_back(pair):
    previous = json.loads(pair.there("second", ".neurmatic/deployed.json").read_text())["history"][-2].split("-")[0]
    toml = pair.there("second", "neurmatic.toml")
    text = toml.read_text()

    toml.write_text(text.replace("[edge]", '[edge]\nmaintenance.page = "none.html"'))
    done = pair.both("maintenance", "on", code=1)
    assert "server | back: maintenance off" in done.stderr and "taken back" in done.stdout
    toml.write_text(text)
    found = json.loads(pair.both("maintenance", "--json").stdout)
    assert [one["on"] for one in found.values()] == [False, False]
    found = json.loads(pair.both("maintenance", "on", "--json").stdout)
    assert [one["maintenance"] for one in found.values()] == [True, True]
    assert all(one["output"]["on"] for one in found.values())
    pair.both("maintenance", "off")

    narrow = f'ports = "{pair.stack.ports["first"]}-{pair.stack.ports["second"]}"'
    toml.write_text(re.sub('ports = ".*"', narrow, text))
    done = pair.both("scale", "app=2", code=1)
    assert "server | back: scale app=1" in done.stderr
    toml.write_text(text)

    pair.mark("second", f"unready-{previous}")
    done = pair.both("rollback", code=1)
    assert f"server | back: deploy {pair.now}-" in done.stderr
    assert pair.serve() == {"server": pair.now, "second": pair.now}
    pair.servers["second"].path(f"/var/tmp/unready-{previous}").unlink()


def test_a_way_back_that_fails_too_is_named_with_what_to_do(pair):
    bad = pair.release(waits=True)
    pair.mark("server", f"go-{bad}")
    pair.mark("second", f"unready-{bad}")
    with pair.begin(*BOTH, "deploy") as process:
        pair.wait("second", f"building-{bad}")
        pair.mark("server", f"unready-{pair.now}")  # so the release before can't come back there
        pair.mark("second", f"go-{bad}")
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "deploy: failed, and NOT every host is as it was before" in out
    assert re.search(rf"^server  left; {bad}-\w+ serves", out, re.MULTILINE)
    command = re.search(r"next: see what it said, then: neurmatic (.*)$", out, re.MULTILINE)[1]
    pair.servers["server"].path(f"/var/tmp/unready-{pair.now}").unlink()
    pair.run(*command.split())
    assert pair.serve() == {"server": pair.now, "second": pair.now}


def test_ctrl_c_on_the_second_takes_the_first_back(pair):
    with taken_back(pair):
        new = pair.release(waits=True)
        pair.mark("server", f"go-{new}")
        with pair.begin(*BOTH, "deploy") as process:
            pair.wait("second", f"building-{new}")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "second | neurmatic: interrupted" in err and f"server | back: rollback {pair.now}-" in err
        assert "every host is as it was before" in out


def test_a_cut_connection_is_taken_up_again(pair):
    new = pair.release(waits=True)
    pair.mark("server", f"go-{new}")
    with pair.begin(*BOTH, "deploy") as process:
        pair.wait("second", f"building-{new}")
        pair.servers["second"].cut()
        time.sleep(0.5)
        pair.mark("second", f"go-{new}")
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "second | the connection was cut; looking for the host again" in err
    assert pair.serve() == {"server": new, "second": new}


def test_a_host_that_is_gone_for_good_and_the_other_goes_back(pair, monkeypatch, capsys):
    """The last: the second server is no more. In this process, so that it is given up at once."""
    new = pair.release(waits=True)
    pair.mark("server", f"go-{new}")

    def end_it():
        pair.wait("second", f"building-{new}")
        pair.servers["second"].process.kill()

    monkeypatch.chdir(pair.folder)
    monkeypatch.setitem(os.environ, "NEURMATIC_SSH", pair.server.env["NEURMATIC_SSH"])
    monkeypatch.setattr(member, "AGAIN_SECONDS", 0)
    ending = threading.Thread(target=end_it)
    ending.start()
    try:
        assert main([*BOTH, "deploy"]) == 1
    finally:
        ending.join()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # which the command has changed
    said = capsys.readouterr()
    assert re.search(rf"^server  taken back; {pair.now}-\w+ serves", said.out, re.MULTILINE)
    assert re.search(r"^second  unknown: .*; how it stands is not known$", said.out, re.MULTILINE)
    assert (
        f"`neurmatic -H second attach` shows how it ends; if it succeeds: neurmatic -H second rollback {pair.now}-"
        in said.out
    )
    assert pair.events("server")[-1]["here"] == "taken back"
    status = json.loads(pair.run("-H", "server", "status", "--json").stdout)
    assert status["release"].startswith(f"{pair.now}-")
