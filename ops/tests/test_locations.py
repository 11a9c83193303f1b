"""Which addresses the edge treats in which way, without nginx: tables of paths as nginx sees them, decoded and resolved."""

import re

import pytest

from neurmatic.render.locations import ENCODED_TWICE, locations, rated_paths, spellings
from neurmatic.stack.loading import load

LOGIN = "/api/v1/auth/login"
STACK = """
[stack]
name = "x"
[services.api]
command = ["x"]
ports = "8100-8101"
routes = ["/api/", "/socket.io/"]
health.ready = "/api/ready"
health.live = "/api/live"
[services.pages]
command = ["x"]
ports = "8200"
routes = ["/"]
[services.worker]
command = ["x"]
ports = "8300"
health.ready = "/api/worker-ready"
"""


def edge(words=""):
    return locations(load(f"{STACK}\n[edge]\n{words}", "f").stack)


def found(path, words=""):
    """The location that nginx takes: the path itself, else the first expression that fits, else the longest prefix."""
    every = edge(words)
    exact = [one for one in every if one.match == "=" and one.path == path]
    fitting = [one for one in every if one.match == "~*" and re.search(one.path, path, re.IGNORECASE)]
    longest = sorted(
        (one for one in every if not one.match and path.startswith(one.path)), key=lambda one: -len(one.path)
    )
    return [*exact, *fitting, *longest][0]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/auth/login",
        "/api/v1/auth/login/",
        "/api/v1/auth/login//",
        "/API/v1/Auth/LOGIN",
        "//api//v1//auth//login",
        "/api/v1/auth/login/again",
        "/api/v1/auth/login.json",
        "/api/v1/auth/login;session=1",
        "/api/v1/auth;a=1/login",
        "/api;x/v1;y/auth;z/login;w",
        "/api;/v1/auth/login",
        "/api/v1/auth/login ",
        "/api/v1/auth/login\t",
        "/api/v1/auth/login\\",
        "\\api\\v1\\auth\\login",
        "/api\\v1/auth\\login",
        "/api/ v1/auth /login",
        "/ api/v1/auth/login",
        "/api/v1/auth/./login",
        "/./api/v1/auth/login",
        "/api/v1/auth/login%20",
        "/api/v1/auth/login?x",
        "/api/v1/auth/login#x",
        "/api/v1/auth/login\x00",
        "/api/v1/auth/login\n",
        "/api/v1/auth/login/\na\nb",  # a dot stops at a line's end
        "/api\n/v1/auth/login",
        "/api/v1/auth/login:x",
        "/api/v1/auth/login,x",
        "/api/v1/auth/login~",
    ],
)
def test_every_spelling_of_a_path_counts(path):
    assert re.search(spellings(LOGIN), path, re.IGNORECASE)
    assert found(path, f'limits.credentials.login = {{ paths = ["{LOGIN}"], per_minute = 5 }}').buckets == ("login",)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/auth/login-history",
        "/api/v1/auth/login_history",
        "/api/v1/auth/logins",
        "/api/v1/auth/login2",
        "/api/v1/auth",
        "/api/v1/auth/",
        "/api/v1/auth/logout",
        "/api/v1/auth/relogin",
        "/api/v1/oauth/login",
        "/api/v1/auth/sso/login",
        "/api/v2/auth/login",
        "/api/v1authlogin",
        "/api/v1/authlogin",
        "/api/v1/articles/api/v1/auth/login",
        "/x/api/v1/auth/login",
        "/myapi/v1/auth/login",
        "/login",
        "/",
        "",
    ],
)
def test_other_paths_do_not(path):
    assert not re.search(spellings(LOGIN), path, re.IGNORECASE)


@pytest.mark.parametrize(
    ("path", "fits"), [("/a.b/c+d", True), ("/a.b/c+d/", True), ("/axb/c+d", False), ("/a.b/ccd", False)]
)
def test_a_path_is_no_expression(path, fits):
    assert bool(re.search(spellings("/a.b/c+d"), path, re.IGNORECASE)) is fits


