"""The page on the name: every wrong form gets its sentence, and what is right is looked up while one types."""

from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input

from chatmail import api
from installer.wizard.journey import Step
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import ADDRESS, DOMAIN, FakeDoor
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, seen, shows, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))


async def test_how_the_page_looks_from_empty_to_good() -> None:
    door = FakeDoor()
    door.hold("resolve")
    async with wizard_at(Step.DOMAIN, door, mail_domain="") as (app, pilot):
        await look(SNAPSHOTS, pilot, "empty")
        app.screen.query_one(Input).value = DOMAIN
        await shows(pilot, f"Looking up where {DOMAIN} leads")
        await look(SNAPSHOTS, pilot, "working")
        door.release("resolve")
        await shows(pilot, f"{DOMAIN} leads to {ADDRESS}: this machine.")
        await look(SNAPSHOTS, pilot, "done", SMALL, LARGE, NARROW)
        await pilot.press("enter")
        assert app.present_step() is Step.SETTINGS
        assert door.remembered == [(app.journey.answers, Step.SETTINGS)]
        assert app.journey.answers.mail_domain == DOMAIN and app.journey.answers.tls_mode == "acme"


async def test_a_name_that_leads_elsewhere_is_a_warning() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(leads_to="198.51.100.9")) as (app, pilot):
        await shows(pilot, "▲", "leads to 198.51.100.9: another machine.")
        await pilot.press("enter")
        assert app.present_step() is Step.SETTINGS


@pytest.mark.parametrize(
    ("typed", "says", "meant"),
    [
        ("https://chat.example.net/", "without https:// and without a path", "chat.example.net"),
        ("chat.example.net:443", "without a port", "chat.example.net"),
        ("chat.example.net.", "without the final dot", "chat.example.net"),
        ("me@chat.example.net", "without a name and @", "chat.example.net"),
        ("grüße.example.net", "technical form", "xn--gre-6ka8l.example.net"),
        ("203.0.113.256", "is no number from 0 to 255", ""),
        ("203.0.113", "it has 3 parts instead of 4", ""),
        (f"{'a' * 64}.example.net", "at most 63 characters", ""),
        (".".join(["a" * 60] * 5), "at most 253 characters", ""),
        ("chat example.net", "this has a blank", ""),
        ("localhost", "has no dot", ""),
    ],
)
async def test_a_wrong_form_gets_one_sentence_and_f3_takes_what_was_meant(typed: str, says: str, meant: str) -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        app.screen.query_one(Input).value = typed
        await shows(pilot, "✗", says)
        await pilot.press("enter")
        assert app.present_step() is Step.DOMAIN
        if typed.startswith("https"):
            await look(SNAPSHOTS, pilot, "failed")
        await pilot.press("f3")
        assert app.screen.query_one(Input).value == (meant or typed)


async def test_each_kind_fills_the_line_with_what_it_needs() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        line = app.screen.query_one(Input)
        await pilot.press("shift+tab", "down")
        assert line.value == ADDRESS
        await shows(pilot, f"{ADDRESS} leads to {ADDRESS}: this machine.")
        await look(SNAPSHOTS, pilot, "address", SMALL)
        await pilot.press("down")
        assert line.value == "_"
        line.value = "_chat.example.net"
        await pilot.press("enter")
        assert app.journey.kind is api.DomainKind.TEST and app.journey.answers.tls_mode == "self-signed"


async def test_typing_an_address_chooses_its_kind() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        app.screen.query_one(Input).value = "8.8.8.8"
        await shows(pilot, "(•) Only an IP address")
        assert app.screen.query_one(Input).value == "8.8.8.8"
        await pilot.press("enter")
        assert Step.DNS not in app.journey.steps
        await shows(pilot, "Step 3 of 6 · Settings")


async def test_another_kind_erases_nothing_that_was_typed() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        line = app.screen.query_one(Input)
        await pilot.press(*"https://chat")
        await pilot.press("shift+tab", "down")
        assert line.value == ADDRESS
        await pilot.press("down", "down")
        assert line.value == "https://chat"
        line.value = DOMAIN
        await pilot.press("up")
        assert line.value == "_"
        line.value = f"_trying.{DOMAIN}"
        await pilot.press("down", "up")
        assert line.value == f"_trying.{DOMAIN}"


async def test_a_name_is_the_beginning_of_a_test_name() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor()) as (app, pilot):
        await pilot.press("shift+tab", "up")
        assert app.screen.query_one(Input).value == f"_{DOMAIN}"


async def test_keys_that_come_in_one_piece_count_in_their_order() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="chat.exmaple.net") as (app, pilot):
        for key in ("ctrl+u", *"chat.wrong", *["backspace"] * 5, *"net"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        assert app.screen.query_one(Input).value == "chat.net"


async def test_one_letter_is_judged_too_and_f3_is_named_while_it_does_something() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        await pilot.press("x")
        await shows(pilot, "✗", "has no dot")
        assert "F3" not in seen(app)
        await pilot.press(*".net:25")
        await shows(pilot, "F3 Take it")
        await pilot.press("f3")
        assert "F3" not in seen(app) and app.screen.query_one(Input).value == "x.net"


async def test_enter_does_what_the_last_line_says_wherever_the_focus_is() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor()) as (app, pilot):
        await shows(pilot, "Enter Next")
        await pilot.press("tab")
        assert app.focused is app.screen.query_one("#next")
        await pilot.press("tab")
        await shows(pilot, "Enter Back")
        await pilot.press("enter")
        assert app.present_step() is Step.WELCOME


async def test_what_is_typed_while_a_button_has_the_focus_goes_into_the_line() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        await pilot.press("tab", "tab")
        assert app.focused is app.screen.query_one("#back")
        await pilot.press(*"chat.example.net")
        line = app.screen.query_one(Input)
        assert line.value == "chat.example.net" and app.focused is line
        await pilot.press("tab")
        app.post_message(events.Paste("work"))
        await pilot.pause()
        assert line.value == "chat.example.network" and app.focused is line
