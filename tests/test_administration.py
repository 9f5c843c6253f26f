import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chatmail.administration import Administration
from chatmail.config import AccountsConfig, Config
from chatmail.errors import OperatorError
from chatmail.login import LoggedIn, Login, LoginRefused
from chatmail.policy.accounts import CreationRefusal
from chatmail.registration import Mode, RegistrationSwitch
from chatmail.services.expiry import Expired, expire, no_pause
from chatmail.storage.store import DeliveryOutcome, Store
from chatmail.web.messages import SiteState, WebRequest
from chatmail.web.site import Site
from tests.support.filling import NOW, add_account, deliver

CONFIG = Config("example.org")
ALICE = "alice@example.org"


@dataclass
class Desk:
    """An operator's desk: the commands over a store, and the switch and login of a server on it."""

    store: Store
    switch: RegistrationSwitch
    login: Login
    administration: Administration
    now: datetime = NOW
    said: list[str] = field(default_factory=list)

    async def do(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 — JSON
        return await self.administration.commands()[command](arguments, self.said.append)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 20, queues_push=True)
    switch = RegistrationSwitch(CONFIG, store.settings, lambda: None)
    await switch.load()
    login = Login(store.accounts, CONFIG, lambda: None, switch.mode)

    async def expire_now(report: Any) -> Expired:  # noqa: ANN401
        return await expire(store, CONFIG, made.now, report, no_pause)

    made = Desk(store, switch, login, Administration(CONFIG, store, switch, expire_now, lambda: made.now))
    yield made
    login.close()
    await store.close()


# --- accounts ---


async def test_accounts_are_listed_in_pages_and_shown_by_their_amounts(desk: Desk) -> None:
    for name in ("carol", "alice", "bob"):
        await add_account(desk.store, name)
    await deliver(desk.store, "alice")
    rows = await desk.do("account list", limit=2)
    assert [row["address"] for row in rows] == [ALICE, "bob@example.org"]
    assert [row["address"] for row in await desk.do("account list", after="bob@example.org")] == ["carol@example.org"]
    shown = await desk.do("account show", address=ALICE)
    assert shown["messages"] == 1 and shown["usage_bytes"] > 0 and shown["mailboxes"] == 4
    assert "password_hash" not in shown


@pytest.mark.parametrize("address", ["nobody@example.org", "no address", "", None, 7])
async def test_what_is_no_account_is_one_sentence(desk: Desk, address: object) -> None:
    for command in ("show", "block", "unblock", "delete", "reset-password"):
        with pytest.raises(OperatorError, match=r"There is no account|That is no mail address"):
            await desk.do(f"account {command}", address=address)


async def test_a_blocked_account_cannot_log_in_get_mail_or_be_made_again(desk: Desk) -> None:
    name = "blocked01@example.org"
    assert isinstance(await desk.login.check(name, "a good password", NOW), LoggedIn)
    await desk.do("account block", address=name)
    assert isinstance(await desk.login.check(name, "a good password", NOW), LoginRefused)
    assert await deliver(desk.store, "blocked01") == {"blocked01": DeliveryOutcome.DISCARDED}
    assert (await desk.do("account delete", address=name))["name_stays_taken"]
    assert isinstance(await desk.login.check(name, "another password", NOW), LoginRefused)


async def test_a_new_password_is_told_once_and_the_old_one_is_wrong(desk: Desk) -> None:
    name = "resetting@example.org"
    await desk.login.check(name, "the old password", NOW)
    answer = await desk.do("account reset-password", address=name)
    assert isinstance(await desk.login.check(name, "the old password", NOW), LoginRefused)
    assert isinstance(await desk.login.check(name, answer["password"], NOW), LoggedIn)
    assert answer["link"].startswith("dclogin:resetting@example.org?")


async def test_two_operators_at_once_do_not_hurt_each_other(desk: Desk) -> None:
    await add_account(desk.store, "alice")
    ends = await asyncio.gather(
        *(desk.do("account delete", address=ALICE) for _ in range(2)),
        *(desk.do("account block", address=ALICE) for _ in range(2)),
        desk.do("registration close"),
        desk.do("registration open"),
        return_exceptions=True,
    )
    assert all(isinstance(end, dict | OperatorError) for end in ends)
    assert await desk.store.accounts.page("", 9) == []
    assert await desk.store.check() == ()


# --- expiry ---


async def test_a_dry_run_counts_and_removes_nothing(desk: Desk) -> None:
    await add_account(desk.store, "alice")
    await deliver(desk.store, "alice")
    desk.now = NOW + timedelta(days=21)
    counted = await desk.do("expire", dry_run=True)
    assert (counted["messages"], counted["accounts"]) == (1, 0) and counted["message_bytes"] > 0
    assert await desk.do("expire", dry_run=True) == counted
    done = await desk.do("expire")
    assert (done["messages"], done["message_bytes"]) == (1, counted["message_bytes"])
    assert (await desk.do("expire", dry_run=True))["messages"] == 0


# --- registration ---