@pytest.mark.parametrize(
    ("path", "fits"), [("/api/v1/auth/log%69n", True), ("/%2e%2e/x", True), ("/100%", False), ("/100% sure", False)]
)
def test_what_is_still_encoded_counts_everywhere(path, fits):
    assert bool(re.search(ENCODED_TWICE, path, re.IGNORECASE)) is fits
    if fits:
        both = (
            'limits.credentials.login = { paths = ["/api/login"], per_minute = 5 }\n'
            'limits.credentials.reset = { paths = ["/api/reset"], per_minute = 3 }'
        )
        assert found(path, both).buckets == ("login", "reset")


def test_without_credential_limits_there_is_no_expression():
    assert not [one for one in edge() if one.match == "~*"]


@pytest.mark.parametrize(
    ("path", "bucket"),
    [("/api/auth", "auth"), ("/api/auth/", "auth"), ("/api/auth/token", "token"), ("/api/auth/token/x", "token"), ("/api/auth/x", "auth")],
)  # fmt: skip
def test_the_longest_path_is_tried_first_however_they_are_listed(path, bucket):
    words = [
        'limits.credentials.auth = { paths = ["/api/auth"], per_minute = 5 }',
        'limits.credentials.token = { paths = ["/api/auth/token"], per_minute = 3 }',
    ]
    for listed in (words, words[::-1]):
        assert found(path, "\n".join(listed)).buckets == (bucket,)


def test_probes_are_addresses_of_their_own_but_never_the_front_page():
    probes = {one.path: one for one in edge() if one.probe}
    assert set(probes) == {"/api/ready", "/api/live"}, "pages' readiness is / : the whole site is no probe"
    assert {one.upstream for one in probes.values()} == {"api"}
    assert not any(one.rated or one.cached or one.buckets or one.websocket for one in probes.values())
    assert found("/api/ready", 'limits.credentials.all = { paths = ["/api"], per_minute = 1 }').probe


@pytest.mark.parametrize(
    ("words", "rated"),
    [
        ("", ("/api/", "/socket.io/")),  # every route but the pages'
        ('limits.paths = ["/api/v1/"]', ("/api/v1/",)),
        ('limits.paths = ["/"]', ("/",)),
        ("limits.paths = []", ()),
    ],
)
def test_what_the_rate_counts(words, rated):
    assert rated_paths(load(f"{STACK}\n[edge]\n{words}", "f").stack) == rated
    for path in ("/api/v1/x", "/api/x", "/x"):
        assert found(path, words).rated == path.startswith(rated)


def test_websockets_are_not_rated_and_caches_are():
    words = 'websocket.paths = ["/socket.io/"]\ncache.paths = ["/api/news"]'
    socket, news, api = (found(path, words) for path in ("/socket.io/?x", "/api/news/1", "/api/other"))
    assert (socket.websocket, socket.rated, socket.cached) == (True, False, False)
    assert (news.websocket, news.rated, news.cached) == (False, True, True)
    assert (api.websocket, api.rated, api.cached) == (False, True, False)


@pytest.mark.parametrize(
    ("path", "service"), [("/api/x", "api"), ("/socket.io/", "api"), ("/", "pages"), ("/apix", "pages")]
)
def test_the_longest_route_answers(path, service):
    assert found(path).upstream == service


def test_nginx_gets_each_location_once_and_expressions_in_quotes():
    every = edge(
        'limits.credentials.login = { paths = ["/api/login"], per_minute = 5 }\ncache.paths = ["/api/", "/api/news"]'
    )
    heads = [one.head for one in every]
    assert len(heads) == len(set(heads))
    assert all(re.fullmatch(r'(= )?/\S*|~\* "[^"\n]+"', head) for head in heads), heads
