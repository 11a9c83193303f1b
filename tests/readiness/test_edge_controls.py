"""The edge's checks: green for the configuration as rendered, red for each way in which it has been broken before."""

import os
import shutil
from pathlib import Path

import pytest

from neurmatic.hosts.local import LocalHost
from neurmatic.readiness.catalogue import claims
from neurmatic.readiness.finding import Status
from neurmatic.readiness.run import execute, find_check
from neurmatic.readiness.subject import Subject, View
from neurmatic.releases.project import Quiet
from neurmatic.releases.up import Up
from neurmatic.render import stack as rendering
from neurmatic.render.file import File
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import load

STACK = """
[stack]
name = "edge"
user = "nobody"
[edge]
https_port = 17443
http_port = 17080
control_port = 17081
body_size = "1m"
limits.header_seconds = 2
limits.body_seconds = 2
limits.credentials.login = { paths = ["/api/auth/login"], per_minute = 5 }
limits.credentials.register = { paths = ["/api/auth/register"], per_minute = 3 }
cache.paths = ["/api/list", "/api/list-other"]
cache.query = ["limit"]
websocket.paths = ["/api/live"]
[tls]
certificates = "local"
names = ["www.localhost"]
[site]
root = "site"
[services.app]
command = ["python3", "edge_app.py"]
instances = 2
ports = "17100-17103"
routes = ["/api/"]
drain = 0
stop_timeout = 5
health.ready = "/api/health/ready"
health.live = "/api/health/live"
[checks]
websocket = "/api/live?x=1"
websocket_hello = "hello"
announce = ["python3", "edge_app.py", "announce"]
"""
NGINX, COMMON = "nginx.conf", "common.conf"
BODY, CACHE, CREDENTIALS = "lua/body.lua", "lua/cache.lua", "lua/credentials.lua"

OUTSIDE = next((one for one in LocalHost().addresses() if "." in one), "127.0.0.2")

