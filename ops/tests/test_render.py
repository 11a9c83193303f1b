import re
import subprocess
from pathlib import Path

import pytest

from neurmatic.hosts.local import LocalHost
from neurmatic.render.maintenance import OPEN
from neurmatic.render.stack import Context, arguments, render
from neurmatic.runtimes.native.programs import find_modules
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load
from neurmatic.stack.secret import Secret

ROOT = Path(__file__).parents[2]
SECRETS = {
    name: Secret(f"hush-{name}")
    for name in (
        "BACKUP_KEY",
        "POSTGRES_PASSWORD",
        "POSTGRES_SUPERUSER_PASSWORD",
        "REDIS_PASSWORD",
        "JWT_SECRET",
        "JWT_REFRESH_SECRET",
    )
}
PROGRAMS = {
    "nginx": "/usr/sbin/nginx",
    "postgres": "/usr/lib/postgresql/15/bin/postgres",
    "redis-server": "/usr/bin/redis-server",
    "python3": "/usr/bin/python3",
    "snooze": "/usr/bin/snooze",
}


@pytest.fixture
def rendered(tmp_path):
    def make(user="app", edit=lambda text: text, before=""):
        stack = load(edit((ROOT / "neurmatic.toml").read_text()), "neurmatic.toml").stack
        modules = find_modules(LocalHost())
        return render(stack, Context(Layout(tmp_path, ROOT), "1-abc", PROGRAMS, SECRETS, user, modules, before=before))

    return make


def test_secrets_stand_only_in_files_for_one_account_and_never_in_a_command(rendered):
    for of in rendered().values():
        for path, file in of.items():
            if "hush-" in file.text:
                assert file.mode == 0o600, path
                assert file.secret, path
                assert not path.endswith("/run"), path


def test_a_command_gets_its_port_and_no_other_variable():
    one = Instance("api-1", "api", "service", 1, 8100)
    assert arguments(("serve", "--port=$PORT", "$DATABASE_URL", "$$", "$INSTANCE"), one) == (
        "serve",
        "--port=8100",
        "$DATABASE_URL",
        "$",
        "api-1",
    )


def test_words_of_a_command_are_not_a_shells(rendered):
    files = rendered(edit=lambda text: text.replace('"serve"]', '"a b; rm -rf /", "$(id)"]'))["api-1"]
    assert "'a b; rm -rf /' '$(id)'" in files["services/api-1/run"].text


def test_rights_are_dropped_when_root_starts_and_not_otherwise(rendered):
    assert "chpst -u app -P" in rendered()["api-1"]["services/api-1/run"].text
    assert " -u " not in rendered(user=None)["api-1"]["services/api-1/run"].text


def test_the_edge_keeps_one_right_of_roots_for_low_ports_and_no_more(rendered):
    run = rendered(edit=lambda text: text.replace("https_port = 8443", "https_port = 443"))["edge"][
        "services/edge/run"
    ].text
    assert 'setpriv --reuid=app --regid="$(id -g app)"' in run and "--ambient-caps=+net_bind_service" in run
    assert "chpst -u app -P" not in run and "setpriv" not in rendered()["edge"]["services/edge/run"].text


LOCAL = """\
[tls]
certificates = "local"
names = ["www.localhost"]
"""
ACME = """\
[tls]
certificates = "acme"
acme_email = "ops@example.org"
names = ["www.example.org"]
"""


