"""`neurmatic load`: what it refuses before anything is sent, what it says, and how it ends."""

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loadable import OK, always, certificate

from neurmatic.cli.main import main
from neurmatic.errors import ConfigurationError
from neurmatic.probes.load import Load
from neurmatic.probes.target import aim, is_near

NEURMATIC = Path(sys.executable).with_name("neurmatic")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"url": "localhost:80"}, "no URL"),
        ({"url": "ftp://localhost/"}, "no URL"),
        ({"url": "http://localhost:99999/"}, "no URL"),
        ({"url": "http://me:word@localhost/"}, "has a user"),
        ({"url": "http://localhost/a b"}, "no request can be made"),
        ({"url": "http://no-such-host.invalid/"}, "has no address"),
        ({"url": "http://8.8.8.8/"}, "neither loopback nor private"),
        ({"address": "8.8.8.8"}, "neither loopback nor private"),
        ({"url": "https://localhost/", "ca": Path("/nowhere")}, "no file of certificates"),
        ({"url": "https://localhost/", "ca": Path(__file__)}, "no file of certificates"),
        ({"method": "CONNECT"}, "tunnel"),
        ({"method": "A B"}, "no request can be made"),
        ({"headers": {"Content-Length": "5"}}, "set by the load tool"),
        ({"headers": {"X-One": "a\nb"}}, "no request can be made"),
        ({"rate": 0}, "rate"),
        ({"rate": -1}, "rate"),
        ({"rate": math.nan}, "rate"),
        ({"rate": 100_000}, "rate"),
        ({"seconds": 0}, "duration"),
        ({"seconds": 100_000}, "duration"),
        ({"rate": 2000, "seconds": 3600}, "rate times duration"),
        ({"timeout": 0}, "time limit"),
        ({"connections": 0}, "connections"),
    ],
)
def test_what_cannot_be_run_is_refused(change, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        aim(Load(**{"url": "http://localhost/", "rate": 1, "seconds": 1, **change}))
    assert error.value.exit_code == 2


def test_anywhere_is_only_meant_when_said():
    assert aim(Load("http://8.8.8.8/", 1, 1, anywhere=True)).addresses == ("8.8.8.8",)


@pytest.mark.parametrize(
    ("address", "near"),
    [
        *(
            (one, True)
            for one in ("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "::1", "fd00::1", "fe80::1%eth0")
        ),
        *((one, False) for one in ("8.8.8.8", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8")),
    ],
)
def test_whose_machine_an_address_is(address, near):
    assert is_near(address) is near


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEURMATIC_STATE", raising=False)

    def run(*words):
        code = main(["load", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_counts_in_words_and_in_json(serve, command, tmp_path):
    url = serve(always(OK)).url
    code, text, _ = command("--rate", "50", "--for", "400ms", url, "--label-header", "x-instance", "--ledger", "rows")
    assert code == 0 and "20 requests due in 0.4 s at 50/s" in text and "2xx 20" in text and "api-1 20" in text
    rows = [json.loads(line) for line in (tmp_path / "rows").read_text().splitlines()]
    assert len(rows) == 20 and all(row["good"] for row in rows)
    code, text, _ = command("--rate", "50", "--for", "400ms", url, "--json", "--expect", "404")
    summary = json.loads(text)
    assert code == 1 and not summary["ok"] and summary["due"] == 20 and summary["answered"] == {"2xx": 20}
    assert {"p50", "p90", "p99", "max"} == set(summary["latency_ms"])


def test_the_command_says_what_was_lost_and_why(free_port, command):
    code, text, _ = command("--rate", "50", "--for", "100ms", f"http://localhost:{free_port}/")
    assert code == 1 and "refused 5" in text and "127.0.0.1" in text


def test_inside_a_project_the_stacks_own_authority_is_trusted(serve, command, tmp_path):
    _, context = certificate(tmp_path / ".neurmatic" / "tls")
    words = ("--rate", "50", "--for", "100ms", serve(always(OK), context).url, "--json")
    code, text, _ = command(*words)
    assert code == 1 and json.loads(text)["lost"] == {"tls": 5}
    (tmp_path / ".neurmatic" / "tls" / "ca.pem").rename(tmp_path / ".neurmatic" / "tls" / "trust.pem")
    (tmp_path / "neurmatic.toml").write_text('[stack]\nname = "x"\n')
    assert command(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("http://8.8.8.8/",), "--anywhere"),
        (("http://localhost/", "--header", "nonsense"), "no header"),
        (("http://localhost/", "--body", "@/nowhere"), "No such file"),
        (("http://localhost/", "--ledger", "/nowhere/file"), "No such file"),
        (("http://localhost/", "--file", "/nowhere.toml"), "does not exist"),
    ],
)
def test_the_command_refuses_before_it_sends(command, words, message):
    code, text, errors = command("--rate", "1", "--for", "1s", *words)
    assert code == 2 and not text and message in errors


@pytest.mark.parametrize("duration", ["10", "s", "-1s", "1d", "ten seconds"])
def test_a_duration_has_a_unit(command, duration):
    with pytest.raises(SystemExit) as end:
        command("--rate", "1", f"--for={duration}", "http://localhost/")
    assert end.value.code == 2


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ended_early_it_gives_the_ledger_up_to_then(serve, tmp_path, sign, code):
    server = serve(always(OK))
    words = [NEURMATIC, "load", "--rate", "50", "--for", "1m", server.url, "--json", "--ledger", "rows"]
    one = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while server.requests < 20:
        time.sleep(0.05)
    one.send_signal(sign)
    text, errors = one.communicate(timeout=20)
    summary = json.loads(text)
    assert one.returncode == code and not errors
    assert summary["stopped"] and summary["due"] == summary["answered"]["2xx"] == server.requests
    assert len((tmp_path / "rows").read_text().splitlines()) == summary["due"] < summary["planned"] == 3000
