"""The stack file read and validated, for commands that need more than the running set."""

import argparse
import sys
from pathlib import Path

from neurmatic.backups.setting import Setting, setting_of
from neurmatic.cli.context import HOST, Terminal, chosen_state, stack_file
from neurmatic.errors import ConfigurationError
from neurmatic.releases.choosing import choose
from neurmatic.releases.deployed import placed, read_deployed
from neurmatic.releases.project import Quiet, check_format, layout_of, place_state, state_folder
from neurmatic.releases.up import Up
from neurmatic.render.inside import apart
from neurmatic.stack.layout import Layout
from neurmatic.stack.loading import Loaded, load
from neurmatic.stack.model import Stack


def load_stack(args: argparse.Namespace) -> Loaded:
    """The effective stack for the chosen environment."""
    path = stack_file(args)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None
    return load(text, _shown(path), args.environment)


def described(args: argparse.Namespace, layout: Layout) -> Stack:
    """The effective stack as its runtime has it: among containers the site is a service like any other."""
    stack = load_stack(args).stack
    return apart(stack, stack.containers) if layout.contained and stack.containers else stack


def prepare_up(args: argparse.Namespace, *, place: bool = True) -> Up:
    """Everything that `up` needs; with `place`, the state folder is made where the services' account can enter it."""
    stack = load_stack(args).stack
    file = stack_file(args)
    project = file.parent
    user = stack.identity.user if HOST.is_root() else None
    if place:
        known = user if user and HOST.account_exists(user) else ("nobody" if user else None)
        state = place_state(HOST, project, chosen_state(args), known)
    else:
        state = state_folder(project, chosen_state(args))
    layout = layout_of(HOST, state, project)
    if getattr(args, "runtime", None):
        layout = choose(HOST, layout, stack, contained=args.runtime == "containers")
    stack = described(args, layout)
    deployed = read_deployed(HOST, layout)
    tool = (sys.executable, "-m", "neurmatic", "--file", str(file), "--state", str(state))
    return Up(
        HOST,
        layout,
        placed(stack, deployed),
        Terminal(),
        user,
        (*tool, "--environment", stack.environment),
        deployed.release if deployed.held else "",
        deployed,
    )


def prepare_backups(args: argparse.Namespace) -> Setting:
    """What the commands about backups need: the stack's own secrets and stores, and the server's own programs."""
    up = prepare_up(args, place=False)
    check_format(HOST, up.layout)
    if getattr(args, "json", False):
        up.reporter = Quiet()
    setting = setting_of(up)
    setting.backup  # noqa: B018  refuses a stack without one
    if not HOST.exists(up.layout.backup_config):
        raise ConfigurationError(f"backups are not set up in {up.layout.state}", "`neurmatic up` does it")
    return setting


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
