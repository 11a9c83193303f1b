import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neurmatic.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEURMATIC_STATE", raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_and_speaks_json(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    module = importlib.import_module(f"neurmatic.cli.{command}")
    assert module.__doc__.splitlines()[0] in text and "--json" in text


def test_usage(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    with pytest.raises(SystemExit) as end:
        main(["statsu"])
    assert end.value.code == 2
    assert "did you mean status?" in capsys.readouterr().err


def test_without_a_stack_file_it_says_how_to_get_one(capsys):
    assert main(["status"]) == 2
    assert "neurmatic init" in capsys.readouterr().err


def test_init_writes_a_stack_once(tmp_path, capsys):
    assert main(["init", "--name", "shop", "--command", "run --port '$PORT'", "--health", "/up"]) == 0
    assert 'command = ["run", "--port", "$PORT"]' in (tmp_path / "neurmatic.toml").read_text()
    assert main(["init"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["config"]) == 0
    assert "stack.name" in capsys.readouterr().out
    assert main(["status"]) == 2
    assert "neurmatic up" in capsys.readouterr().err


def test_help_imports_nothing_slow():
    code = "import sys; sys.argv = ['neurmatic', '--help']\nfrom neurmatic.cli.main import main\nmain()\nprint(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "jinja2", "rich", "psutil", "asyncio", "ssl"} & set(modules)


def test_status_imports_no_validation(tmp_path):
    (tmp_path / "neurmatic.toml").write_text("")
    code = "import sys; sys.argv = ['neurmatic', 'status']\nfrom neurmatic.cli.main import main\nmain()\nprint(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout.split()
    assert "neurmatic.cli.status" in modules and not {"pydantic", "jinja2", "psutil"} & set(modules)


def test_documents_name_only_commands_that_exist():
    """The guide and the README are part of the product: what they tell people to type must be there."""
    pages = [ROOT / "README.md", *sorted((ROOT / "guide").glob("*.md"))]
    assert len(pages) > 30
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    backend = set(re.findall(r'add_parser\("([a-z-]+)"', (ROOT / "backend/src/neurmatic_backend/cli.py").read_text()))
    for page in pages:
        spans = re.findall(r"`([^`\n]+)`|^(.*)$", page.read_text().replace("```", ""), re.MULTILINE)
        code = [a or b for a, b in spans if a or re.match(r"(\.venv/bin/)?(neurmatic|make)\b", b)]
        for text in code:
            for command in re.findall(r"(?:^|\s|/)neurmatic(?: --\w+ \S+)* ([a-z]+)", text):
                assert command in COMMANDS, f"{page.name}: neurmatic {command}"
            for command in re.findall(r"neurmatic-backend ([a-z]+)", text):
                assert command in backend, f"{page.name}: neurmatic-backend {command}"
            for target in re.findall(r"^make ([a-z-]+)", text):
                assert target in targets, f"{page.name}: make {target}"
