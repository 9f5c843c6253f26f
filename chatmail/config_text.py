"""Writes a configuration out again: as TOML that `parse_config` reads back to the same, or as a plain dict for JSON.

Secrets can be left out, so that the output of `config show` may be pasted where others read it.
"""

import json
from typing import Any, Final

from chatmail.config import Config, keys_of
from chatmail.config_values import Kind

HIDDEN: Final = "(hidden)"


def config_as_dict(config: Config, *, secrets: bool = False) -> dict[str, Any]:
    """Every key with its value in effect, sections as nested dicts; secrets as `HIDDEN` unless asked for."""
    return _as_dict(config, secrets)


def _as_dict(table: object, secrets: bool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, kind in keys_of(type(table)).items():
        value = getattr(table, name)
        if not isinstance(kind, Kind):
            values[name] = _as_dict(value, secrets)
        elif kind.secret and value and not secrets:
            values[name] = HIDDEN
        else:
            values[name] = list(value) if isinstance(value, tuple) else value
    return values


def config_as_toml(config: Config, *, secrets: bool = False) -> str:
    """Every key with its value in effect, as TOML."""
    values = config_as_dict(config, secrets=secrets)
    top = {name: value for name, value in values.items() if not isinstance(value, dict)}
    sections = {name: value for name, value in values.items() if isinstance(value, dict)}
    blocks = [_lines(top), *(f"[{name}]\n{_lines(keys)}" for name, keys in sections.items())]
    return "\n".join(blocks)


def _lines(keys: dict[str, Any]) -> str:
    return "".join(f"{name} = {_toml_value(value)}\n" for name, value in keys.items())


def _toml_value(value: object) -> str:
    # Numbers, and lists and strings without lone surrogates or DEL, are written in TOML as in JSON.
    return json.dumps(value, ensure_ascii=False)
