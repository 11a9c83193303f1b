"""Files sent to another machine: all of them or none."""

import io
import os
import subprocess

import pytest

from neurmatic.errors import ConfigurationError, NeurmaticError
from neurmatic.hosts import bundle
from neurmatic.remote.target import check_names, target_of

NAMES = ("site", "app.py", "neurmatic.toml")


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "here"
    (folder / "site" / "__pycache__").mkdir(parents=True)
    (folder / "site" / "index.html").write_text("new")
    (folder / "site" / "__pycache__" / "a.pyc").write_text("x")
    (folder / "site" / "link").symlink_to("index.html")
    (folder / "app.py").write_text("print(1)")
    (folder / "app.py").chmod(0o750)
    (folder / "other.toml").write_text("[stack]")
    return folder


@pytest.fixture
def there(tmp_path):
    folder = tmp_path / "there"
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "gone.html").write_text("old")
    (folder / "neurmatic.toml").write_text("old")
    (folder / ".neurmatic").mkdir()
    return folder


def sent(project):
    target = io.BytesIO()
    renamed = project / "other.toml", "neurmatic.toml"
    bundle.pack(project, NAMES, target, renamed=renamed)
    return target.getvalue(), bundle.digest(project, NAMES, renamed=renamed)


def arrive(data, there, wanted, tmp_path):
    path = tmp_path / "stream"
    path.write_bytes(data)
    with path.open("rb") as source:
        bundle.unpack(source, there, NAMES, wanted)


def test_what_was_sent_is_there_in_place_of_what_was_and_nothing_else_is_touched(project, there, tmp_path):
    os.utime(project / "app.py", (1, 1_700_000_000))
    data, wanted = sent(project)
    assert bundle.digest(there, NAMES) == ""
    arrive(data, there, wanted, tmp_path)
    assert (there / "neurmatic.toml").read_text() == "[stack]"
    assert sorted(path.name for path in (there / "site").iterdir()) == ["index.html", "link"]
    assert (there / "site" / "link").readlink().name == "index.html"
    assert (there / "app.py").stat().st_mode & 0o777 == 0o755, "readable for the services' account"
    assert (there / "app.py").stat().st_mtime == 1_700_000_000
    assert (there / ".neurmatic").is_dir()
    assert bundle.digest(there, NAMES) == wanted, "so that nothing is sent again"
    arrive(data, there, wanted, tmp_path)


def test_what_was_replaced_comes_back_and_only_once(project, there, tmp_path):
    (there / "app.py").write_text("old")
    before = bundle.digest(there, NAMES)
    data, wanted = sent(project)
    arrive(data, there, wanted, tmp_path)
    bundle.put_back(there, NAMES, "of other files")
    assert bundle.digest(there, NAMES) == wanted
    bundle.put_back(there, NAMES, wanted)
    assert bundle.digest(there, NAMES) == before
    assert [path.name for path in (there / "site").iterdir()] == ["gone.html"]
    assert not list((there / ".coming").iterdir()), "nothing is left of either"
    bundle.put_back(there, NAMES, wanted)
    assert bundle.digest(there, NAMES) == before


def test_a_file_in_the_place_of_a_folder_and_a_folder_in_that_of_a_file_come_back_too(project, there, tmp_path):
    (there / "site" / "gone.html").unlink()
    (there / "site").rmdir()
    (there / "site").write_text("a file")
    (there / "app.py").mkdir()
    data, wanted = sent(project)
    arrive(data, there, wanted, tmp_path)
    assert (there / "site").is_dir() and (there / "app.py").is_file()
    bundle.put_back(there, NAMES, wanted)
    assert (there / "site").read_text() == "a file" and (there / "app.py").is_dir()


def test_files_that_were_changed_by_hand_since_are_left_alone(project, there, tmp_path):
    data, wanted = sent(project)
    arrive(data, there, wanted, tmp_path)
    (there / "app.py").write_text("by hand")
    bundle.put_back(there, NAMES, wanted)
    assert (there / "app.py").read_text() == "by hand" and (there / "neurmatic.toml").read_text() == "[stack]"


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_a_transfer_that_was_cut_leaves_the_old_files(project, there, tmp_path, share):
    (project / "site" / "big").write_bytes(os.urandom(100_000))
    data, wanted = sent(project)
    with pytest.raises(NeurmaticError, match="not what was sent"):
        arrive(data[: int(len(data) * share)], there, wanted, tmp_path)
    assert (there / "neurmatic.toml").read_text() == "old"
    assert [path.name for path in (there / "site").iterdir()] == ["gone.html"]


def test_every_difference_is_another_digest(project):
    def digest():
        return bundle.digest(project, ("site", "app.py"))

    seen = {digest()}
    for change in (
        lambda: (project / "app.py").chmod(0o644),
        lambda: (project / "site" / "index.html").write_text("other"),
        lambda: (project / "site" / "index.html").rename(project / "site" / "index.htm"),
        (project / "site" / "empty").mkdir,
    ):
        change()
        assert digest() not in seen
        seen.add(digest())
    os.utime(project / "app.py", (1, 1))
    subprocess.run(["touch", project / "site" / "__pycache__" / "b.pyc"], check=True)
    assert digest() in seen, "neither times nor what Python makes"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../..", ".", ""])
def test_names_that_leave_the_project_or_are_all_of_it_are_refused(name):
    with pytest.raises(ConfigurationError, match="can't be sent"):
        check_names((name,))


def test_destinations_with_and_without_a_folder():
    assert str(target_of("root@host:/srv/a").folder) == "/srv/a"
    assert target_of("root@host:/srv/a").destination == "root@host"
    assert str(target_of("web").project("shop")) == "/srv/shop"
    assert target_of("root@::1").destination == "root@::1"
    assert target_of("ssh://root@host:2222").destination == "ssh://root@host:2222"
    with pytest.raises(ConfigurationError, match="which project"):
        target_of("web").project(None)
