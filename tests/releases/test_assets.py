"""Hashed assets across a deploy: a page of the release before goes on finding what it names."""

import pytest
from rolling import Rolling

from neurmatic.probes.http import request

YEAR = "public, max-age=31536000, immutable"


class Site:
    """A stack whose releases are a page each, with an asset that only this page names."""

    def __init__(self):
        self.stack = Rolling()
        self.stack.edit('"behaviour.json"]', '"behaviour.json", "site"]')
        self.stack.edit('routes = ["/"]', 'routes = ["/api/"]')
        self.stack.edit("[edge]", '[site]\nroot = "site"\n[edge]')
        self.assets = self.stack.folder / "site" / "assets"
        self.assets.mkdir(parents=True)
        self.publish("one", "up")

    def publish(self, name, command="deploy"):
        """Bring a release live that is of this name."""
        for old in [*self.assets.iterdir(), *self.assets.parent.glob("*.html")]:
            old.unlink()
        (self.assets / f"app-{name}.js").write_text(f"say({name})")
        for page in ("index", f"only-{name}"):
            (self.assets.parent / f"{page}.html").write_text(f"the page of {name}")
        return self.stack.run(command)

    def ask(self, path):
        return request(self.stack.url + path, ca=self.stack.roots, address="127.0.0.1")

    def has(self, name):
        """See that the page is of this release, and its asset is there."""
        page, asset = self.ask("/"), self.ask(f"/assets/app-{name}.js")
        assert (page.status, page.body.decode()) == (200, f"the page of {name}")
        assert (asset.status, asset.body.decode()) == (200, f"say({name})")

    def serves(self, name):
        """See that another release's asset is there with all that an asset has, and nothing else of it."""
        asset = self.ask(f"/assets/app-{name}.js")
        assert (asset.status, asset.body.decode()) == (200, f"say({name})")
        assert asset.every("cache-control") == [YEAR]
        assert asset.headers["content-type"].startswith(("application/javascript", "text/javascript"))
        assert asset.headers["x-content-type-options"] == "nosniff"
        for path in (f"/only-{name}.html", "/assets/unknown-0a1b.js", f"/assets/../only-{name}.html"):
            missing = self.ask(path)
            assert (missing.status, missing.every("cache-control")) == (404, ["no-store"]), path


@pytest.fixture(scope="module")
def shared_site():
    site = Site()
    yield site
    site.stack.remove()


@pytest.fixture
def site(shared_site):
    return shared_site


def test_an_asset_of_the_release_before_is_served_all_the_while(site):
    site.has("one")
    edge = site.stack.pids()["edge"]
    with site.stack.unharmed("/assets/app-one.js"), site.stack.unharmed("/"):
        site.publish("two")
        site.has("two")
        site.serves("one")
    assert site.stack.pids()["edge"] == edge  # nginx was reloaded, not started anew
    assert "nothing to change" in site.stack.run("plan")
    assert site.stack.deployed["replaced"] == site.stack.deployed["history"][0]


def test_after_a_rollback_pages_of_the_release_gone_back_from_find_theirs(site):
    site.publish("three")
    site.stack.run("rollback")
    site.has("two")
    site.serves("three")
    assert "nothing to change" in site.stack.run("plan")
    site.stack.run("up")
    site.serves("three")


def test_a_folder_that_is_gone_makes_an_asset_unknown_and_no_more(site):
    gone = site.stack.deployed["replaced"]
    site.stack.edit("watch = 1", "watch = 1\nkeep = 2\nkeep_days = 0")
    with site.stack.unharmed("/"):
        assert f"release {gone}: removed" in site.stack.run("releases", "--prune")
        assert site.ask("/assets/app-three.js").status == 404
        site.has("two")
    site.stack.run("restart", "edge")  # which reads its configuration anew
    assert site.ask("/assets/app-three.js").status == 404
    with site.stack.unharmed("/"):
        site.publish("four")
        site.has("four")
        site.serves("two")
