"""The wizard in lines of text: the same steps, for terminals that cannot draw and for ears."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from chatmail import api
from installer.wizard.journey import Step
from installer.wizard.plain import PlainWizard
from installer.wizard.plain_console import Console
from tests.support.wizard_door import ADDRESS, DOMAIN, NOTHING_INSTALLED, FakeDoor, stopping_checks

SETTINGS = [""] * 6


class Conversation:
    """Answers one after the other; the end of them is the end of the input."""

    def __init__(self, answers: Iterable[str]) -> None:
        self._answers = iter(answers)
        self.lines: list[str] = []

    def read(self, prompt: str) -> str:
        self.lines.append(prompt)
        try:
            answer = next(self._answers)
        except StopIteration:
            raise EOFError from None
        if answer == "^C":
            raise KeyboardInterrupt
        return answer

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.lines).split())


def walk(door: FakeDoor, answers: Iterable[str], **preset: object) -> tuple[int, str]:
    talk = Conversation(answers)
    console = Console(talk.read, talk.lines.append)
    code = PlainWizard(preset, console, door, "").run()
    return code, talk.text


def test_the_whole_way_in_lines() -> None:
    door = FakeDoor(right_records=99)
    answers = [DOMAIN, *SETTINGS, "1", "me@example.org", "y", "y"]
    code, text = walk(door, answers)
    assert code == 0 and door.installed[0].config.tls.acme_email == "me@example.org"
    for step, number in zip(Step, range(1, 8), strict=True):
        assert f"--- Step {number} of 7: {step} ---" in text
    for said in (
        "All is fine: this machine is ready.",
        f"{DOMAIN} leads to {ADDRESS}: this machine.",
        "All 13 records are right.",
        "Have the certificate issued…".lower(),
        "new: file: /etc/chatmail/chatmail.toml -rw-r----- root:chatmail",
        "done: 8 of 8: Enable and start the server",
        "All 12 tests passed.",
        f"dcaccount:https://{DOMAIN}/new",
        "chatmail doctor: checks everything",
    ):
        assert said in text, said
    assert "✓" not in text and "✗" not in text


def test_a_wrong_domain_is_asked_again_with_what_was_meant() -> None:
    code, text = walk(FakeDoor(), ["https://chat.example.net/", "", "^C"])
    assert "without https://" in text and "[chat.example.net]" in text and "Step 3 of 7" in text
    assert code == 130 and "your answers are kept, up to “Settings”" in text


def test_a_wrong_number_is_asked_again_and_less_than_goes_back() -> None:
    _code, text = walk(FakeDoor(), [DOMAIN, "9", "2", "soon", "5", "<", "^C"])
    assert "Type a number from 1 to 3." in text and "Type a whole number of days from 1 to 36500." in text
    assert text.count("--- Step 2 of 7: Domain ---") == 2


def test_a_machine_that_is_not_fit_is_looked_at_again_or_left() -> None:
    code, text = walk(FakeDoor(checks=stopping_checks()), ["", "n"])
    assert code == 0 and text.count("Run: sudo python3 chatmail.pyz") == 2
    assert "Nothing was changed on this machine." in text


def test_dns_is_looked_at_shown_otherwise_saved_and_passed_only_by_a_clear_yes(tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    answers = [DOMAIN, *SETTINGS, "r", "", "s", str(zone), "n", "n", "n", "y", "^C"]
    _code, text = walk(FakeDoor(), answers)
    assert "6 required records are not right yet." in text and f"CNAME mta-sts.{DOMAIN}" in text
    assert zone.exists() and "nobody finds the server by its name" in text
    assert "Step 5 of 7: Certificate" in text


def test_behind_a_nat_the_address_is_asked_for() -> None:
    _code, text = walk(FakeDoor(addresses=()), [DOMAIN, "", *SETTINGS, "a", "192.0.2.7", "^C"])
    assert "knows no public address" in text and "A @ 192.0.2.7" in text


def test_a_refused_certificate_can_be_tried_again_or_gone_without() -> None:
    refusal = ("prove that the name is ours", "The authority could not reach it; let in port 443.")
    door = FakeDoor(right_records=99, refusal=refusal)
    _code, text = walk(door, [DOMAIN, *SETTINGS, "1", "", "n", "2", "^C"])
    assert "It failed at: prove that the name is ours." in text and "let in port 443" in text
    assert "Go on without? [y/N]" in text
    assert f"Made: self-signed, for {DOMAIN}." in text and "--- Step 6 of 7" in text


def test_a_server_that_does_not_start_says_its_last_words_and_goes_on_from_there() -> None:
    error = api.InstallError("The server did not start.", "start", api.LeftBehind.RESUMABLE, ("error: port 25",))
    door = FakeDoor(right_records=99, install_error=error)
    code, text = walk(door, [DOMAIN, *SETTINGS, "1", "", "y", "^C"])
    assert "error: port 25" in text and "goes on from there" in text and code == 130


def test_what_is_installed_can_be_repaired() -> None:
    state = replace(NOTHING_INSTALLED, installed=True, complete=True, version=api.VERSION, answers=api.Answers(DOMAIN))
    code, text = walk(FakeDoor(state=state), ["1", "y", "n"])
    assert code == 0 and "Step 3 of 3: Done" in text


@pytest.mark.parametrize("answers", [[], [DOMAIN], [DOMAIN, *SETTINGS], [DOMAIN, *SETTINGS, "n", "y"]])
def test_the_end_of_the_input_leaves_in_order(answers: list[str]) -> None:
    code, text = walk(FakeDoor(), answers)
    assert code == (130 if answers else 0) and ("are kept" in text or "Nothing was changed" in text)
