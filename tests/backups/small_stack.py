"""The acceptance tests' small stack and constant load, for tests of another folder."""

import importlib.util
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from neurmatic.backups.logical import live
from neurmatic.backups.setting import Setting
from neurmatic.cli.loaded import prepare_backups

_FILE = Path(__file__).parents[1] / "acceptance" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("acceptance_conftest", _FILE)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
StackDir, Load = _MODULE.StackDir, _MODULE.Load


def far_off() -> str:
    """[backup]'s `at`, twelve hours from now: no daily run or drill comes into a test, and none was missed before."""
    return f'at = "{datetime.now(UTC) + timedelta(hours=12):%H:%M}"'


def setting(stack) -> Setting:
    """What the tool's own commands work with, in this process."""
    return prepare_backups(Namespace(file=stack.file, state=None, environment="development", json=True))


def asked(stack, query, *args, database="app"):
    """The rows of a query on the live server, as the superuser; none of a statement that gives none."""
    with live(setting(stack), database).connected() as connection:
        cursor = connection.execute(query, args or None)
        return cursor.fetchall() if cursor.description else []
