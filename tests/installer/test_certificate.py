"""The page on the certificate: live progress, a refusal with its step and remedy, and the other two ways."""

from pathlib import Path

from textual.widgets import Input

from installer.wizard.journey import Offer, Step
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import FakeDoor
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, shows, until, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))
REFUSAL = (
    "prove that the name is ours",
    "The authority could not reach chat.example.net: Timeout during connect (likely firewall problem); "
    "let in ports 443 and 80 and try again.",
)


async def test_the_order_is_shown_step_by_step() -> None:
    door = FakeDoor()
    door.hold("certificate")
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await shows(pilot, "From a certificate authority")
        await look(SNAPSHOTS, pilot, "empty", SMALL, LARGE, NARROW)
        await pilot.press("enter")
        await shows(pilot, "› working Prove that the name is ours")
        await look(SNAPSHOTS, pilot, "working")
        await pilot.press("escape")
        assert app.present_step() is Step.CERTIFICATE
        door.release("certificate")
        await shows(pilot, "valid until 2027-02-23")
        await look(SNAPSHOTS, pilot, "done")
        await pilot.press("enter")
        assert app.present_step() is Step.INSTALL and not app.journey.certificate_missing


async def test_a_refusal_names_the_step_and_what_the_authority_said_and_can_be_tried_again() -> None:
    door = FakeDoor(refusal=REFUSAL)
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await pilot.press("enter")
        await shows(pilot, "It failed at: prove that the name is ours.", "likely firewall problem", "Try again")
        await look(SNAPSHOTS, pilot, "failed", SMALL, LARGE, NARROW)
        door.refusal = None
        await pilot.press("enter")
        await shows(pilot, "valid until 2027-02-23")
        assert app.present_step() is Step.CERTIFICATE


async def test_going_on_without_one_is_asked_twice() -> None:
    async with wizard_at(Step.CERTIFICATE, FakeDoor(refusal=REFUSAL)) as (app, pilot):
        await pilot.press("enter")
        await shows(pilot, "Go on without")
        await pilot.click("#without")
        await shows(pilot, "Go on without the certificate?")
        await pilot.press("enter")
        assert app.present_step() is Step.CERTIFICATE
        await pilot.click("#without")
        await pilot.press("y")
        assert app.present_step() is Step.INSTALL and app.journey.certificate_missing


async def test_one_that_is_there_already_is_not_ordered_again() -> None:
    door = FakeDoor(certificate_found=True)
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await shows(pilot, "There is one already for chat.example.net")
        await look(SNAPSHOTS, pilot, "found", SMALL)
        await pilot.press("enter")
        assert app.present_step() is Step.INSTALL and not door.asked_for


async def test_a_self_signed_one_is_made_at_once() -> None:
    door = FakeDoor()
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await pilot.press("down", "enter")
        await shows(pilot, "Made: self-signed, for chat.example.net.")
        assert door.asked_for[-1].tls_mode == app.journey.answers.tls_mode == "self-signed"


async def test_own_files_are_asked_for_and_judged() -> None:
    door = FakeDoor()
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await pilot.press("up")
        await shows(pilot, "Private key")
        await look(SNAPSHOTS, pilot, "files", SMALL)
        await pilot.press("enter")
        await shows(pilot, "✗", "cert_file")
        assert app.focused is app.screen.query_one("#cert_file")
        app.screen.query_one("#cert_file", Input).value = "/etc/ssl/chat/fullchain.pem"
        app.screen.query_one("#key_file", Input).value = "/etc/ssl/chat/key.pem"
        await pilot.press("enter")
        await shows(pilot, "The files are fine")
        assert door.asked_for[-1].key_file == "/etc/ssl/chat/key.pem"


async def test_a_wrong_mail_address_is_said() -> None:
    async with wizard_at(Step.CERTIFICATE, FakeDoor()) as (app, pilot):
        app.screen.query_one("#acme_email", Input).value = "nobody"
        await pilot.press("enter")
        await shows(pilot, "Type a mail address such as me@example.org, or leave it empty.")
        assert app.focused is app.screen.query_one("#acme_email")


async def test_back_from_a_refusal_leads_to_the_choice() -> None:
    async with wizard_at(Step.CERTIFICATE, FakeDoor(refusal=REFUSAL)) as (app, pilot):
        await pilot.press("enter")
        await shows(pilot, "Try again")
        await pilot.press("escape")
        await shows(pilot, "(•) From a certificate authority")
        await pilot.press("escape")
        await until(pilot, lambda: app.present_step() is Step.DNS)


async def test_the_authority_is_named_with_its_terms_and_the_contact_is_proposed() -> None:
    async with wizard_at(Step.SETTINGS, FakeDoor(), admin="") as (app, pilot):
        app.screen.query_one("#admin", Input).value = "me@example.org"
        await pilot.press("enter", "enter", "y")
        await shows(pilot, "(Let's Encrypt)", "you accept its terms: https://letsencrypt.org/repository/")
        assert app.screen.query_one("#acme_email", Input).value == "me@example.org"


async def test_whoever_has_one_may_go_back_and_forth_and_choose_another() -> None:
    door = FakeDoor()
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await pilot.press("enter")
        await shows(pilot, "valid until 2027-02-23", "Choose another")
        door.certificate_found = True
        await pilot.press("escape")
        await until(pilot, lambda: app.present_step() is Step.DNS)
        app.set_out(Offer("resume", "", "", app.journey.course, Step.CERTIFICATE))
        await shows(pilot, "There is one already", "choose another", "Choose another", "Enter Next")
        await pilot.click("#another")
        await shows(pilot, "(•) From a certificate authority", "Get it", "Enter Get it")
        await look(SNAPSHOTS, pilot, "another", SMALL)


async def test_an_answer_that_comes_late_takes_nothing_from_whoever_is_typing() -> None:
    door = FakeDoor(certificate_found=True)
    door.hold("found")
    async with wizard_at(Step.CERTIFICATE, door) as (app, pilot):
        await pilot.press("tab", *"me@")
        door.release("found")
        await until(pilot, lambda: door.looked_for_certificate)
        await pilot.pause()
        await pilot.press(*"example.org")
        line = app.screen.query_one("#acme_email", Input)
        assert line.value == "me@example.org" and app.focused is line


async def test_typing_beside_the_only_field_goes_into_it() -> None:
    async with wizard_at(Step.CERTIFICATE, FakeDoor()) as (app, pilot):
        await pilot.press("tab", "tab", "tab")
        assert app.focused is app.screen.query_one("#back")
        await pilot.press(*"me@example.org", "enter")
        await shows(pilot, "valid until 2027-02-23")
        assert app.journey.answers.acme_email == "me@example.org"
