import subprocess
from pathlib import Path

import pytest

from neurmatic.render.stack import Context, arguments, render
from neurmatic.stack.instance import Instance
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load
from neurmatic.stack.secret import Secret

ROOT = Path(__file__).parents[2]
SECRETS = {
    name: Secret(f"hush-{name}")
    for name in (
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
}


@pytest.fixture
def rendered(tmp_path):
    def make(user="app", edit=lambda text: text):
        stack = load(edit((ROOT / "neurmatic.toml").read_text()), "neurmatic.toml").stack
        return render(stack, Context(Layout(tmp_path, ROOT), "1-abc", PROGRAMS, SECRETS, user))

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


def test_nginx_accepts_its_configuration(rendered, tmp_path):
    config = rendered(user=None)["edge"]["config/nginx/nginx.conf"].text
    (tmp_path / "tls").mkdir()
    (tmp_path / "run" / "nginx").mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=localhost",
         "-keyout", tmp_path / "tls/key.pem", "-out", tmp_path / "tls/cert.pem"], check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "nginx.conf").write_text(config)
    done = subprocess.run(
        ["/usr/sbin/nginx", "-t", "-e", "stderr", "-p", tmp_path, "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "least_conn;",
        "server 127.0.0.1:8100",
        "server 127.0.0.1:8101",
        "keepalive 64;",
        "ssl_protocols TLSv1.2 TLSv1.3;",
    ):
        assert words in config
    assert "8120" not in config, "a worker is not reachable from outside"


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
    blocks = {block.split(" ", 1)[0]: block.split("}", 1)[0] for block in text.split("location ")[1:]}
    assert [route for route, block in blocks.items() if "7d;" in block] == ["/socket.io/"]
    assert "proxy_read_timeout 7d;" in blocks["/socket.io/"] and "proxy_send_timeout 7d;" in blocks["/socket.io/"]
