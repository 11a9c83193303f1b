"""Planning as a table of cases: plans/*.json holds what should run, what is there, and the steps expected."""

import json
from pathlib import Path

import pytest

from neurmatic.releases.plan import Facts, Mark, make_plan, mark
from neurmatic.render.file import File
from neurmatic.stack.loading import load

CASES = sorted((Path(__file__).parent / "plans").glob("*.json"))
STACK = """
[stack]
name = "case"
[release]
files = ["app"]
migrate = ["migrate"]
seed = ["seed"]
[services.api]
command = ["serve"]
instances = {instances}
ports = "8100-8109"
routes = ["/"]
needs = ["postgres"]
[postgres]
"""


def marks(given):
    return {name: Mark(*words) for name, words in given.items()}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path):
    case = json.loads(path.read_text())
    stack = load(STACK.format(instances=case.get("instances", 2)), "f").stack
    wanted = {one.name: Mark("p", "c") for one in stack.instances()} | marks(case.get("wanted", {}))
    facts = Facts(**{**case["facts"], "marks": marks(case["facts"].get("marks", {}))})
    plan = make_plan(stack, "1.0-new", {}, wanted, facts)
    assert [str(step) for step in plan.steps] == case["steps"]


def test_there_are_cases():
    assert len(CASES) >= 12


def test_the_diff_shows_changes_but_no_secret():
    stack = load(STACK.format(instances=1), "f").stack
    files = {"edge": {"config/a": File("new\n"), "config/b": File("hush\n", secret=True), "config/c": File("same\n")}}
    facts = Facts(files={"config/a": "old\n", "config/b": "before\n", "config/c": "same\n"})
    plan = make_plan(stack, "r", files, {one.name: Mark() for one in stack.instances()}, facts)
    assert set(plan.diffs) == {"config/a", "config/b"}
    assert "-old\n+new\n" in plan.diffs["config/a"]
    assert "hush" not in plan.diffs["config/b"] and "before" not in plan.diffs["config/b"]


def test_a_mark_tells_process_from_configuration():
    base = mark({"services/edge/run": File("a"), "config/nginx": File("b")})
    assert mark({"services/edge/run": File("a"), "config/nginx": File("c")}).process == base.process
    assert mark({"services/edge/run": File("x"), "config/nginx": File("b")}).config == base.config
    with_certificate = mark({"services/edge/run": File("a"), "config/nginx": File("b")}, "certificate")
    assert with_certificate.certificate and (with_certificate.process, with_certificate.config) == (
        base.process,
        base.config,
    )