# slug, file, what stands there, what is put in its place, words that the evidence must contain
CONTROLS = [
    ("edge.least-conn", NGINX, "least_conn;", "", "suspended"),
    ("edge.least-conn", NGINX, "keepalive 64;", "", "connections opened for 24 requests to one location: 2"),
    ("edge.least-conn", NGINX, "location /api/ {", "location /api/ {\n            proxy_set_header Connection close;", "at most, at /api/"),
    ("edge.rate-api", NGINX, "burst=20 nodelay", "burst=200 nodelay", "let through"),
    ("edge.rate-api", NGINX, "limit_req_status 429", "limit_req_status 503", "let through"),
    ("edge.rate-api", NGINX, "default $binary_remote_addr;", "default all;", "another client"),
    ("edge.rate-login", NGINX, "(?:;[^/]*)?[^a-z0-9]+", "/", "past the limit"),
    ("edge.rate-login", NGINX, "login=5", "login=9", "the refusal"),
    ("edge.rate-register", NGINX, "register=3", "register=30", "the refusal"),
    ("edge.rate-register", CREDENTIALS, "ngx.var.retry_after =", "local _ =", "Retry-After 1,"),
    ("edge.connections", NGINX, "limit_conn connections 10", "limit_conn connections 20", "one more"),
    ("edge.connections", NGINX, "client_header_timeout 2s", "client_header_timeout 60s", "still open"),
    ("edge.connections", NGINX, 'require("body").read(2)', "", "a body that dribbles in at /api/: still open"),
    ("edge.connections", NGINX, 'location = /api/health/ready {\n            access_by_lua_block { require("body").read(2) }', "location = /api/health/ready {", "at /api/health/ready: still open"),
    ("edge.connections", BODY, "before < LEAST", "before < -LEAST", "a body that dribbles in at /api/: still open"),
    ("edge.client-identity", NGINX, "# ---- who the client is", "set_real_ip_from 0.0.0.0/0; real_ip_header X-Real-IP;", "X-Real-IP"),
    ("edge.tls", NGINX, "TLSv1.2 TLSv1.3;\n    ssl_ciphers ", "TLSv1.1 TLSv1.2 TLSv1.3;\n    ssl_ciphers ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0:", "TLSv1_1"),
    ("edge.tls", NGINX, "ssl_ciphers ", "ssl_ciphers ECDHE-ECDSA-AES128-SHA:", "weak"),
    ("edge.tls", NGINX, "ssl_session_tickets off", "ssl_session_tickets on", "by a ticket"),
    ("edge.tls", NGINX, "ssl http2", "ssl", "it takes http/1.1"),
    ("edge.headers", NGINX, "proxy_pass http://app;", "add_header X-Else 1; proxy_pass http://app;", "a service's answer"),
    ("edge.headers", NGINX, "proxy_hide_header X-Frame-Options;", "", "ALLOWALL"),
    ("security.xss", COMMON, "default-src 'self'", "default-src 'self' 'unsafe-inline'", "lets 'unsafe-inline' run scripts"),
    ("security.xss", COMMON, "default-src 'self'", "script-src 'self' https:; default-src 'self'", "lets https: run scripts"),
    ("security.xss", COMMON, "default-src 'self'; ", "", "no directive is about scripts"),
    ("security.xss", COMMON, "default-src 'self'", "style-src 'unsafe-inline'; default-src 'self'", "style-src has 'unsafe-inline'"),
    ("security.xss", COMMON, "; object-src 'none'", "", "plugins may come from 'self'"),
    ("security.xss", COMMON, "base-uri 'self'; ", "", "base-uri is missing"),
    ("security.xss", COMMON, "frame-ancestors 'self'; ", "frame-ancestors https://*; ", "frame-ancestors has https://*"),
    ("security.xss", COMMON, "object-src 'none'\" always", "object-src 'none'\"", "not found (404): 0 of"),
    ("security.xss", NGINX, "proxy_hide_header Content-Security-Policy;", "", "a service's answer (200): 2 of"),
    ("edge.cors", NGINX, "proxy_hide_header Access-Control-Allow-Origin;", "", "'*'"),
    ("edge.cors", NGINX, 'map $http_origin $cors_origin {\n        default "";', "map $http_origin $cors_origin {\n        default $http_origin;", "strange.example"),
    ("edge.cors", NGINX, "if ($preflight) { return 204; }", "", "preflight"),
    ("edge.cache-api", CACHE, "ngx.var.personal = name", "local _ = name", "with Authorization"),
    ("edge.cache-api", NGINX, "proxy_cache_bypass $personal $unknown_query;", "", "with Authorization"),
    ("edge.cache-api", NGINX, "proxy_cache_lock on;", "", "reached a service"),
    ("edge.cache-api", CACHE, "purged:set(path,", "purged:set(ALL, ngx.now()); purged:set(path,", "after a purge"),
    ("edge.cache-api", NGINX, "proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;", "", "stale answer"),
    ("edge.cache-static", NGINX, 'set $cache_control "no-cache";', 'set $cache_control "max-age=3600";', "the page"),
    ("edge.cache-static", NGINX, "max-age=31536000", "max-age=60", "max-age=60"),
    ("edge.compression", NGINX, "gzip on;", "gzip off;", "Accept-Encoding gzip"),
    ("edge.compression", NGINX, "gzip off;  # an", "# an", "credential addresses"),
    ("edge.websocket", NGINX, "proxy_set_header Upgrade $http_upgrade;", "", "through the edge: 404"),
    ("edge.websocket", NGINX, "proxy_read_timeout 604800s;", "", "closed"),
    ("edge.websocket", NGINX, "proxy_read_timeout 604800s", "proxy_read_timeout 3600s", "at most"),
    ("edge.websocket", NGINX, "worker_shutdown_timeout 30s", "worker_shutdown_timeout 100ms", "after a reload"),
    ("edge.websocket", NGINX, "limit_conn sockets 10", "limit_conn sockets 20", "one more: 101"),
    ("edge.unknown-host", NGINX, "ssl_reject_handshake on;", "", "server name strange.example"),
    ("edge.unknown-host", NGINX, "return 444;", 'return 200 "welcome";', "Host strange.example"),
    ("edge.redirect", NGINX, "return 301 https://localhost:17443$request_uri;", "return 301 https://localhost:17443/;", "/a/b"),
    ("edge.redirect", NGINX, "location = /api/health/live {", "location = /api/health/live {\n            return 301 https://localhost/;", "HTTP /api/health/live: 301"),
    ("stack.failover", NGINX, "proxy_next_upstream error timeout", "proxy_next_upstream off", "failed"),
    ("stack.failover", NGINX, "proxy_next_upstream error timeout", "proxy_next_upstream error timeout non_idempotent", "executed"),
    ("stack.networks", NGINX, "listen 127.0.0.1:17081;", f"listen 127.0.0.1:17081; listen {OUTSIDE}:17081;", "which should not be"),
    ("edge.limits", COMMON, "error_page 494 =431", "error_page 494 =400", "a header of"),
    ("edge.limits", COMMON, "error_page 403 404 405 408 413", "error_page 403 404 405 408", "not the error body"),
    ("edge.limits", NGINX, "proxy_read_timeout 1s", "proxy_read_timeout 9s", "each instance asked once"),
]  # fmt: skip
ELSEWHERE = ("edge.certificates", "edge.ocsp")  # test_certificate_controls.py
PARTLY = ("security.xss",)  # the rest of the claim can't be executed by the tool
CHECKED = [
    claim.slug for claim in claims() if find_check(claim) and claim.slug not in ELSEWHERE and (claim.slug.startswith("edge.") or claim.slug in ("stack.networks", "stack.failover", *PARTLY))
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The project: an application, and a page that names a file with a hash in its name."""
    path = Path("/var/tmp") / f"edge-controls-{os.getpid()}"
    (path / "site" / "assets").mkdir(parents=True)
    (path / "site" / "index.html").write_text('<script src="/assets/app-1a2b3c.js"></script>' + "<p>text</p>" * 300)
    (path / "site" / "assets" / "app-1a2b3c.js").write_text("1;\n" * 1000)
    (path / "announced").mkdir()
    (path / "announced").chmod(0o777)
    shutil.copy(Path(__file__).with_name("edge_app.py"), path)
    yield path
    shutil.rmtree(path)


class Examined:
    """A running stack, and its checks."""

    def __init__(self, folder):
        layout = Layout(folder / ".neurmatic", folder)
        stack = load(STACK, "neurmatic.toml").stack
        user = "nobody" if os.geteuid() == 0 else None
        layout.state.mkdir(exist_ok=True)
        self.up = Up(LocalHost(), layout, stack, Quiet(), user)
        self.subject = Subject(View(LocalHost(), layout, stack), user)

    def check(self, slug):
        claim = next(claim for claim in claims() if claim.slug == slug)
        self.up.up()
        return execute(claim, find_check(claim), self.subject)


@pytest.fixture(scope="module")
def examined(folder):
    from neurmatic.releases.down import down

    one = Examined(folder)
    yield one
    one.subject.close()
    down(one.up.host, one.up.layout, Quiet())


@pytest.fixture
def sabotage(monkeypatch):
    """Change what is rendered from now on; says so when there is nothing to change."""

    def apply(name, old, new):
        genuine = rendering.render_nginx
        found = []

        def rendered(*args, **options):
            files = dict(genuine(*args, **options))
            path = f"config/nginx/{name}"
            found.append(old in files[path].text)
            return files | {path: File(files[path].text.replace(old, new))}

        monkeypatch.setattr(rendering, "render_nginx", rendered)
        return found

    return apply


@pytest.mark.parametrize("slug", [slug for slug in CHECKED if slug not in PARTLY])
def test_check_is_green_for_what_is_rendered(examined, slug):
    finding = examined.check(slug)
    if finding.status is Status.UNVERIFIABLE:
        pytest.skip(finding.evidence)
    assert finding.status is Status.PASS, finding


def test_of_stored_text_the_policy_is_seen_and_the_rest_is_said(examined):
    finding = examined.check("security.xss")
    assert finding.status is Status.UNVERIFIABLE, finding
    for words in ("every instance stopped (50", "as sent: default-src 'self'; ", "whether stored text is shown inert"):
        assert words in finding.evidence, finding
    assert "real browser" in finding.hint


@pytest.mark.parametrize("control", CONTROLS, ids=[f"{one[0]}-{number}" for number, one in enumerate(CONTROLS)])
def test_check_is_red_when_the_claim_is_broken(examined, sabotage, control):
    slug, name, old, new, words = control
    found = sabotage(name, old, new)
    finding = examined.check(slug)
    assert any(found), f"{name} has no {old!r} any more"
    assert finding.status is Status.FAIL, finding
    assert words in finding.evidence.partition("BUT")[2], finding.evidence


def test_a_silent_body_is_red_when_neither_of_its_time_limits_holds(examined, sabotage):
    found = [
        sabotage(NGINX, "client_body_timeout 2s", "client_body_timeout 60s"),
        sabotage(NGINX, 'require("body").read(2)', ""),
    ]
    finding = examined.check("edge.connections")
    assert all(map(any, found)) and finding.status is Status.FAIL, finding
    assert "mid-body: still open" in finding.evidence.partition("BUT")[2], finding.evidence


def test_what_is_announced_must_reach_the_clients_of_every_instance(examined, folder):
    (folder / "deaf-app-2").touch()
    try:
        finding = examined.check("edge.websocket")
    finally:
        (folder / "deaf-app-2").unlink()
    assert finding.status is Status.FAIL, finding
    assert "heard by 2 of these 4; by clients at app-1: heard, at app-2: not heard" in finding.evidence, finding


def test_without_a_way_to_announce_it_is_not_verifiable(examined):
    stack = examined.up.stack.replace(checks=examined.up.stack.checks.replace(announce=()))
    claim = next(claim for claim in claims() if claim.slug == "edge.websocket")
    finding = execute(claim, find_check(claim), Subject(View(examined.up.host, examined.up.layout, stack), None))
    assert finding.status is Status.UNVERIFIABLE and "[checks] websocket and announce" in finding.hint


def test_every_check_has_a_negative_control():
    assert set(CHECKED) == {control[0] for control in CONTROLS}
