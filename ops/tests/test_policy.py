"""Policies as browsers read them, and what each leaves open."""

import pytest

from neurmatic.readiness.policy import holes
from neurmatic.stack.headers import Headers

CLOSED = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "policy",
    [
        Headers().content_security_policy,
        CLOSED,
        CLOSED + "; script-src 'self'; style-src 'self'",
        CLOSED + ";script-src 'self' https://js.example.org 'sha256-aGFzaA=='",  # chosen by name
        CLOSED + "; script-src",  # nothing is nothing
        "DEFAULT-SRC 'NONE'; Base-Uri 'self'; frame-ancestors https://one.example;;",
        CLOSED + "; script-src 'self'; script-src *",  # the second one doesn't count
        "script-src 'self'; object-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    ],
)
def test_nothing_is_open(policy):
    assert holes(policy) == []


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("script-src 'self' 'unsafe-inline'", "script-src lets 'unsafe-inline' run scripts"),
        ("script-src 'self' 'UNSAFE-EVAL'", "script-src lets 'unsafe-eval' run scripts"),
        ("script-src *", "script-src lets * run scripts"),
        ("script-src https:", "script-src lets https: run scripts"),
        ("script-src data:", "script-src lets data: run scripts"),
        ("script-src *.example.org", "script-src lets *.example.org run scripts"),
        ("script-src https://*", "script-src lets https://* run scripts"),
        ("script-src 'nonce-abc'", "script-src lets 'nonce-abc' run scripts"),
        ("script-src *; script-src 'self'", "script-src lets * run scripts"),
        ("script-src-elem *; script-src 'self'", "script-src-elem lets * run scripts"),
        ("script-src-attr 'unsafe-inline'", "script-src-attr lets 'unsafe-inline' run handlers in attributes"),
        ("script-src-attr 'unsafe-hashes'", "script-src-attr lets 'unsafe-hashes' run handlers in attributes"),
        ("style-src 'unsafe-inline'", "style-src has 'unsafe-inline'"),
        ("default-src 'unsafe-inline'; script-src 'self'", "default-src has 'unsafe-inline'"),
        ("object-src 'self'", "plugins may come from 'self'"),
    ],
)
def test_what_a_directive_leaves_open(policy, found):
    assert found in holes(f"{policy}; {CLOSED}")


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("", "no directive is about scripts"),
        ("base-uri 'none'; frame-ancestors 'none'", "plugins may come from anywhere"),
        ("script-src-elem 'self'; object-src 'none'", "no directive is about handlers in attributes"),
        ("default-src *; base-uri 'none'; frame-ancestors 'none'", "default-src lets * run scripts"),
        ("default-src 'self'; base-uri 'none'; frame-ancestors 'none'", "plugins may come from 'self'"),
        ("default-src 'none'; frame-ancestors 'none'", "base-uri is missing"),
        ("default-src 'none'; base-uri https:; frame-ancestors 'none'", "base-uri has https:"),
        ("default-src 'none'; base-uri 'none'", "frame-ancestors is missing"),
        ("default-src 'none'; base-uri 'none'; frame-ancestors *", "frame-ancestors has *"),
        (f"{CLOSED}, default-src *", "several policies in one header"),
    ],
)
def test_what_is_missing_or_too_wide(policy, found):
    assert found in holes(policy)
