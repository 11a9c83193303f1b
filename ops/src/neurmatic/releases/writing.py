"""An instance's rendered files, written so that runsvdir never sees a part of a service directory."""

from neurmatic.hosts.base import Host
from neurmatic.render.file import Files
from neurmatic.stack.layout import Layout


def write_instance(host: Host, layout: Layout, name: str, files: Files, user: str | None) -> None:
    """Bring the instance's files to these; a new service directory appears as a whole, not to be started yet."""
    folder = layout.service(name)
    unseen = folder.with_name(f".{name}.new")
    is_new = not host.exists(folder)
    host.make_folder(layout.logs / name, mode=0o750, owner=user)
    if is_new:
        host.remove(unseen)
        host.make_folder(unseen / "env", mode=0o700)
        host.write(unseen / "down", "")
    else:
        _remove_stale_variables(host, layout, name, files)
    for path, file in files.items():
        target = layout.state / path
        if is_new and target.is_relative_to(folder):
            target = unseen / target.relative_to(folder)
        if host.read(target) == file.text:
            continue
        if not host.exists(target.parent):
            host.make_folder(target.parent)
        host.write(target, file.text, mode=file.mode, owner=user if file.service_owned else None)
    if is_new:
        host.rename(unseen, folder)


def _remove_stale_variables(host: Host, layout: Layout, name: str, files: Files) -> None:
    folder = layout.service(name) / "env"
    for variable in host.names(folder):
        if f"services/{name}/env/{variable}" not in files:
            host.remove(folder / variable)
