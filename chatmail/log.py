"""The log: one line for one thing an operator cares about, as `event key=value …` on stderr.

    log = Log("smtp")
    log.info("message_accepted", connection=connection_id, size_bytes=4711, recipients=3)

    2026-11-23T10:11:12.345Z info smtp message_accepted connection=k3f9 size_bytes=4711 recipients=3

Under systemd the time is left to the journal and the level becomes its priority. At `info` and above no line names a
mail address, an IP address or a Message-ID: pass such things to `debug` only. A call below the level in force costs
one comparison. Libraries that use the standard `logging` are heard from `warning` on, through the same lines; `serve`
without `debug` does not hear those that log their peers' addresses.

Not here: rotation and shipping, which are the journal's business.
"""

import itertools
import json
import logging
import os
import re
import secrets
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Final, NewType

ConnectionId = NewType("ConnectionId", str)
"""Names one connection in the log; unique within a run, meaningless outside it."""

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SILENCE: Final = 100
_JOURNAL_PRIORITIES: Final = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>"}
_LIBRARIES_THAT_NAME_PEERS: Final = ("mail.log", "mail.debug", "aiohttp.access")
# Visible ASCII but '"' and "=": anything else is quoted, so that no value can look like a field or a line of its own.
_PLAIN = re.compile(r"[!#-<>-~]+")
_ID_LETTERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_START_BELOW: Final = 36**4

KEPT_LINES: Final = 500
"""Of the last lines at `info` and above, for whoever watches: half a megabyte at most."""
KEPT_CHARACTERS: Final = 1000

_level: int = LEVELS["info"]
_id_numbers = itertools.count(secrets.randbelow(_ID_START_BELOW))
_recent: deque[tuple[datetime, str, str]] = deque(maxlen=KEPT_LINES)


def new_connection_id() -> ConnectionId:
    """A short name for a connection that has just come in."""
    number, letters = next(_id_numbers), ""
    while number:
        number, digit = divmod(number, len(_ID_LETTERS))
        letters = _ID_LETTERS[digit] + letters
    return ConnectionId(letters or "0")


def set_level(level: str) -> None:
    """Choose what is logged: `error`, `warning`, `info` or `debug`. Takes the standard `logging` along."""
    global _level
    _level = LEVELS[level]
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(logging.DEBUG if level == "debug" else max(_level, logging.WARNING))
    for name in _LIBRARIES_THAT_NAME_PEERS:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else logging.CRITICAL)


def recent_lines(count: int) -> list[str]:
    """The last lines that were written, but for those of `debug`: time, level, part, event and fields."""
    lines = list(_recent)[-count:]
    return [f"{at.isoformat(timespec='seconds').removesuffix('+00:00')}Z {level} {text}" for at, level, text in lines]


def current_level() -> str:
    """The level in force."""
    return next(name for name, number in LEVELS.items() if number == _level)


@contextmanager
def silenced() -> Iterator[None]:
    """Write nothing but bugs meanwhile: for a part of the server at work where its results are told otherwise."""
    global _level
    before, _level = _level, _SILENCE
    try:
        yield
    finally:
        _level = before


class Log:
    """Writes the lines of one part of the program, named `part`."""

    __slots__ = ("_part",)

    def __init__(self, part: str) -> None:
        """`part` is one word, such as `smtp`."""
        self._part = part

    @property
    def is_debug(self) -> bool:
        """Whether `debug` lines are written; ask before collecting what only they need."""
        return _level <= 10

    def debug(self, event: str, **fields: object) -> None:
        """For finding out what happened on one connection; may name addresses."""
        if _level <= 10:
            _write("debug", self._part, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something an operator wants to count or look up."""
        if _level <= 20:
            _write("info", self._part, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something an operator should look at some time."""
        if _level <= 30:
            _write("warning", self._part, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something is broken now."""
        if _level <= 40:
            _write("error", self._part, event, fields)

    def bug(self, error: BaseException, **fields: object) -> None:
        """An exception nobody expected: its type and where it was raised, never its text, which may hold mail."""
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno}:{f.name}" for f in reversed(frames[-6:]))
        _write("error", self._part, "bug", {**fields, "type": type(error).__name__, "where": where})
        if _level <= 10:
            _write("debug", self._part, "bug_text", {**fields, "text": str(error)})


def _write(level: str, part: str, event: str, fields: dict[str, object]) -> None:
    text = " ".join([part, event, *(f"{name}={_shown(value)}" for name, value in fields.items())])
    if level != "debug":
        _recent.append((datetime.now(UTC), level, text[:KEPT_CHARACTERS]))
    # A reader that went away (a closed pipe, a full disk) must not take the server with it.
    try:
        sys.stderr.write(f"{_prefix(level)} {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def _prefix(level: str) -> str:
    if _is_journal():
        return _JOURNAL_PRIORITIES[level] + level
    return f"{datetime.now(UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z {level}"


@cache
def _is_journal() -> bool:
    """Whether stderr is the journal (systemd.exec(5), JOURNAL_STREAM)."""
    stream = os.environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def _shown(value: object) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


class _LibraryHandler(logging.Handler):
    """Turns a record of the standard `logging` into one of our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        level = next((name for name, number in reversed(LEVELS.items()) if record.levelno >= number), "debug")
        # Further lines show reprs of what failed, and those may hold addresses.
        text = record.getMessage()
        fields: dict[str, object] = {"text": text if _level <= 10 else text.partition("\n")[0]}
        if record.exc_info and record.exc_info[1] is not None:
            fields["type"] = type(record.exc_info[1]).__name__
        _write(level, record.name, "library", fields)
