"""Templates of files that are no web pages, filled in."""

from importlib.resources import files

import jinja2


def template(folder: str, name: str) -> str:
    """The text of a template, or of a file that needs no filling in."""
    return (files(__package__) / "templates" / folder / name).read_text(encoding="utf-8")


def filled(folder: str, name: str, /, **values: object) -> str:
    """A template with these values; one that is missing is an error."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701  it is no HTML
    environment.filters["dns"] = lambda host: f"DNS:{host}"
    return environment.from_string(template(folder, f"{name}.j2")).render(values)
