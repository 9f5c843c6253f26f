"""One line per event, readable by people and programs, and silent below its level."""

import logging
import re
from collections.abc import Iterator

import pytest

from chatmail.log import Log, new_connection_id, set_level, silenced

log = Log("smtp")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    set_level("info")
    root.handlers[:], root.level = handlers, level


def test_a_line_has_time_level_part_event_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("message_accepted", connection="k3f9", size_bytes=4711, share=0.25, remote=False)
    line = capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info smtp message_accepted "
        r"connection=k3f9 size_bytes=4711 share=0\.25 remote=no\n",
        line,
    )


def test_values_from_outside_cannot_forge_a_line_or_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    log.warning("odd", text='a b="c"\n2026 error smtp forged', empty="")
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert line.endswith('text="a b=\\"c\\"\\n2026 error smtp forged" empty=""\n')


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log.debug("not_this")
    set_level("error")
    log.warning("nor_this")
    log.error("this")
    assert [line.split()[3] for line in capsys.readouterr().err.splitlines()] == ["this"]


def test_silence_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with silenced():
        log.error("not_this")
    log.info("this")
    assert [line.split()[3] for line in capsys.readouterr().err.splitlines()] == ["this"]


def test_a_bug_is_one_line_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise RuntimeError("someone@chat.example.org")
    except RuntimeError as error:
        log.bug(error, connection="k3f9")
    line = capsys.readouterr().err
    assert "someone" not in line and line.count("\n") == 1
    assert "error smtp bug connection=k3f9 type=RuntimeError" in line and "test_log.py" in line


def test_libraries_are_heard_from_warning_on_and_those_that_name_peers_not_at_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_level("info")
    logging.getLogger("asyncio").info("chatty")
    logging.getLogger("asyncio").warning("slow callback")
    logging.getLogger("mail.log").error("('192.0.2.1', 4) is odd")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].endswith('warning asyncio library text="slow callback"')


def test_under_the_journal_the_time_is_left_out_and_the_priority_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.log._is_journal", lambda: True)
    log.error("disk_full")
    assert capsys.readouterr().err == "<3>error smtp disk_full\n"


def test_connection_ids_differ() -> None:
    assert len({new_connection_id() for _ in range(1000)}) == 1000
