import pytest

from neurmatic.errors import ConfigurationError
from neurmatic.stack.loading import load
from neurmatic.stack.model import Stack
from neurmatic.stack.reference import reference
from neurmatic.stack.starter import Answers, starter

SMALL = """
[stack]
name = "small"
[services.app]
command = ["app"]
"""


def problems(text, environment=None):
    with pytest.raises(ConfigurationError) as error:
        load(text, "neurmatic.toml", environment)
    assert error.value.exit_code == 2
    return [line.strip() for line in str(error.value).splitlines()[1:]] or [str(error.value)]


def test_every_problem_at_once_with_its_line_and_the_nearest_known_key():
    found = problems("""
[stack]
nme = "x"
[services.app]
command = ["x"]
helth.ready = "/x"
[postgres]
port = "x"
shared_buffers = "128 MB"
[environments.production.rediss]
port = 3
[environments.production.postgres]
max_conections = 10
""")
    assert [one.split(": ", 1)[0] for one in found] == [f"neurmatic.toml:{n}" for n in (2, 3, 6, 8, 9, 10, 13)]
    for words in (
        "stack.name: is required",
        "did you mean name?",
        "did you mean health?",
        "did you mean redis?",
        "did you mean max_connections?",
    ):
        assert any(words in one for one in found), words


@pytest.mark.parametrize(
    ("addition", "words"),
    [
        ('[edge]\nhttps_port = 8100\n[services.web]\ncommand = ["x"]\nports = "8100-8101"', "overlaps edge.https_port"),
        ('[services.web]\ncommand = ["x"]\nports = "8100-8101"\ninstances = 3', "3 instances don't fit into 2 ports"),
        ('[services.web]\ncommand = ["x"]\nneeds = ["postgres"]\ninstances = 9\n[postgres]\n', "9 x 5 = 45 pooled connections, but only 40 are free"),
        ('[services.web]\ncommand = ["x"]\nneeds = ["nothing"]', "there is no service 'nothing'"),
        ('[services.a]\ncommand = ["x"]\nneeds = ["b"]\n[services.b]\ncommand = ["x"]\nneeds = ["a"]', "need each other in a circle"),
        ('[services.web]\ncommand = ["x"]\nroutes = ["/"]', "routes need ports"),
        ('[checks]\nwebsocket = "/ws?x=1"', "checks.websocket: /ws?x=1 lies in none of edge.websocket.paths"),
        ('[edge.websocket]\npaths = ["/ws"]', "edge.websocket.paths: /ws lies in no service's routes"),
        ('[services.edge]\ncommand = ["x"]', "the name belongs to a built-in service"),
        ('[services.web]\ncommand = ["x"]\nports = "8110-8100"', "ports run from a lower to a higher number"),
        ("[services.web]\ncommand = []", "at least 1 item"),
        ('[services.web]\ncommand = ["x"]\nroutes = ["/a; return 200"]\nports = "8100"', "String should match pattern"),
        ("[environments.prod]\n", "unknown environment; did you mean production?"),
        ('[release]\nservice = "other"', "there is no service 'other'"),
        ('[services.timer-x]\ncommand = ["x"]', "the name belongs to a built-in service"),
        ('[tls]\ncertificates = "acme"\nacme_email = "a@b"', "tls.certificates: no ACME CA issues for 'localhost'"),
        ("[tls]\nwarn_days = 7", "tls.certificates: no ACME CA issues for 'localhost'"),
        ('[environments.production.stack]\nhost = "a.example"\n[environments.production.tls]', "tls.acme_email: is required"),
        ('[tls]\ncertificates = "files"', "files needs tls.certificate and tls.key"),
        ('[tls]\nacme_directory = "http://a.example"', "String should match pattern"),
    ],
)  # fmt: skip
def test_what_can_not_work_is_refused_before_anything_starts(addition, words):
    assert any(words in one for one in problems(SMALL + addition)), problems(SMALL + addition)


def test_text_that_is_no_toml_and_an_environment_that_does_not_exist():
    assert "not valid TOML" in problems("[stack\n")[0]
    assert "did you mean staging?" in problems(SMALL, "stagin")[0]


def test_layers_and_origins():
    text = SMALL + "[postgres]\nport = 1\n[environments.production.postgres]\nmax_connections = 300\n[redis]\n"
    loaded = load(text, "neurmatic.toml", "production")
    postgres, redis = loaded.stack.postgres, loaded.stack.redis
    assert (postgres.port, postgres.max_connections, postgres.shared_buffers, redis.maxmemory) == (
        1,
        300,
        "512MB",
        "2GB",
    )
    assert loaded.origins["postgres", "max_connections"] == "neurmatic.toml:9"
    assert loaded.origins["postgres", "shared_buffers"] == "production's figures"
    assert ("postgres", "user") not in loaded.origins
    assert load(text, "neurmatic.toml").stack.environment == "development"


def test_figures_of_the_catalogue():
    text = SMALL + "[postgres]\n[redis]\n"
    staging, production = (load(text, "f", name).stack for name in ("staging", "production"))
    assert (staging.postgres.max_connections, staging.postgres.shared_buffers, staging.redis.maxmemory) == (
        100,
        "256MB",
        "512MB",
    )
    assert (production.postgres.max_connections, production.postgres.effective_cache_size) == (200, "2GB")
    assert (production.postgres.slow_statement_ms, production.redis.eviction) == (1000, "allkeys-lru")


def test_each_comes_after_what_it_needs():
    text = SMALL.replace(
        'command = ["app"]',
        'command = ["app"]\nneeds = ["postgres", "cache"]\nports = "1-9"\ninstances = 2\nroutes = ["/"]',
    )
    stack = load(text + '[services.cache]\ncommand = ["x"]\n[postgres]\n', "f").stack
    assert [one.name for one in stack.instances()] == ["postgres", "cache-1", "app-1", "app-2", "guard", "edge"]


def test_what_init_writes_is_valid_and_every_field_is_documented():
    for worker, static in (([], None), (["./work"], "public")):
        text = starter(
            Answers("shop", ["run", "$PORT"], False, "/up", static, worker, ["./migrate"], ["app"], [["make"]], 9000)
        )
        stack = load(text, "f").stack
        assert (stack.name, stack.edge.https_port, stack.release.migrate) == ("shop", 9443, ("./migrate",))
    page = reference()
    for name, info in Stack.model_fields.items():
        assert f"[{info.alias or name}" in page
    assert "None |" not in page, "a field without a description"


def test_staging_and_production_ask_an_acme_ca_where_the_file_has_tls():
    text = SMALL.replace("[stack]", '[stack]\nhost = "a.example"') + '[tls]\nacme_email = "ops@a.example"\n'
    sources = {name: load(text, "f", name).stack.tls.certificates for name in ("development", "staging", "production")}
    assert sources == {"development": "local", "staging": "acme", "production": "acme"}
    assert load(SMALL, "f", "production").stack.tls.certificates == "local"
    stack = load(text + 'names = ["www.a.example", "a.example"]\n', "f", "production").stack
    assert stack.tls_names == ("a.example", "www.a.example")
    assert [one.name for one in stack.instances()][-1] == "timer-renew"
    timer = stack.timers()[0]
    assert len(timer.hours) == 2 and timer.hours[1] - timer.hours[0] == 12 and 0 <= timer.minute < 60
    assert load(SMALL + '[tls]\ncertificates = "local"\nwarn_days = 7\n', "f").stack.tls.warn_days == 7
