"""nginx's configuration read by others' eyes: crossplane reads it back, gixy looks for the known ways to be attacked."""

import crossplane
import pytest
from gixy.core.manager import Manager
from test_render import PROGRAMS, ROOT, SECRETS

from neurmatic.hosts.local import LocalHost
from neurmatic.render.maintenance import OPEN
from neurmatic.render.nginx import CONFIG
from neurmatic.render.stack import Context, render
from neurmatic.runtimes.native.programs import find_modules
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

OURS = (ROOT / "neurmatic.toml").read_text()
BARE = '[stack]\nname = "bare"\n[services.app]\ncommand = ["x"]\nports = "8100"\nroutes = ["/"]\n'
FULL = """
[stack]
name = "full"
host = "full.example"
[edge]
listen = "::"
trusted.cdn = "cloudflare"
trusted.networks = ["10.0.0.0/8"]
cors.origins = ["https://other.example"]
static = { "/files" = "public", "/more/" = "more" }
cache.paths = ["/api/news"]
cache.query = ["page"]
cache.harmless = ["X-Theme"]
websocket.paths = ["/ws"]
limits.paths = ["/"]
limits.credentials.login = { paths = ["/api/login", "/login"], per_minute = 5 }
[tls]
certificates = "local"
names = ["www.full.example"]
[services.api]
command = ["x"]
ports = "8100-8101"
instances = 2
routes = ["/api/", "/ws"]
health.live = "/api/live"
[services.pages]
command = ["x"]
ports = "8200"
routes = ["/"]
"""
STACKS = {"ours": OURS, "bare": BARE, "full": FULL}

# What gixy finds in these three and what is no hole. A finding that isn't here fails, and so does a reason for none.
REASONS = {
    "ssl_stapling_without_resolver: ssl_stapling on": "nginx looks the responder's name up whenever it loads, so at each renewal at the latest",
    "http2_misdirected_request: server": "`return 444` of that server answers every path: a foreign name gets nothing, over HTTP/2 too",
    "status_page_exposed: stub_status": "its server listens on 127.0.0.1 alone",
    "missing_resolver: proxy_pass http://$service": "the map gives names of upstreams only, which nginx looks for before any DNS",
    "try_files_is_evil_too: try_files $uri $uri/ /index.html =404": "about speed, not security: a look at a local disk",
    "try_files_is_evil_too: try_files $uri =404": "the same",
}


def write(folder, stack):
    """Render a stack's edge into a folder; returns the path of its nginx.conf."""
    context = Context(Layout(folder, ROOT), "1-abc", PROGRAMS, SECRETS, None, find_modules(LocalHost()))
    stack = load(stack, "f").stack
    texts = {path: file.text for path, file in render(stack, context)["edge"].items()}
    texts |= {
        f"run/upstreams/{name}.conf": f"server 127.0.0.1:{one.port(1)};\n" for name, one in stack.routed().items()
    }
    texts |= {"tls/stapling.conf": "ssl_stapling on;\n", "maintenance/switch.conf": OPEN}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder / CONFIG


def findings(config):
    """What gixy finds: its check, and the directives that it is about."""
    with Manager() as manager:
        manager.audit(str(config), None)
        issues = [(type(plugin).__name__, issue) for plugin in manager.results for issue in plugin.issues]
    about = [(check, " ".join((one.name, *one.args))) for check, issue in issues for one in issue.directives]
    about += [(check, issue.reason or "") for check, issue in issues if not issue.directives]
    return {f"{check}: {what}" for check, what in about}


def problems(config):
    """What crossplane can't read, or finds where it doesn't belong; it knows no directive of Lua's and Brotli's modules."""
    return [one["error"] for one in crossplane.parse(str(config))["errors"]]


@pytest.fixture
def ours(tmp_path):
    return write(tmp_path, OURS)


@pytest.mark.parametrize("name", STACKS)
def test_another_reader_reads_it_back(tmp_path, name):
    config = write(tmp_path, STACKS[name])
    assert problems(config) == []
    read = crossplane.parse(str(config), combine=True)["config"][0]["parsed"]
    http = next(one for one in read if one["directive"] == "http")["block"]
    servers = [one["block"] for one in http if one["directive"] == "server"]
    assert len(servers) == (5 if "names = " in STACKS[name] else 4)
    inside = [
        one for server in servers for place in server if place["directive"] == "location" for one in place["block"]
    ]
    upstreams = {f"http://{one['args'][0]}" for one in http if one["directive"] == "upstream"}
    targets = {one["args"][0] for one in inside if one["directive"] == "proxy_pass"}
    assert upstreams and targets <= {*upstreams, "http://$service"}, "gixy lets $host pass as a target"
    assert "add_header" not in {one["directive"] for one in inside}, "it would drop those of the server"


def test_no_finding_is_left_unexplained(tmp_path):
    found = {name: findings(write(tmp_path / name, stack)) for name, stack in STACKS.items()}
    unexplained = {name: of - REASONS.keys() for name, of in found.items()}
    assert not any(unexplained.values()), unexplained
    assert set().union(*found.values()) == set(REASONS), "a reason for what isn't found any more"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("proxy_pass http://api;", "proxy_pass http://$http_x_to;", "ssrf: proxy_pass http://$http_x_to"),
        ("proxy_pass http://api;", "proxy_pass http://$arg_to;", "ssrf: proxy_pass http://$arg_to"),
        ("location /socket.io/ {", "location /socket.io/ { add_header X-One 1;", "add_header_redefinition: add_header X-Content-Type-Options nosniff always"),
        ("location /assets/ {", "location /pictures { alias /srv/pictures/; }\nlocation /assets/ {", "alias_traversal: alias /srv/pictures/"),
        ("Host $our_host", "Host $http_host", "host_spoofing: proxy_set_header Host $http_host"),
        ("server_tokens off;", "server_tokens on;", "version_disclosure: server_tokens on"),
        ("ssl_protocols TLSv1.2", "ssl_protocols TLSv1 TLSv1.2", "weak_ssl_tls: ssl_protocols TLSv1 TLSv1.2 TLSv1.3"),
        ("return 301 https://localhost:8443$request_uri", "return 301 https://localhost:8443$uri", "http_splitting: return 301 https://localhost:8443$uri"),
    ],
)  # fmt: skip
def test_what_is_sabotaged_is_found(ours, old, new, words):
    text = ours.read_text()
    assert old in text
    ours.write_text(text.replace(old, new))
    assert words in findings(ours) - REASONS.keys(), findings(ours) - REASONS.keys()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("stub_status;", "stub_status", "is not terminated by"),
        ("stub_status;", "worker_processes 1;", '"worker_processes" directive is not allowed here'),
        ("server_tokens off;", "server_tokens;", 'invalid number of arguments in "server_tokens"'),
        ("include ", "include /nowhere/", "No such file"),
    ],
)
def test_what_is_no_configuration_is_not_read(ours, old, new, words):
    text = ours.read_text()
    assert old in text
    ours.write_text(text.replace(old, new, 1))
    assert any(words in one for one in problems(ours)), problems(ours)
