"""The stack as containers: what the files say. That they work is seen on a real engine, in tests/containers."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from neurmatic.cli.main import main
from neurmatic.errors import ConfigurationError
from neurmatic.render.containers import render_containers
from neurmatic.render.images import render_servers
from neurmatic.stack.loading import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "neurmatic.toml").read_text()
ENVIRONMENTS = ("development", "staging", "production")


def rendered(environment="production", text=TEXT):
    stack = load(text, "neurmatic.toml", environment).stack
    return {path: file.text for path, file in render_containers(stack, stack.containers).items()}


def services(environment="production", text=TEXT):
    return yaml.safe_load(rendered(environment, text)["compose.yaml"])["services"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_lies_in_deploy_is_what_the_stack_file_says(environment):
    folder = ROOT / "deploy" / environment
    listed = subprocess.run(
        ["git", "ls-files", "-z", "."], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    there = {name: (folder / name).read_text() for name in listed.split("\0") if name and (folder / name).exists()}
    assert there == rendered(environment), "run `make compose-files`"


def test_the_images_of_others_are_this_repository_s_own():
    for path, file in render_servers("deploy/images").items():
        assert (ROOT / path).read_text() == file.text


def test_init_writes_images_only_when_asked_and_only_what_can_work(tmp_path, capsys):
    (tmp_path / "app.py").write_text("")
    ask = ["--file", str(tmp_path / "neurmatic.toml"), "init", "--name", "theirs"]
    command = ["--command", "python3 app.py --bind $LISTEN_ADDRESS:$PORT"]
    assert main([*ask, *command, "--dockerfile", "python:3"]) == 2 and "--release" in capsys.readouterr().err
    deaf = ["--command", "python3 app.py --port $PORT", "--release", "app.py", "--dockerfile", "python:3"]
    assert main([*ask, *deaf]) == 2 and "$LISTEN_ADDRESS" in capsys.readouterr().err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["app.py"]
    (tmp_path / ".dockerignore").write_text("mine\n")
    build = ["--build", "python3 -m venv venv"]
    assert main([*ask, *command, *build, "--release", "app.py", "--dockerfile", "python:3"]) == 0
    dockerfile = (tmp_path / "Dockerfile").read_text()
    assert "ARG BASE_IMAGE=python:3\n" in dockerfile and 'RUN ["python3", "-m", "venv", "venv"]' in dockerfile
    assert "COPY app.py ./app.py" in dockerfile and (tmp_path / ".dockerignore").read_text() == "mine\n"
    stack = load((tmp_path / "neurmatic.toml").read_text(), "neurmatic.toml").stack
    composed = yaml.safe_load(render_containers(stack, stack.containers)["compose.yaml"].text)["services"]
    assert composed["app-1"]["command"] == ["python3", "app.py", "--bind", f"0.0.0.0:{stack.services['app'].port(1)}"]
    (tmp_path / "neurmatic.toml").unlink()
    assert main([*ask, *command, "--release", "app.py", "--dockerfile", "python:3"]) == 2
    assert "Dockerfile" in capsys.readouterr().err and not (tmp_path / "neurmatic.toml").exists()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_service_has_the_least_of_rights_and_a_limit(environment):
    for name, one in services(environment).items():
        account, _, group = one["user"].partition(":")
        assert account not in ("0", "root") and account.isdigit() and group == "10001", name
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and one["security_opt"] == ["no-new-privileges:true"], (
            name
        )
        assert {"memory", "cpus", "pids"} == set(one["deploy"]["resources"]["limits"]), name
        assert "privileged" not in one and "cap_add" not in one
        assert ("ports" in one) == (name == "edge"), name
        assert one.get("network_mode", "inside") == "service:edge" or "inside" in one["networks"], name


def test_addresses_stay_the_same_when_a_service_grows():
    larger = TEXT.replace('host_memory = "8GB"', 'host_memory = "9GB"\nhost_cpus = 5')
    few, many = services(), services(text=larger.replace("instances = 2", "instances = 3"))
    assert set(many) - set(few) == {"api-3"}
    for name, one in few.items():
        assert one["networks"]["inside"] == many[name]["networks"]["inside"]
    assert len({one["networks"]["inside"]["ipv4_address"] for one in many.values()}) == len(many)


def test_a_change_of_configuration_makes_its_container_anew_and_no_other():
    before, after = services(), services(text=TEXT + '\n[environments.production.redis]\nmaxmemory = "1GB"\n')
    changed = {name for name in before if before[name].get("labels") != after[name].get("labels")}
    assert changed == {"redis"}


def test_secrets_are_named_and_nowhere_told():
    for name, one in services().items():
        if name.startswith(("api", "worker", "migrate", "seed")):
            assert one["environment"]["DATABASE_URL"].startswith("postgresql://neurmatic:{POSTGRES_PASSWORD}@")
            assert not {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET"} & set(one["environment"])
            assert {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "JWT_SECRET", "JWT_REFRESH_SECRET"} == set(one["secrets"])
    assert "requirepass" not in rendered()["config/redis/redis.conf"]


def test_compose_fills_nothing_in_that_the_stack_file_says():
    text = TEXT.replace("pool_size = 10", 'pool_size = 10\nenv.PRICE = "5$ or ${HOME}"')
    assert services(text=text)["api-1"]["environment"]["PRICE"] == "5$$ or $${HOME}"


def test_one_edge_hears_everybody_and_publishes_where_it_is_told():
    text = TEXT + '\n[environments.production.edge]\nlisten = "::1"\n'
    assert services(text=text)["edge"]["ports"] == ["[::1]:8443:8443", "[::1]:8080:8080"]
    config = rendered(text=text)["config/nginx/nginx.conf"]
    assert set(re.findall(r"listen ([0-9.:]+)", config)) == {
        "0.0.0.0:8080", "0.0.0.0:8443", "127.0.0.1:8081", "172.31.224.10:8081"
    }  # fmt: skip


def test_without_a_site_or_servers_there_is_no_container_of_theirs():
    text = """
