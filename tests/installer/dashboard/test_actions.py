"""What can be done from the dashboard: asked first, then told how it went."""

import pytest

from installer.dashboard.screens.progress import ProgressWindow
from installer.dashboard.source import Waiting
from tests.installer.dashboard.seen import seen
from tests.support import fake_source
from tests.support.fake_source import FakeSource


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


async def test_the_sign_up_link_is_shown_as_a_code() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        await shown.press("s")
        await shown.shows("dcaccount:chat.example.org")
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
