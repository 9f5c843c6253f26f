"""The wizard's small decisions: fields, marks, records, orders, keys, and the words at the end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmail import api
from installer.wizard.farewell import farewell
from installer.wizard.fields import FIELDS, contact, judged, judged_mail_address, shown
from installer.wizard.journey import Step
from installer.wizard.marks import Mark, Row, counted, worst_first
from installer.wizard.order import Order
from installer.wizard.records import RecordSheet, cropped
from installer.wizard.widgets.key_line import GAP, KeyHint, fitting
from tests.support.wizard_door import DOMAIN, FakeDoor


def test_every_default_is_shown_as_it_would_be_typed() -> None:
    answers = api.Answers(DOMAIN)
    for field in FIELDS:
        assert judged(field, shown(answers, field)) == (getattr(answers, field.name), "")


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "٣", "36501", "9" * 5000, "seven"])
def test_days_are_whole_numbers_within_limits(text: str) -> None:
    days = next(field for field in FIELDS if field.name == "delete_mails_after")
    assert judged(days, text) == (None, "Type a whole number of days from 1 to 36500.")


@given(st.text())
def test_no_text_breaks_a_field(text: str) -> None:
    for field in FIELDS:
        value, wrong = judged(field, text)
        if not wrong and not field.choices:
            api.config_of(api.changed_answers(api.Answers(DOMAIN), **{field.name: value}))
    judged_mail_address(text)


def test_a_contact_becomes_a_link() -> None:
    assert contact("me@example.org") == "mailto:me@example.org"
    assert contact(" https://example.org/help ") == "https://example.org/help"
    assert contact("") == ""


def test_what_is_worst_comes_first_and_the_rest_stays_in_order() -> None:
    rows = [Row(mark, str(number), "") for number, mark in enumerate([Mark.OK, Mark.WARNING, Mark.OK, Mark.STOP])]
    assert [row.name for row in worst_first(rows)] == ["3", "1", "0", "2"]
    assert counted(rows) == (1, 1)


def test_an_order_begins_again_in_another_way() -> None:
    directory, account, *_rest = api.CERTIFICATE_STEPS
    order = Order().stepped(directory).stepped(account)
    assert [row.mark for row in order.rows()[:3]] == [Mark.DONE, Mark.WORKING, Mark.WAITING]
    assert order.stepped(directory).rows()[0].mark is Mark.WORKING
    assert replace(order, failed=True).rows()[1].mark is Mark.FAILED
    assert {row.mark for row in replace(order, done=True).rows()} == {Mark.DONE}


def test_renderings_go_around_and_keep_what_is_known() -> None:
    door = FakeDoor(right_records=2)
    records = door.dns_records(api.Answers(DOMAIN))
    sheet = RecordSheet(records).checked(door.check_dns(records))
    assert sheet.in_next_rendering().in_next_rendering().in_next_rendering() == sheet
    assert sheet.wrong(required=True) == 4 and RecordSheet(records).wrong(required=True) == 6
    assert [line.mark for line in sheet.lines()[:4]] == [Mark.OK, Mark.OK, Mark.MISSING, Mark.MISSING]


def test_what_is_right_at_its_source_only_is_still_spreading() -> None:
    door = FakeDoor(right_records=99)
    records = door.dns_records(api.Answers(DOMAIN))
    report = door.check_dns(records)
    not_yet = replace(report, checks=tuple(replace(check, public=()) for check in report.checks))
    assert RecordSheet(records).checked(not_yet).lines()[0].mark is Mark.SPREADING


@given(st.text(), st.integers(1, 40))
def test_what_is_cropped_fits(text: str, width: int) -> None:
    assert len(cropped(text, width)) <= width


def test_the_keys_that_are_needed_stay_in_the_narrowest_window() -> None:
    hints = [KeyHint("Enter", "Next", "a", True), KeyHint("S", "Save", "b"), KeyHint("Ctrl-C", "Leave", "c", True)]
    assert fitting(hints, 80) == hints
    assert [hint.key for hint in fitting(hints, len(GAP) + 23)] == ["Enter", "Ctrl-C"]
    assert fitting(hints, 0) == []


REMEMBER = ["sudo chatmail status", "sudo chatmail doctor", "sudo journalctl --namespace=chatmail"]


@pytest.mark.parametrize(
    ("state", "left", "commands"),
    [
        ({}, "Nothing was changed", ["sudo a b"]),
        ({"kept": True}, "your answers are kept, up to “DNS”", ["sudo a b", "sudo a uninstall"]),
        ({"installing": True}, "not complete; what is done stays", ["sudo a b", "sudo a uninstall"]),
        ({"installed": True, "installing": True}, "installed and runs", REMEMBER),
        (
            {"installed": True, "certificate_missing": True},
            "installed and runs",
            ["sudo chatmail cert status", *REMEMBER],
        ),
    ],
)
def test_whoever_leaves_is_told_what_lies_there_and_how_to_go_on(
    state: dict[str, bool], left: str, commands: list[str]
) -> None:
    usual = {"kept": False, "installing": False, "installed": False, "certificate_missing": False}
    said = farewell(Step.DNS, **{**usual, **state}, command="sudo a b", program="sudo a", as_typed="sudo {}".format)
    assert left in said.left and [command for command, _what in said.how] == commands