@pytest.mark.parametrize(("tls", "before"), [(LOCAL, ""), (ACME, "1-gone")])
def test_nginx_accepts_its_configuration(rendered, tmp_path, tls, before):
    host = "example.org" if tls == ACME else "localhost"
    files = rendered(
        user=None,
        edit=lambda text: text.replace('host = "localhost"', f'host = "{host}"').replace(LOCAL, tls),
        before=before,
    )["edge"]
    for path, file in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(file.text)
    (tmp_path / "run" / "upstreams").mkdir(parents=True)
    (tmp_path / "run" / "upstreams" / "api.conf").write_text("server 127.0.0.1:8100;\n")
    assert f"server_name www.{host};" in files["config/nginx/nginx.conf"].text
    (tmp_path / "tls").mkdir()
    (tmp_path / "run" / "nginx").mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
         "-keyout", tmp_path / "tls/key.pem", "-out", tmp_path / "tls/cert.pem"], check=True, capture_output=True,
    )  # fmt: skip
    bundle = "# source: local\n" + "".join((tmp_path / "tls" / name).read_text() for name in ("key.pem", "cert.pem"))
    (tmp_path / "tls" / "edge.pem").write_text(bundle)
    (tmp_path / "tls" / "stapling.conf").write_text("ssl_stapling on;\n")
    (tmp_path / "maintenance").mkdir()
    (tmp_path / "maintenance" / "switch.conf").write_text(OPEN)
    done = subprocess.run(
        ["/usr/sbin/nginx", "-t", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "config/nginx/nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    config = "".join(file.text for path, file in files.items() if path.endswith(".conf"))
    for words in (
        "least_conn;",
        "keepalive 64;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
    ):
        assert words in config
    assert "8120" not in config, "a worker is not reachable from outside"


def test_assets_of_the_release_before_are_looked_for_in_its_folder_and_nothing_else_of_it(rendered, tmp_path):
    alone, with_before = (rendered(before=one)["edge"]["config/nginx/nginx.conf"].text for one in ("", "1-old"))
    assert "1-old" not in alone and "@before" not in alone
    folder = tmp_path / "releases" / "1-old" / "frontend" / "dist"
    assert with_before.count("1-old") == 1 and f"root {folder};" in with_before
    assert with_before.count("@before") == 2  # where it is, and where hashed assets lead to it
    of_project = rendered(edit=lambda text: re.sub("(?m)^(files|make) = .*", "", text), before="1-old")
    assert "1-old" not in of_project["edge"]["config/nginx/nginx.conf"].text


def test_where_to_purge_is_told_only_where_something_is_kept(rendered):
    url = rendered()["api-1"]["services/api-1/env/EDGE_PURGE_URL"].text
    assert url == "http://127.0.0.1:8081/purge\n"
    keeps_nothing = rendered(edit=lambda text: text.replace('["/api/v1/articles", "/api/v1/tags"]', "[]"))
    assert "services/api-1/env/EDGE_PURGE_URL" not in keeps_nothing["api-1"]


def test_servers_listen_on_loopback_alone(rendered):
    files = rendered()
    assert "listen_addresses = '127.0.0.1'" in files["postgres"]["config/postgresql/postgresql.conf"].text
    redis = files["redis"]["config/redis/redis.conf"].text
    assert (
        "bind 127.0.0.1\n" in redis
        and "requirepass hush-REDIS_PASSWORD" in redis
        and "maxmemory-policy allkeys-lru" in redis
    )


def test_only_websockets_stay_open_for_days(rendered):
    text = rendered()["edge"]["config/nginx/nginx.conf"].text
    assert "location /socket.io/ {" in text
    blocks = {block.split(" ", 1)[0]: block.split("\n        }", 1)[0] for block in text.split("location ")[1:]}
    assert [route for route, block in blocks.items() if "604800s;" in block] == ["/socket.io/"]
    assert (
        "proxy_read_timeout 604800s;" in blocks["/socket.io/"]
        and "proxy_send_timeout 604800s;" in blocks["/socket.io/"]
    )


def test_a_timer_waits_for_its_time_then_calls_the_tool_as_whoever_started_it(rendered):
    files = rendered(edit=lambda text: text.replace('host = "localhost"', 'host = "example.org"').replace(LOCAL, ACME))[
        "timer-renew"
    ]
    run = files["services/timer-renew/run"].text
    assert "/usr/bin/snooze -H " in run and "certificates renew --wait 600" in run and " -u " not in run
    assert files["services/timer-renew/env/TZ"].text == "UTC\n"
    assert '[ "$1" = 0 ] ||' in files["services/timer-renew/finish"].text, "a run that ends well is no restart"
    assert "timer-renew" not in rendered()
