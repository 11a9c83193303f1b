"""Everything that the native runtime uses, rendered from the stack."""

import string
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from neurmatic.render.backup import render_backup
from neurmatic.render.environment import SecretValues, environment, secret_names
from neurmatic.render.file import Files
from neurmatic.render.guard import render_guard
from neurmatic.render.nginx import CONFIG as NGINX
from neurmatic.render.nginx import render_nginx
from neurmatic.render.places import LOOPBACK, Places
from neurmatic.render.postgres import CONFIG as POSTGRES
from neurmatic.render.postgres import render_postgres
from neurmatic.render.redis import CONFIG as REDIS
from neurmatic.render.redis import render_redis
from neurmatic.render.runit import Process, render_process
from neurmatic.stack.backup import BACKUP_TIMER
from neurmatic.stack.instance import Instance, Kind
from neurmatic.stack.layout import SYSTEM_PATH, Layout
from neurmatic.stack.model import Stack

Programs = Mapping[str, str]
"""Full paths of ``nginx``, ``postgres``, ``redis-server``, ``python3`` and ``snooze`` on the host."""


class Context(NamedTuple):
    """What rendering needs beside the stack: where, which release, with which programs, secrets and account.

    Attributes:
        modules: full paths of the modules that nginx loads.
        tool: the command line by which a timer calls the tool for this stack, without the command's own words.
        before: the release that served before; empty when there is none.
        engine: variables by which whatever a timer calls finds the container engine.
    """

    layout: Layout
    release: str
    programs: Programs
    secrets: SecretValues
    user: str | None
    modules: tuple[str, ...] = ()
    tool: tuple[str, ...] = ()
    before: str = ""
    engine: Mapping[str, str] = MappingProxyType({})


def render(stack: Stack, context: Context) -> dict[str, Files]:
    """Files of each instance, by the instance's name: what changes one of them concerns that instance alone."""
    return {one.name: _render_instance(stack, one, context) for one in stack.instances()}


def arguments(command: tuple[str, ...], instance: Instance, places: Places = LOOPBACK) -> tuple[str, ...]:
    """The command with $PORT, $LISTEN_ADDRESS and $INSTANCE filled in; no other variable, so no secret gets into an argument."""
    values = {"INSTANCE": instance.name, "LISTEN_ADDRESS": places.listen}
    values |= {"PORT": str(instance.port)} if instance.port else {}
    return tuple(string.Template(word).safe_substitute(values) for word in command)


def _render_instance(stack: Stack, one: Instance, context: Context) -> Files:
    layout = context.layout
    if one.kind == "timer":
        return render_timer(stack, one, context)
    process = render_process(_process(stack, one, context), layout)
    if one.kind == "edge":
        return process | render_nginx(stack, layout, context.release, context.modules, before=context.before)
    if one.kind == "guard":
        return process | render_guard(stack)
    if one.kind == "postgres" and stack.postgres:
        return process | render_postgres(stack.postgres, stack.backup, layout)
    if one.kind == "redis" and stack.redis:
        return process | render_redis(stack.redis, context.secrets["REDIS_PASSWORD"], layout)
    return process


def _process(stack: Stack, one: Instance, context: Context) -> Process:
    layout, programs = context.layout, context.programs
    if one.kind == "service":
        workdir = layout.workdir(context.release, has_files=bool(stack.release.files))
        argv = arguments(stack.services[one.service].command, one)
        variables = environment(stack, one, context.release, context.secrets)
        hidden = secret_names(stack)
        return Process(one.name, argv, workdir, variables, hidden, "TERM", stop_group=True, user=context.user)
    commands: dict[Kind, tuple[tuple[str, ...], str]] = {
        "edge": ((programs["nginx"], "-e", "stderr", "-p", str(layout.run), "-c", f"{layout.state}/{NGINX}"), "QUIT"),
        "postgres": (
            (
                programs.get("postgres", ""),
                "-D",
                f"{layout.data}/postgres",
                "-c",
                f"config_file={layout.state}/{POSTGRES}",
            ),
            "INT",
        ),
        "redis": ((programs.get("redis-server", ""), f"{layout.state}/{REDIS}"), "TERM"),
        "guard": ((programs["python3"], "-B", "-m", "guard", str(layout.state)), "TERM"),
    }
    command, stop = commands[one.kind]
    bare = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
    low = one.kind == "edge" and stack.edge.low_ports
    workdir = layout.config if one.kind == "guard" else layout.run  # where Python finds the guard's package
    process = Process(one.name, command, workdir, bare, frozenset(), stop, stop_group=False, user=context.user)
    return replace(process, low_ports=low, ascii_log=one.kind == "edge")


def render_timer(stack: Stack, one: Instance, context: Context) -> Files:
    """A timer's service directory; the one that makes backups has what those need."""
    process = render_process(_timer(stack, one, context), context.layout)
    if one.name == BACKUP_TIMER and stack.backup and stack.postgres:
        return process | render_backup(stack.backup, stack.postgres, context.secrets, context.layout)
    return process


def _timer(stack: Stack, one: Instance, context: Context) -> Process:
    """snooze, which waits for the time and then becomes the command; runit starts it again for the next time.

    It runs as the account that started the tool: what it does is what an operator would.
    """
    timer = next(timer for timer in stack.timers() if timer.name == one.name)
    last_run = f"{context.layout.timers}/{timer.name}"
    argv = (
        *(context.programs.get("snooze", ""), *timer.pattern(), "-t", last_run, "-s", timer.made_up_for),
        # The run is noted before it begins: one that fails waits for the next time, too, instead of hammering.
        *("sh", "-c", 'echo ran >"$0" && exec "$@"', last_run, *context.tool, *timer.command),
    )
    env = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "TZ": "UTC", **context.engine}
    return Process(one.name, argv, Path("/"), env, frozenset(), "TERM", stop_group=True, user=None, ends=True)
