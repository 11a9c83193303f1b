"""Releases from a git reference: of a real repository, whose working files are of no account."""

import json
import os
import shutil
import subprocess

import pytest
from rolling import Rolling

MAKE = 'make = [["python3", "make.py"]]\nbuild = '
MAKE_PY = """
import json, pathlib, time
said = json.loads(pathlib.Path("source.json").read_text())
time.sleep(said.pop("takes", 0))
if said.pop("broken", False):
    raise SystemExit("make fails as it was told to")
pathlib.Path("behaviour.json").write_text(json.dumps(said))
"""


class Repository(Rolling):
    """Its project is a folder of a larger repository, and behaviour.json is made, not kept there."""

    def __init__(self):
        super().__init__()
        self.root, self.folder = self.folder, self.folder / "shop"
        self.folder.mkdir()
        for path in list(self.root.iterdir()):
            if path != self.folder:
                path.rename(self.folder / path.name)
        self.file, self.state = self.folder / self.file.name, self.folder / self.state.name
        self.edit("build = ", MAKE)
        (self.folder / "make.py").write_text(MAKE_PY)
        (self.folder / ".gitignore").write_text("/.neurmatic\n/behaviour.json\n/output\n")
        self.git("init", "--quiet", "--initial-branch", "main", str(self.root))

    def git(self, *words):
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *who, *words], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, greeting, **ways):
        """Commit what makes a release of this greeting; the commit."""
        (self.folder / "source.json").write_text(json.dumps({"greeting": greeting, **ways}))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", greeting)
        return self.git("rev-parse", "HEAD")

    def remove(self):
        super().remove()
        shutil.rmtree(self.root, ignore_errors=True)

    def check_tidy(self):
        """See that no checkout is left, in the state folder or in what git knows."""
        assert not (self.state / "checkout").exists()
        assert len(self.git("worktree", "list").splitlines()) == 1

    @property
    def commits(self):
        return {one["release"]: one["commit"] for one in self.json("releases")}


@pytest.fixture(scope="module")
def repository():
    one = Repository()
    one.run("up")
    yield one
    one.remove()


@pytest.fixture
def served(repository):
    with repository.unharmed():
        yield repository
    repository.check_tidy()


def test_a_commit_goes_live_whatever_the_working_files_are(served):
    commit = served.commit("committed")
    (served.folder / "source.json").write_text("no JSON, and never committed")
    (served.folder / "release_app.py").write_text("import nowhere\n")
    working = served.behave()
    said = served.run("deploy", "--git", "main")
    assert f"main: checking out {commit[:12]}" in said
    served.check_whole("committed")
    assert served.commits[served.deployed["release"]] == commit
    assert commit[:12] in served.run("releases")
    event = served.ended("deploy")
    assert (event["commit"], event["measured"]["failed"]) == (commit, 0)
    assert (served.folder / "source.json").read_text().startswith("no JSON")
    served.git("checkout", "--", "source.json", "release_app.py")
    served.run("up")  # stays with it, though the working files make another one
    served.check_whole("committed")
    served.run("deploy")
    served.check_whole(working)
    assert served.commits[served.deployed["release"]] == ""


def test_an_earlier_commit_a_tag_and_the_way_back(served):
    first = served.commit("first")
    served.git("tag", "v1")
    second = served.commit("second")
    done = served.json("deploy", "--git", "HEAD")
    assert done["commit"] == second
    served.check_whole("second")
    done = served.json("deploy", "--git", "v1")
    assert (done["commit"], served.commits[done["release"]]) == (first, first)
    served.check_whole("first")
    served.run("rollback")
    served.check_whole("second")
    assert "build" not in served.json("deploy", "--git", first[:10])["seconds"]  # it is here already
    served.check_whole("first")


def test_a_reference_that_is_not_there_changes_nothing(served):
    served.commit("here")
    before, events = served.deployed, len(served.events)
    for reference in ("nowhere", "HEAD:source.json", "--all"):
        said = served.run("deploy", f"--git={reference}", code=2)
        assert f"there is no commit {reference!r}" in said and "next: " in said
    assert served.deployed == before and len(served.events) == events
    assert "not allowed with argument" in served.run("deploy", "0.1.0", "--git", "main", code=2)


def test_a_make_that_fails_changes_nothing(served):
    served.commit("broken", broken=True)
    before, here = served.deployed, served.commits
    said = served.run("deploy", "--git", "HEAD", code=1)
    assert "make fails as it was told to" in said and "nothing was changed" in said
    assert served.deployed == before and served.commits == here
    assert served.ended("make")["result"] == "failed"
    served.check_tidy()
    (served.folder / "make.py").write_text("")
    served.commit("makes nothing")
    assert "release.files: not found" in served.run("deploy", "--git", "HEAD", code=2)
    assert served.deployed == before
    (served.folder / "make.py").write_text(MAKE_PY)
    served.commit("well again")
    served.run("deploy", "--git", "HEAD")
    served.check_whole("well again")


def test_what_a_killed_deploy_has_left_is_cleared_away(served):
    served.commit("slow", takes=30)
    command = served.begin("deploy", "--git", "HEAD")
    assert command.reach(lambda: served.events[-1]["action"] == "make" and served.processes("make.py"))
    command.kill()
    assert (served.state / "checkout").exists()
    for one in served.processes("make.py"):
        os.kill(one, 9)
    served.commit("quick")
    served.run("deploy", "--git", "HEAD")
    served.check_whole("quick")


def test_an_interrupted_make_leaves_nothing(served):
    served.commit("slow again", takes=30)
    before = served.deployed
    command = served.begin("deploy", "--git", "HEAD")
    assert command.reach(lambda: served.events[-1]["action"] == "make" and served.processes("make.py"))
    command.interrupt()
    assert command.wait() == 130
    assert served.deployed == before


def test_hooks_of_the_repository_are_not_run(served):
    hook = served.root / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {served.root}/hooked\n")
    hook.chmod(0o755)
    served.commit("no hook")
    served.run("deploy", "--git", "HEAD")
    served.check_whole("no hook")
    assert not (served.root / "hooked").exists()


def test_without_a_repository_or_without_files_it_says_so():
    one = Rolling()
    try:
        one.run("up")
        assert "not a git repository" in one.run("deploy", "--git", "main", code=2)
        one.edit('files = ["release_app.py", "behaviour.json"]\n', "")
        assert "--git makes a release of files" in one.run("deploy", "--git", "main", code=2)
    finally:
        one.remove()