[stack]
name = "small"
[services.app]
command = ["./app"]
ports = "8100-8101"
routes = ["/"]
[containers.images.app]
dockerfile = "Dockerfile"
services = ["app"]
[containers.images.edge]
dockerfile = "edge/Dockerfile"
services = ["edge"]
"""
    assert set(services("production", text)) == {"app-1", "edge"}
    assert "config/redis/redis.conf" not in rendered("production", text)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('host_memory = "8GB"', 'host_memory = "4GB"', r"host_memory: the instances' limits are \d+ MB together"),
        (
            'host_memory = "8GB"',
            'host_memory = "8GB"\nhost_cpus = 3',
            "host_cpus: the limits are 3.5 together, and the host has 3",
        ),
        ('services = ["api", "worker"]', 'services = ["api"]', "none runs the service 'worker'"),
        ('services = ["api", "worker"]', 'services = ["api", "worker", "wroker"]', "there is no service 'wroker'"),
        ('subnet = "172.31.224.0/20"', 'subnet = "172.31.224.0/25"', "is too small for 6 services"),
        ('subnet = "172.31.224.0/20"', 'subnet = "8.8.0.0/20"', "must be a private network"),
        ('fallback = "index.html"', 'fallback = "index.html"\n[services.site]\ncommand = ["./x"]', "services.site: "),
        ("[containers.reload.api]", "[containers.reload.app]", "containers.reload: there is no service 'app'"),
        ('fallback = "index.html"', 'fallback = "index.html"\n[edge.static]\n"/static/" = "x"', "edge.static: "),
        (
            'host_memory = "8GB"',
            'host_memory = "8GB"\nlimits.postgres.memory = "1GB"',
            "containers.limits.postgres.memory: shared_buffers and 200 connections need 1512 MB",
        ),
        (
            'host_memory = "8GB"',
            'host_memory = "8GB"\nlimits.redis.memory = "2GB"',
            "containers.limits.redis.memory: maxmemory and what a save copies need 3104 MB",
        ),
    ],
)
def test_an_impossible_set_is_refused_before_anything_starts(before, after, problem):
    assert before in TEXT
    with pytest.raises(ConfigurationError, match=problem):
        rendered(text=TEXT.replace(before, after))


def test_natively_the_hosts_size_for_containers_says_nothing():
    load(TEXT.replace('host_memory = "8GB"', "host_cpus = 1"), "neurmatic.toml", "production")


def test_the_command_writes_the_files_and_refuses_without_the_section(tmp_path, capsys):
    words = ["render", "--runtime", "containers", "--environment", "staging"]
    assert main([*words, "--file", str(ROOT / "neurmatic.toml"), str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "make-secrets").stat().st_mode & 0o111
    bare = tmp_path / "neurmatic.toml"
    bare.write_text('[stack]\nname = "bare"\n[services.app]\ncommand = ["./app"]\n')
    assert main([*words, "--file", str(bare), str(tmp_path / "other")]) == 2
    assert "there is no [containers]" in capsys.readouterr().err


def test_secrets_are_made_once_and_what_only_the_operator_knows_is_asked_for(tmp_path):
    text = TEXT.replace("generate = [", 'require = ["SMTP_PASSWORD"]\ngenerate = [')
    script = tmp_path / "make-secrets"
    script.write_text(rendered(text=text)["make-secrets"])
    first = subprocess.run(["sh", script], capture_output=True, text=True, check=False)
    assert first.returncode == 1 and "write these yourself: secrets/SMTP_PASSWORD" in first.stderr
    made = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert len(made["JWT_SECRET"]) == 64 and re.fullmatch(r"[A-Za-z0-9_-]+", made["JWT_SECRET"])
    assert len(set(made.values())) == len(made) and "PRIVATE KEY" in made["edge.pem"]
    (tmp_path / "secrets" / "SMTP_PASSWORD").write_text("theirs")
    subprocess.run(["sh", script], check=True)
    again = {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}
    assert again == made | {"SMTP_PASSWORD": "theirs"}
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o640}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_whatever_nginx_includes_is_there_when_compose_starts_it(environment):
    files = rendered(environment)
    mounts = [volume.split(":")[:2] for volume in services(environment)["edge"]["volumes"]]
    included = re.findall(r"^\s*include (/neurmatic/\S+);", files["config/nginx/nginx.conf"], re.MULTILINE)
    assert included
    for path in included:
        source, target = max((one for one in mounts if path.startswith(one[1])), key=lambda one: len(one[1]))
        if source.startswith("./"):  # else it is on a volume, where the edge's start puts it
            assert source.removeprefix("./") + path.removeprefix(target) in files, path
