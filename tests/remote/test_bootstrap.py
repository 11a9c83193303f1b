"""Bringing the tool to a server, and what is said when it isn't there, or the server isn't reached."""

import json
import shlex

import pytest


def test_one_command_makes_a_fresh_server_ready_with_no_package_index_there(bootstrapped):
    server, done = bootstrapped
    assert "installing system packages: nginx" in done.stderr and "pgbackrest" in done.stderr
    assert "making the tool's environment /opt/neurmatic/" in done.stderr
    assert "next: neurmatic -H server up" in done.stdout
    assert server.ssh("neurmatic", "--version").startswith("neurmatic ")
    assert server.path("/usr/lib/nginx/modules/ngx_http_lua_module.so").exists()
    assert "127.0.0.1:9" in server.path("/etc/pip.conf").read_text(), "or this test shows less than it says"
    # The accounts that services run as can read it.
    script = "import neurmatic.guard, sys; print(sys.prefix)"
    python = server.ssh("readlink", "-f", "/usr/local/bin/neurmatic").strip().replace("/bin/neurmatic", "/bin/python")
    assert "/opt/neurmatic/" in server.ssh(
        "setpriv", "--reuid=nobody", "--clear-groups", python, "-c", shlex.quote(script)
    )


def test_a_second_time_nothing_is_installed(anywhere):
    done = anywhere.run("bootstrap", "server", "--json")
    assert json.loads(done.stdout)["changed"] is False
    assert done.stderr == ""


def test_an_account_with_sudo_will_do_and_one_without_is_told_so(anywhere):
    assert "already" in anywhere.run("bootstrap", "deployer").stdout
    done = anywhere.run("bootstrap", "plain", code=1)
    assert "bootstrap needs root there" in done.stderr and "sudo without a password" in done.stderr


@pytest.fixture
def instead(bootstrapped):
    """Puts another program in the place of the tool."""
    link = bootstrapped[0].path("/usr/local/bin/neurmatic")
    aside = link.with_name("neurmatic.aside")

    def put(text):
        link.rename(aside)
        if text:
            link.write_text(text)
            link.chmod(0o755)

    yield put
    link.unlink(missing_ok=True)
    aside.rename(link)


OLDER = "#!/bin/sh\necho \"neurmatic: error: there is no command 'remote'\" >&2\nexit 2\n"


@pytest.mark.parametrize(
    ("text", "said"), [("", "neurmatic is not installed there"), (OLDER, "has neurmatic of another version, here is")]
)
@pytest.mark.parametrize("name", ["server", "deployer"])
def test_no_tool_or_an_older_one_there(anywhere, instead, name, text, said):
    instead(text)
    done = anywhere.run("-H", f"{name}:/srv/any", "up", code=1)
    assert said in done.stderr and f"next: `neurmatic bootstrap {name}`" in done.stderr


def test_another_build_of_the_same_version_is_refused_and_replaced(anywhere):
    server = anywhere.server
    tool = server.path(server.ssh("readlink", "-f", "/usr/local/bin/neurmatic").strip())
    package = next(tool.parents[1].glob("lib/python3*/site-packages/neurmatic"))
    (package / "other.py").write_text("")
    done = anywhere.run("-H", "server:/srv/any", "status", code=1)
    assert "server has neurmatic another build of" in done.stderr
    assert "making the tool's environment" in anywhere.run("bootstrap", "server").stderr
    assert not (package / "other.py").exists()
    assert "there is no project" in anywhere.run("-H", "server:/srv/any", "status", code=2).stderr


def test_a_file_that_somebody_put_in_the_tools_place_is_not_overwritten(anywhere, instead):
    instead("#!/bin/sh\necho mine\n")
    done = anywhere.run("bootstrap", "server", code=1)
    assert "is a file that bootstrap did not make" in done.stderr and "move it away" in done.stderr
    assert anywhere.server.ssh("neurmatic") == "mine\n"


@pytest.mark.parametrize(
    ("name", "said", "then"),
    [
        ("nowhere", "there is no host of this name", "~/.ssh/config"),
        ("closed", "nothing listens there for ssh", "its ssh port"),
        ("stranger", "the host's key is not known here", "run `ssh stranger` once"),
        ("changed", "shows another key than it did before", "ssh-keygen -R"),
        ("wrong-key", "the key was refused", "ssh-copy-id wrong-key"),
    ],
)
def test_a_server_that_is_not_reached(anywhere, name, said, then):
    assert said in anywhere.run("bootstrap", name, code=1).stderr
    done = anywhere.run("-H", f"{name}:/srv/any", "status", code=1)
    assert f"{name}: " in done.stderr and said in done.stderr and then in done.stderr


def test_what_is_no_destination_is_never_an_option_of_ssh(anywhere):
    done = anywhere.run("--host=-oProxyCommand=touch made", "status", code=2)
    assert "is no destination" in done.stderr or "no neurmatic.toml" in done.stderr
    done = anywhere.run("--host=-oProxyCommand=touch made:/srv/any", "status", code=2)
    assert "is no destination" in done.stderr
    assert not (anywhere.folder / "made").exists()
