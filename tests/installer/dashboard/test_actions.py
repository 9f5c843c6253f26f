"""What can be done from the dashboard: asked first, then told how it went."""

from pathlib import Path

import pytest

from installer.dashboard.screens.progress import ProgressWindow
from installer.dashboard.source import Waiting
from installer.widgets.qr_code import QrScreen
from tests.installer.dashboard.seen import seen
from tests.support import fake_source
from tests.support.fake_source import FakeSource
from tests.support.qr_reader import read_code
from tests.support.screen_snapshot import Snapshots

SNAPSHOTS = Snapshots(Path(__file__))


async def test_a_server_in_the_queue_is_tried_again_once_that_is_confirmed() -> None:
    async with seen(FakeSource(fake_source.degraded())) as shown:
        await shown.press("2", "down", "r")
        await shown.shows("Try to send what waits for busy.example.com now?")
        assert shown.source.asked == []
        await shown.press("y")
        assert shown.source.asked == [("retry", Waiting(domain="busy.example.com"))]
        await shown.shows("1 message on the way again")


async def test_a_no_leaves_everything_as_it_is_until_there_is_a_yes() -> None:
    async with seen(FakeSource(fake_source.degraded())) as shown:
        await shown.press("2", "d", "enter", "d", "escape", "a", "n")
        assert shown.source.asked == []
        await shown.press("a", "y")
        assert shown.source.asked == [("retry", Waiting(everything=True))]


async def test_one_item_of_the_queue_is_dropped() -> None:
    async with seen(FakeSource(fake_source.degraded())) as shown:
        await shown.press("2", "enter")
        await shown.shows("What waits for gone.example.net")
        await shown.press("down", "d", "y")
        asked = [words for words, _argument in shown.source.asked]
        assert asked == ["queue_items", "drop", "queue_items"]
        assert shown.source.asked[1] == ("drop", Waiting(item=47))


async def test_the_certificate_is_renewed_with_its_steps_shown_and_why_it_was_refused() -> None:
    async with seen(FakeSource(fake_source.degraded())) as shown:
        await shown.press("5", "c", "y")
        await shown.shows("place the order")
        await shown.shows("The new certificate is in use.")
        await shown.press("escape")
        assert not isinstance(shown.app.screen, ProgressWindow)
        shown.source.refusals["renew"] = "The authority could not connect to port 443."
        await shown.press("c", "y")
        await shown.shows("✖ The authority could not connect to port 443.")


@pytest.mark.parametrize(
    ("now", "question", "then"), [("open", "Give nobody", "closed"), ("closed", "Let every", "open")]
)
async def test_registration_is_switched_to_what_it_is_not(now: str, question: str, then: str) -> None:
    async with seen(FakeSource(fake_source.with_registration(now))) as shown:
        await shown.press("g")
        await shown.shows(question)
        await shown.press("y")
        assert shown.source.asked == [("registration", then)]


async def test_expiry_runs_and_says_what_went() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        await shown.press("e", "y")
        await shown.shows("Removed 20 messages and 1 account, 39.1 KiB in all.")


async def test_the_sign_up_link_is_shown_as_a_code_that_phones_read(tmp_path: Path) -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        await shown.press("s")
        await shown.shows("dcaccount:chat.example.org", "Any key goes back")
        assert read_code(shown.text, tmp_path) == "dcaccount:chat.example.org"
        await SNAPSHOTS.check(shown.pilot, "code")
        await shown.press("escape")
        await shown.shows("Messages per minute")


async def test_where_people_are_invited_the_code_is_a_new_invitation_and_fits(tmp_path: Path) -> None:
    async with seen(FakeSource(fake_source.with_registration("invite"))) as shown:
        await shown.press("s")
        await shown.shows("New accounts are for invited people.")
        await shown.press("y")
        await shown.shows("▄▄▄▄▄")
        link = shown.source.invite()
        assert read_code(shown.text, tmp_path) == link
        await SNAPSHOTS.check(shown.pilot, "invitation")
        for size in ((60, 22), (41, 20)):
            await shown.pilot.resize_terminal(*size)
            await shown.settle()
            assert read_code(shown.text, tmp_path) == link, "alone, where the frame has no room"
        await shown.pilot.resize_terminal(72, 16)
        await shown.shows("The code needs a window of 37 columns and 19 rows", "?t=")
        assert "▄▄▄▄▄" not in shown.text


async def test_where_registration_is_closed_there_is_no_code_but_a_word() -> None:
    async with seen(FakeSource(fake_source.with_registration("closed"))) as shown:
        await shown.press("s")
        await shown.shows("Registration is closed")


async def test_the_longest_link_says_how_large_the_window_must_be() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        shown.app.push_screen(QrScreen(f"dcaccount:https://{'a' * 60}.{'b' * 60}.example.org/new?t={'x' * 22}"))
        await shown.shows("The code needs a window of")
        await shown.pilot.resize_terminal(80, 40)
        await shown.shows("▄▄▄▄▄")


async def test_an_account_is_found_by_its_whole_address() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        await shown.press("4", "slash", *"al@b.org", "enter")
        assert shown.source.asked == [("account", "al@b.org")]
        await shown.shows("79.1 KiB")
        shown.source.refusals["account"] = "There is no account al@b.org."
        await shown.press("enter")
        await shown.shows("There is no account al@b.org.")
        await shown.press("escape", "1")
        await shown.shows("Messages per minute")
