"""What the edge's sections refuse, and that each refusal names the field and its line."""

import pytest

from neurmatic.errors import ConfigurationError
from neurmatic.stack.loading import load

STACK = """\
[stack]
name = "small"
[services.app]
command = ["app"]
ports = "8100"
routes = ["/api/", "/ws/"]
[edge]
{}
"""
LINE = STACK.splitlines().index("{}") + 1


def problems(words):
    with pytest.raises(ConfigurationError) as error:
        load(STACK.format(words), "neurmatic.toml")
    return [line.strip() for line in str(error.value).splitlines()[1:]]


@pytest.mark.parametrize(
    ("words", "field", "what"),
    [
        # who may name the client
        ('trusted.networks = ["10.0.0.0/33"]', "edge.trusted.networks.0", "10.0.0.0/33"),
        ('trusted.networks = ["10.0.0.0/8", "10.0.0.1/8"]', "edge.trusted.networks.1", "has host bits set"),
        ('trusted.networks = ["cloudflare"]', "edge.trusted.networks.0", "'cloudflare'"),
        ('trusted.networks = ["10.0.0.0/8; deny all"]', "edge.trusted.networks.0", "deny all"),
        ('trusted.cdn = "cloudfare"', "edge.trusted.cdn", "there is no list of that name; did you mean cloudflare?"),
        ('trusted.cdn = "mine"', "edge.trusted.cdn", "there is no list of that name (known: cloudflare)"),
        ('trusted.header = "X Real IP"', "edge.trusted.header", "should match pattern"),
        ('trusted.header = "X-Real-IP;"', "edge.trusted.header", "should match pattern"),
        # who is let in during maintenance
        ('maintenance.allow = ["10.0.0.0/33"]', "edge.maintenance.allow.0", "10.0.0.0/33"),
        ('maintenance.allow = ["::1%a;}"]', "edge.maintenance.allow.0", "names an interface"),
        ('trusted.networks = ["::1%a;}"]', "edge.trusted.networks.0", "names an interface"),
        # what is sent
        ("headers.x_frame_options = 'a\"b'", "edge.headers.x_frame_options", "without quotes"),
        ("headers.content_security_policy = 'img-src $host'", "edge.headers.content_security_policy", "dollar signs"),
        ('headers.referrer_policy = "a\\nX-Other: b"', "edge.headers.referrer_policy", "must be plain ASCII"),
        ("headers.permissions_policy = 'a\\b'", "edge.headers.permissions_policy", "backslashes"),
        ('headers.x_frame_options = "Ä"', "edge.headers.x_frame_options", "must be plain ASCII"),
        ('headers.x_frame = "DENY"', "edge.headers.x_frame", "did you mean x_frame_options?"),
        # paths that lead nowhere
        ('cache.paths = ["/api/news", "/news"]', "edge.cache.paths", "/news lies in no service's routes"),
        ('websocket.paths = ["/socket"]', "edge.websocket.paths", "/socket lies in no service's routes"),
        ('limits.paths = ["/other"]', "edge.limits.paths", "/other lies in no service's routes"),
        ('limits.credentials.login = { paths = ["/login"], per_minute = 5 }', "edge.limits.credentials.login.paths", "/login lies in no"),
        ("limits.credentials.login = { paths = [], per_minute = 5 }", "edge.limits.credentials.login.paths", "at least 1 item"),
        # words that would mean something to nginx
        ('cache.paths = ["/api/; deny all"]', "edge.cache.paths.0", "should match pattern"),
        ('cache.paths = ["/api/{x}"]', "edge.cache.paths.0", "should match pattern"),
        ('cache.paths = ["api/"]', "edge.cache.paths.0", "should match pattern"),
        ('websocket.paths = ["/ws/\\\\"]', "edge.websocket.paths.0", "should match pattern"),
        ('cache.query = ["a b"]', "edge.cache.query.0", "should match pattern"),
        ('cache.size = "100m; x"', "edge.cache.size", "should match pattern"),
        ('body_size = "10 MB"', "edge.body_size", "should match pattern"),
        ('listen = "localhost"', "edge.listen", "should match pattern"),
        ('limits.credentials.Login = { paths = ["/api/x"], per_minute = 5 }', "edge.limits.credentials.Login", "should match pattern"),
        # figures
        ("limits.rate = 0", "edge.limits.rate", "greater than or equal to 1"),
        ("limits.burst = -1", "edge.limits.burst", "greater than or equal to 0"),
        ('limits.rate = "10"', "edge.limits.rate", "valid integer"),
        ('limits.credentials.login = { paths = ["/api/x"], per_minute = 601 }', "edge.limits.credentials.login.per_minute", "less than or equal to 600"),
        ('limits.credentials.login = { paths = ["/api/x"] }', "edge.limits.credentials.login.per_minute", "is required"),
        ('limits.credentials.login = { paths = ["/api/x"], per_minuet = 5, per_minute = 5 }', "edge.limits.credentials.login.per_minuet", "unknown key"),
        ("failover.interval = 0", "edge.failover.interval", "greater than or equal to 0.1"),
        ("failover.fall = 0", "edge.failover.fall", "greater than or equal to 1"),
        ("failover.hung_secs = 3", "edge.failover.hung_secs", "did you mean hung_seconds?"),
        ("websocket.connections = 0", "edge.websocket.connections", "greater than or equal to 1"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_field_and_its_line(words, field, what):
    found = problems(words)
    assert len(found) == 1, found
    place, where, said = found[0].split(": ", 2)
    assert (place, where) == (f"neurmatic.toml:{LINE}", field)
    assert what in said


def test_every_refusal_of_a_file_comes_at_once():
    found = problems('trusted.cdn = "x"\nlimits.rate = 0\nheaders.x_frame_options = "$"')
    assert [one.split(": ")[1] for one in found] == [
        "edge.trusted.cdn",
        "edge.limits.rate",
        "edge.headers.x_frame_options",
    ]
    assert [one.split(": ")[0] for one in found] == [f"neurmatic.toml:{LINE + n}" for n in range(3)]


@pytest.mark.parametrize(
    ("words", "networks", "header"),
    [
        ("", 0, "X-Forwarded-For"),
        ('trusted.networks = ["10.0.0.0/8", "fd00::/8"]', 2, "X-Forwarded-For"),
        ('trusted.cdn = "cloudflare"', 22, "CF-Connecting-IP"),
        ('trusted = { cdn = "cloudflare", networks = ["10.0.0.0/8"], header = "X-Real-IP" }', 23, "X-Real-IP"),
    ],
)
def test_whose_word_counts(words, networks, header):
    trusted = load(STACK.format(words), "f").stack.edge.trusted
    assert (len(trusted.all_networks), trusted.client_header) == (networks, header)
