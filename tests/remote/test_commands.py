"""Commands on another machine: their output, exit codes and questions are what they would be here."""

import json
import os
import pty
import re
import select
import signal
import ssl
import time
import urllib.request
from pathlib import Path

import pytest
from server import NEURMATIC


def on_the_server(operator, path):
    return operator.server.path(f"/srv/demo/{path}")


def test_up_sends_the_project_and_brings_the_stack_up_there(shop):
    assert re.search(r"demo \(development\) is up: \d+ steps", shop.said.stdout)
    assert shop.said.stderr.startswith("sending demo_app.py, neurmatic.toml to /srv/demo\n")
    context = ssl.create_default_context(cafile=on_the_server(shop, ".neurmatic/tls/ca.pem"))
    with urllib.request.urlopen(shop.stack.url, timeout=5, context=context) as answer:
        assert answer.status == 200
    assert not shop.stack.state.exists(), "nothing of it is here"
    again = shop.run("-H", "server", "up")
    assert "nothing to change" in again.stdout and "sending" not in again.stderr


def test_what_json_prints_is_untouched_and_other_options_travel(shop):
    done = shop.run("-H", "server", "status", "--json")
    rows = json.loads(done.stdout)["services"]
    assert {row["health"] for row in rows} == {"healthy"} and done.stderr == ""
    done = shop.run("-H", "deployer", "config", "--json", "--environment", "production")
    assert json.loads(done.stdout) and "production" in done.stdout
    assert "'no words'" in shop.run("-H", "server", "logs", "no words", code=2).stderr


def test_exit_codes_of_commands_that_end_with_the_connection_and_of_those_that_do_not(shop, building):
    assert "next:" in shop.run("-H", "server", "restart", "nobody", code=2).stderr
    shop.run("-H", "server", "logs", "nobody", code=2)
    shop.run("-H", "server", "status", "--no-such-option", code=2)
    building(fails=True).go()
    done = shop.run("-H", "server", "up", code=1)
    assert "building the release" in done.stderr and "building the release" not in done.stdout
    done = shop.run("-H", "server", "attach", "--json", code=1)
    assert "building the release" in done.stderr
    newest = max(on_the_server(shop, ".commands").iterdir(), key=lambda one: one.stat().st_mtime).name
    assert "building the release" in shop.run("-H", "server", "attach", newest, code=1).stderr
    assert "known: " in (said := shop.run("-H", "server", "attach", "none", code=1).stderr) and newest in said


def test_a_project_that_is_not_there_or_can_not_be_sent(shop, anywhere):
    assert "there is no project in /srv/none" in anywhere.run("-H", "server:/srv/none", "status", code=2).stderr
    assert "no neurmatic.toml" in anywhere.run("-H", "server", "status", code=2).stderr
    assert "runs here, without -H" in anywhere.run("-H", "server", "init", code=2).stderr
    shop.stack.file.write_text(shop.original.replace("demo_app.py", "not-built"))
    done = shop.run("-H", "server", "up", code=2)
    shop.stack.file.write_text(shop.original)
    assert "not found: not-built" in done.stderr
    assert 'files = ["demo_app.py"]' in on_the_server(shop, "neurmatic.toml").read_text()


def test_from_anywhere_with_the_folder_there(shop, anywhere):
    assert json.loads(anywhere.run("-H", "server:/srv/demo", "status", "--json").stdout)["stack"] == "demo"


def line_with(process, words):
    """Reads on until a line has these words; what follows is still to come."""
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"it ended without {words!r}: {process.stderr.read()}")


def test_output_comes_as_it_is_written(shop, building):
    build = building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, f"release {build.version}")
        assert process.poll() is None
        build.go()
        assert "is up" in process.stdout.read()
    assert process.returncode == 0


def test_ctrl_c_ends_it_there_as_its_own_would(shop, building):
    build = building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, f"release {build.version}")
        build.wait()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    interrupted_there(shop, build.version, process.returncode, err)


def interrupted_there(shop, version, code, said):
    assert code == 130 and "interrupted; what runs goes on running" in said
    assert shop.server.ssh("pgrep -f [w]ait-to-be-built || echo none") == "none\n"
    assert not [path for path in on_the_server(shop, ".neurmatic/releases").iterdir() if version in path.name]
    events = [json.loads(line) for line in on_the_server(shop, ".neurmatic/events.jsonl").read_text().splitlines()]
    last = [event for event in events if event["action"] == "deploy"][-1]  # which is how `up` brings a new release live
    assert last["reason"] == "KeyboardInterrupt" and last["release"].startswith(f"{version}-")
    shop.run("-H", "server", "health")


def test_being_terminated_terminates_it_there(shop, building):
    build = building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, f"release {build.version}")
        build.wait()
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 143 and "terminated; what runs goes on running" in err
    assert shop.server.ssh("pgrep -f [w]ait-to-be-built || echo none") == "none\n"


