import subprocess

import pytest
from platform_support import BIN

from neurmatic_backend.core.settings import SettingsError, read_settings

GOOD = {"DATABASE_URL": "postgresql://u:p8Zk@h/n", "REDIS_URL": "redis://h"}
RANDOM = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJD"


def problems(**changes):
    with pytest.raises(SettingsError) as error:
        read_settings(GOOD | changes)
    return error.value.problems


def test_every_problem_at_once():
    with pytest.raises(SettingsError) as error:
        read_settings({"PORT": "x"})
    assert [one.split()[0] for one in error.value.problems] == ["DATABASE_URL", "REDIS_URL", "PORT"]


def test_the_edge_is_asked_over_plain_http_on_this_machine():
    assert read_settings(GOOD).edge_purge_url == ""
    assert problems(EDGE_PURGE_URL="localhost:8081")[0].startswith("EDGE_PURGE_URL")


@pytest.mark.parametrize("name", ["JWT_SECRET", "JWT_REFRESH_SECRET"])
@pytest.mark.parametrize("value", ["", "short", "changeme" * 10, "x" * 64])
def test_production_refuses_a_missing_short_or_placeholder_secret(name, value):
    good = {"JWT_SECRET": RANDOM, "JWT_REFRESH_SECRET": RANDOM[::-1]}
    assert read_settings(GOOD | good | {"NEURMATIC_ENVIRONMENT": "production"}).is_production
    found = problems(**(good | {name: value, "NEURMATIC_ENVIRONMENT": "production"}))
    assert len(found) == 1 and found[0].startswith(name)


def test_production_refuses_placeholder_passwords_and_equal_secrets():
    found = problems(
        NEURMATIC_ENVIRONMENT="production",
        JWT_SECRET=RANDOM,
        JWT_REFRESH_SECRET=RANDOM,
        DATABASE_URL="postgresql://u:changeme@h/n",
    )
    assert [one.split()[0] for one in found] == ["JWT_REFRESH_SECRET", "DATABASE_URL"]


def test_secrets_are_not_shown():
    text = repr(read_settings(GOOD | {"JWT_SECRET": RANDOM}))
    assert RANDOM not in text and "p8Zk" not in text


def test_the_command_lists_the_problems_and_exits_2():
    done = subprocess.run(
        [BIN / "neurmatic-backend", "serve"], env={"PORT": "x"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("DATABASE_URL", "REDIS_URL", "PORT"))
