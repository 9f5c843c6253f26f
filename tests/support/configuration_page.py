"""`docs/configuration.md`, made from the fields of `chatmail.config`: `python3 -m tests.support.configuration_page`.

Every key is documented where it is declared; this page says the same with its default and range, and which keys have no
effect yet. A test compares the file with what is rendered here.
"""

import ast
import inspect
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path
from typing import Final

from chatmail import config
from chatmail.config import Config, keys_of
from chatmail.config_values import Kind

PAGE: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "configuration.md"
INTRODUCTION: Final = """\
# Configuration

One TOML file, `/etc/chatmail/chatmail.toml` or the one named with `--config`. Only `mail_domain` must be there. An
unknown key or an impossible value is an error that names it; `chatmail.pyz config check` says so without starting
anything, `chatmail.pyz config show` prints every key with the value in effect. Keys that chatmail/relay has keep its
name, unit and default. Sizes are bytes or texts such as `"500M"`.

Keys marked *not yet* are parsed and checked already, but what they control does not exist yet; `serve` and
`config check` name those that your file relies on.

This page is made from `chatmail/config.py` (`python3 -m tests.support.configuration_page`).
"""


def render() -> str:
    """The whole page."""
    sections = [("", Config)] + [(name, kind) for name, kind in keys_of(Config).items() if isinstance(kind, type)]
    return INTRODUCTION + "".join(render_section(name, table) for name, table in sections)


def render_section(name: str, table: type) -> str:
    """One section: what it is about, and a table of its keys."""
    texts = documented_fields(table)
    about = (inspect.getdoc(table) or "").partition(": ")[2] if name else "Before the first section."
    lines = ["", f"## {f'`[{name}]`' if name else 'Without a section'}", "", about[:1].upper() + about[1:], ""]
    lines += ["| key | default | what it is |", "|---|---|---|"]
    for field in fields(table):
        if not isinstance(keys_of(table)[field.name], Kind):
            continue
        default = "none, required" if field.default is MISSING else f"`{as_toml(field.default)}`"
        lines.append(f"| `{field.name}` | {default} | {texts[field.name]} |")
    return "\n".join(lines) + "\n"


def documented_fields(table: type) -> dict[str, str]:
    """The docstring below each field, on one line."""
    tree = ast.parse(inspect.getsource(config))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == table.__name__)
    found = {}
    for node, below in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(below, ast.Expr):
            found[node.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


def as_toml(value: object) -> str:
    """A default as it would stand in the file."""
    if isinstance(value, tuple):
        return "[" + ", ".join(as_toml(one) for one in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