class Terminal:
    """A command at a terminal: what is typed there, what is seen there."""

    def __init__(self, operator, *words):
        self.pid, self.side = pty.fork()
        if self.pid == 0:
            os.chdir(operator.folder)
            os.execve(NEURMATIC, [str(NEURMATIC), *words], operator.server.env)  # noqa: S606  no shell on purpose
        self.seen = ""

    def see(self, words, seconds=60):
        until = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < until, self.seen
            self._read()

    def _read(self):
        if not select.select([self.side], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self.side, 4096)
        except OSError:  # how a terminal whose programs have all ended answers
            data = b""
        self.seen += data.decode(errors="replace")
        return bool(data)

    def type(self, text):
        os.write(self.side, text.encode())

    def end(self):
        """The exit code."""
        while self._read():
            pass
        os.close(self.side)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("name", ["server", "deployer"])
def test_ctrl_c_at_a_terminal_as_root_and_through_sudo(shop, building, name):
    build = building()
    terminal = Terminal(shop, "-H", name, "up")
    terminal.see(f"release {build.version}")
    build.wait()
    terminal.type("\x03")
    code = terminal.end()
    interrupted_there(shop, build.version, code, terminal.seen)


def test_questions_are_answered_at_the_terminal_and_by_nobody_without_one(shop):
    done = shop.run("-H", "server", "down", "--purge", code=2)
    assert "nobody is there to answer" in done.stderr
    terminal = Terminal(shop, "-H", "server", "down", "--purge")
    terminal.see("Type the")
    terminal.type("something else\n")
    assert terminal.end() != 0
    shop.run("-H", "server", "health")
    terminal = Terminal(shop, "-H", "server", "down", "--purge")
    terminal.see("Type the")
    terminal.type("demo\n")
    assert terminal.end() == 0, terminal.seen
    assert not on_the_server(shop, ".neurmatic/data").exists()
    assert "is up" in shop.run("-H", "server", "up").stdout


def test_a_cut_connection_of_a_terminal_hangs_up_on_no_command(shop, building):
    build = building()
    terminal = Terminal(shop, "-H", "server", "up")
    terminal.see(f"release {build.version}")
    build.wait()
    shop.server.cut()
    assert terminal.end() == 255 and "goes on there to its end" in terminal.seen
    build.go()
    assert "is up" in shop.run("-H", "server", "attach").stdout
    assert build.version in shop.run("-H", "server", "status").stdout


@pytest.mark.parametrize("how", ["network", "client"])
def test_a_cut_connection_ends_no_command_and_attach_shows_it(shop, building, how):
    build = building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, f"release {build.version}")
        if how == "network":
            shop.server.cut()
        else:
            for pid in ssh_of(process.pid):
                os.kill(pid, signal.SIGKILL)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 255
    assert "the command goes on there to its end" in err and "`neurmatic -H server attach`" in err
    with shop.begin("-H", "server", "attach") as process:
        line_with(process, f"release {build.version}")
        assert process.poll() is None
        build.go()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "is up" in out
    done = shop.run("-H", "server", "attach")
    assert "building" in done.stdout and "is up" in done.stdout, "from its beginning to its end"
    assert build.version in shop.run("-H", "server", "status").stdout


def ssh_of(pid):
    """The ssh clients that this command started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in children if Path(f"/proc/{one}/comm").read_text() == "ssh\n"]


def test_the_same_command_again_shows_the_one_that_goes_on(shop, building):
    build = building(fails=True)
    with shop.begin("-H", "server", "up") as process:
        line_with(process, "building")
        shop.server.cut()
        process.communicate(timeout=30)
    with shop.begin("-H", "server", "up") as process:
        line_with(process, "building")
        build.go()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "`up` runs already" in err and "building the release" in err


def test_nothing_is_sent_to_a_command_that_reads_the_project(shop, building):
    build = building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, "building")
        shop.stack.file.write_text(shop.original)
        done = shop.run("-H", "server", "plan", code=1)
        assert "another command is at work there: up" in done.stderr and "sending" not in done.stderr
        assert build.version in on_the_server(shop, "neurmatic.toml").read_text()
        build.go()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert "sending" in shop.run("-H", "server", "plan").stderr


def test_ctrl_c_at_the_same_command_again_is_heard_too(shop, building):
    build = building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, "building")
        shop.server.cut()
        process.communicate(timeout=30)
    with shop.begin("-H", "server", "up") as process:
        line_with(process, "building")
        build.wait()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    interrupted_there(shop, build.version, process.returncode, err)


def test_a_command_that_was_killed_there_is_not_called_done(shop, building):
    building()
    with shop.begin("-H", "server", "up") as process:
        line_with(process, "building")
        newest = max(on_the_server(shop, ".commands").iterdir(), key=lambda one: one.stat().st_mtime)
        shop.server.ssh("kill", "-s", "KILL", "--", f"-{(newest / 'pid').read_text().strip()}")
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "`up` was killed before its end" in err
    shop.run("-H", "server", "attach", code=1)