async def test_registration_is_switched_at_run_time_and_stays_so(desk: Desk) -> None:
    assert await desk.do("registration status") == {"registration": "open", "configured": "open", "invitations": 0}
    await desk.do("registration close")
    refused = await desk.login.check("newcomer1@example.org", "a good password", NOW)
    assert refused == LoginRefused(CreationRefusal.REGISTRATION_CLOSED)
    again = RegistrationSwitch(CONFIG, desk.store.settings, lambda: None)
    await again.load()
    assert again.mode() == "closed"
    changed = Config("example.org", accounts=AccountsConfig(registration="invite"))
    edited = RegistrationSwitch(changed, desk.store.settings, lambda: None)
    await edited.load()
    assert edited.mode() == "invite", "who edits the file means it"
    await desk.do("registration open")
    assert isinstance(await desk.login.check("newcomer1@example.org", "a good password", NOW), LoggedIn)


@pytest.mark.parametrize(
    ("mode", "shortage", "shown"),
    [("open", None, "open"), ("open", "disk", "busy"), ("closed", "disk", "closed"), ("invite", None, "invite")],
)
async def test_the_web_page_knows_whether_new_accounts_are_made(
    desk: Desk,
    mode: Mode,
    shortage: str | None,
    shown: str,
) -> None:
    switch = RegistrationSwitch(CONFIG, desk.store.settings, lambda: shortage)
    await switch.choose(mode)
    assert switch.state() == shown


async def redeem(desk: Desk, token: str, state: str = "invite") -> tuple[int, bytes]:
    site = Site(CONFIG, Random())
    request = WebRequest("POST", "/new", query={"t": token}, peer="192.0.2.1")
    site_state = SiteState(certificate_is_trusted=True, registration=state)  # type: ignore[arg-type]
    if not site.is_by_invitation(request, site_state):
        return site.answer(request, site_state, 0.0).status, b""

    async def make(token: str, credentials: Any) -> bool | None:  # noqa: ANN401
        return await desk.login.reserve(desk.store.invitations, token, credentials, desk.now)

    response = await site.new_account_by_invitation(request, site_state, 0.0, make)
    return response.status, response.body


async def test_an_invitation_makes_so_many_accounts_that_a_plain_client_logs_in_to(desk: Desk) -> None:
    await desk.do("registration invite-only")
    invitation = await desk.do("registration invite", uses=2, expires_in_seconds=3600, note="for the choir")
    assert invitation["link"] == f"dcaccount:https://example.org/new?t={invitation['token']}"
    for _ in range(2):
        status, body = await redeem(desk, invitation["token"])
        made = json.loads(body)
        assert status == 200
        assert isinstance(await desk.login.check(made["email"], made["password"], NOW), LoggedIn)
    status, body = await redeem(desk, invitation["token"])
    assert status == 403 and "no longer valid" in json.loads(body)["reason"]
    assert await redeem(desk, "a guess") == (status, body)
    refused = await desk.login.check("newcomer1@example.org", "a good password", NOW)
    assert refused == LoginRefused(CreationRefusal.INVITATION_NEEDED)


async def test_invitations_expire_are_listed_and_revoked_and_count_for_nothing_when_closed(desk: Desk) -> None:
    first = await desk.do("registration invite", expires_in_seconds=60)
    second = await desk.do("registration invite", note="kept")
    assert {row["note"] for row in await desk.do("registration invites")} == {"", "kept"}
    assert (await redeem(desk, second["token"], "closed"))[0] == 403
    desk.now += timedelta(seconds=61)
    assert (await redeem(desk, first["token"]))[0] == 403
    assert (await desk.do("expire"))["invitations"] == 1
    await desk.do("registration revoke", token=second["token"])
    assert (await redeem(desk, second["token"]))[0] == 403
    with pytest.raises(OperatorError, match="no such invitation"):
        await desk.do("registration revoke", token=second["token"])


async def test_many_at_once_use_an_invitation_no_more_often_than_it_says(desk: Desk) -> None:
    invitation = await desk.do("registration invite", uses=3)
    ends = await asyncio.gather(*(redeem(desk, invitation["token"]) for _ in range(10)))
    assert sorted(status for status, _body in ends) == [200] * 3 + [403] * 7


@pytest.mark.parametrize(
    "arguments",
    [
        *({"uses": uses} for uses in (0, "1", True, 10**9)),
        *({"expires_in_seconds": seconds} for seconds in (-5, 10**12, "1d")),
        *({"note": note} for note in ("a\nb", "x" * 501, 7)),
    ],
)
async def test_absurd_invitations_are_one_sentence(desk: Desk, arguments: dict[str, object]) -> None:
    with pytest.raises(OperatorError, match=r"^An invitation|^The note"):
        await desk.do("registration invite", **arguments)


async def test_new_accounts_are_refused_for_a_shortage_whose_name_is_logged(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    short = Login(desk.store.accounts, CONFIG, lambda: "memory", desk.switch.mode)
    try:
        refused = await short.check("newcomer1@example.org", "a good password", NOW)
        assert refused == LoginRefused(CreationRefusal.SHORT_OF_RESOURCES)
        assert "new_account_refused short_of=memory" in capsys.readouterr().err
        await desk.login.check("newcomer1@example.org", "a good password", NOW)
        assert isinstance(await short.check("newcomer1@example.org", "a good password", NOW), LoggedIn)
    finally:
        short.close()
