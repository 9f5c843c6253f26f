"""Logging in against a real store."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatmail import login as login_module
from chatmail.config import AccountsConfig, Config
from chatmail.login import VERIFIED_FOR, LoggedIn, Login, LoginRefusal, LoginRefused, hash_password, verify_password
from chatmail.mail.address import Address
from chatmail.policy.accounts import CreationRefusal
from chatmail.policy.guessing import BURST
from chatmail.policy.sign_up_rate import Rate
from chatmail.storage.store import Store

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAME = "abcdef123@chat.example"
PASSWORD = "p455word-of-22-letters"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path, max_mailbox_size_bytes=1 << 20)
    yield store
    await store.close()


@pytest.fixture
async def login(store: Store) -> AsyncIterator[Login]:
    login = Login(store.accounts, Config("chat.example"), lambda: None)
    yield login
    login.close()


class CountedHashing:
    """The real functions, counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashed = 0
        self.verified = 0
        monkeypatch.setattr(login_module, "hash_password", self.hash_password)
        monkeypatch.setattr(login_module, "verify_password", self.verify_password)

    def hash_password(self, password: str) -> str:
        self.hashed += 1
        return hash_password(password)

    def verify_password(self, password: str, password_hash: str) -> bool:
        self.verified += 1
        return verify_password(password, password_hash)


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> CountedHashing:
    return CountedHashing(monkeypatch)


async def test_the_first_login_makes_the_account_and_the_next_ones_find_it(login: Login) -> None:
    first = await login.check(NAME, PASSWORD, NOW)
    second = await login.check(NAME, PASSWORD, NOW)
    assert isinstance(first, LoggedIn) and first.is_new
    assert isinstance(second, LoggedIn) and not second.is_new
    assert first.account.account_id == second.account.account_id
    assert str(first.account.address) == NAME


async def test_names_are_the_same_in_any_case(login: Login) -> None:
    await login.check(NAME, PASSWORD, NOW)
    again = await login.check("ABCdef123@Chat.Example", PASSWORD, NOW)
    assert isinstance(again, LoggedIn) and not again.is_new


async def test_a_wrong_password_is_refused_however_often_it_comes(login: Login) -> None:
    await login.check(NAME, PASSWORD, NOW)
    for _ in range(2):
        assert await login.check(NAME, PASSWORD + "x", NOW) == LoginRefused(LoginRefusal.WRONG_PASSWORD)
    assert await login.check(NAME, "\udcff" * 9, NOW) == LoginRefused(LoginRefusal.WRONG_PASSWORD)
    assert await login.check(NAME, "x" * 100_000, NOW) == LoginRefused(LoginRefusal.WRONG_PASSWORD)


async def test_ten_simultaneous_first_logins_make_one_account_with_one_hash(
    login: Login, hashing: CountedHashing
) -> None:
    results = await asyncio.gather(*(login.check(NAME, PASSWORD, NOW) for _ in range(10)))
    assert all(isinstance(result, LoggedIn) for result in results)
    assert sum(isinstance(result, LoggedIn) and result.is_new for result in results) == 1
    assert (hashing.hashed, hashing.verified) == (1, 0)


async def test_of_simultaneous_first_logins_with_different_passwords_one_wins(login: Login) -> None:
    passwords = [f"password-number-{number}" for number in range(6)]
    results = await asyncio.gather(*(login.check(NAME, password, NOW) for password in passwords))
    winners = [result for result in results if isinstance(result, LoggedIn)]
    assert len(winners) == 1 and winners[0].is_new
    assert results.count(LoginRefused(LoginRefusal.WRONG_PASSWORD)) == 5
    again = await asyncio.gather(*(login.check(NAME, password, NOW) for password in passwords))
    assert [isinstance(result, LoggedIn) for result in again] == [isinstance(result, LoggedIn) for result in results]


async def test_two_processes_that_race_for_a_name_both_log_in_with_the_same_password(
    store: Store, login: Login
) -> None:
    other = Login(store.accounts, Config("chat.example"), lambda: None)
    results = await asyncio.gather(login.check(NAME, PASSWORD, NOW), other.check(NAME, PASSWORD, NOW))
    other.close()
    assert [isinstance(result, LoggedIn) for result in results] == [True, True]


async def test_two_accounts_with_the_same_password_are_kept_apart(login: Login) -> None:
    one = await login.check("aaaaaaaaa@chat.example", PASSWORD, NOW)
    other = await login.check("bbbbbbbbb@chat.example", PASSWORD, NOW)
    assert isinstance(one, LoggedIn) and isinstance(other, LoggedIn)
    assert one.account.account_id != other.account.account_id
    assert one.account.password_hash != other.account.password_hash


async def test_a_right_password_is_hashed_again_only_after_its_time(login: Login, hashing: CountedHashing) -> None:
    await login.check(NAME, PASSWORD, NOW)
    await login.check(NAME, PASSWORD, NOW + VERIFIED_FOR / 2)
    assert hashing.verified == 0
    await login.check(NAME, PASSWORD, NOW + VERIFIED_FOR)
    assert hashing.verified == 1


async def test_only_so_many_right_passwords_are_remembered(
    login: Login, hashing: CountedHashing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_module, "MAX_VERIFIED", 2)
    for letter in "abc":
        await login.check(f"{letter * 9}@chat.example", PASSWORD, NOW)
    await login.check("c" * 9 + "@chat.example", PASSWORD, NOW)
    assert hashing.verified == 0
    await login.check("a" * 9 + "@chat.example", PASSWORD, NOW)
    assert hashing.verified == 1


async def test_a_new_password_counts_at_once(store: Store, login: Login) -> None:
    made = await login.check(NAME, PASSWORD, NOW)
    assert isinstance(made, LoggedIn)
    await store.accounts.set_password_hash(made.account.account_id, hash_password("another-password"))
    assert await login.check(NAME, PASSWORD, NOW) == LoginRefused(LoginRefusal.WRONG_PASSWORD)
    assert isinstance(await login.check(NAME, "another-password", NOW), LoggedIn)


async def test_a_blocked_account_cannot_log_in_although_its_password_is_remembered(store: Store, login: Login) -> None:
    made = await login.check(NAME, PASSWORD, NOW)
    assert isinstance(made, LoggedIn)
    await store.accounts.set_blocked(made.account.account_id, True)
    assert await login.check(NAME, PASSWORD, NOW) == LoginRefused(LoginRefusal.BLOCKED)


async def test_the_day_of_the_last_login_is_kept(store: Store, login: Login) -> None:
    await login.check(NAME, PASSWORD, NOW)
    await login.check(NAME, PASSWORD, NOW + timedelta(days=3))
    address = Address.parse(NAME)
    assert address is not None
    account = await store.accounts.find(address)
    assert account is not None and account.last_login_on == (NOW + timedelta(days=3)).date()


@pytest.mark.parametrize("username", ["abcdef123", "abcdef123@other.example", "", "@", "a b@chat.example", "\udcff@x"])
async def test_an_address_of_elsewhere_is_refused(login: Login, username: str) -> None:
    assert await login.check(username, PASSWORD, NOW) == LoginRefused(LoginRefusal.NOT_OUR_ADDRESS)


async def test_a_name_with_a_tag_is_no_account(login: Login) -> None:
    assert await login.check("abcd+tag1@chat.example", PASSWORD, NOW) == LoginRefused(CreationRefusal.INVALID_NAME)


@pytest.mark.parametrize("domain", ["[192.0.2.1]", "192.0.2.1"])
async def test_a_relay_without_a_domain_takes_its_address_with_and_without_brackets(store: Store, domain: str) -> None:
    login = Login(store.accounts, Config("192.0.2.1"), lambda: None)
    result = await login.check(f"abcdef123@{domain}", PASSWORD, NOW)
    login.close()
    assert isinstance(result, LoggedIn) and str(result.account.address) == "abcdef123@[192.0.2.1]"


async def test_a_machine_at_its_limits_refuses_new_accounts_for_now_and_keeps_the_old(store: Store) -> None:
    short_of: list[str | None] = [None]
    login = Login(store.accounts, Config("chat.example"), lambda: short_of[0])
    await login.check(NAME, PASSWORD, NOW)
    short_of[0] = "memory"
    refused = await login.check("newcomer1@chat.example", PASSWORD, NOW)
    assert refused == LoginRefused(CreationRefusal.SHORT_OF_RESOURCES)
    assert isinstance(refused, LoginRefused) and refused.is_temporary
    assert isinstance(await login.check(NAME, PASSWORD, NOW), LoggedIn)
    login.close()


async def test_closed_registration_keeps_existing_accounts(store: Store, login: Login) -> None:
    await login.check(NAME, PASSWORD, NOW)
    closed = Login(store.accounts, Config("chat.example", accounts=AccountsConfig(registration="closed")), lambda: None)
    assert isinstance(await closed.check(NAME, PASSWORD, NOW), LoggedIn)
    refused = await closed.check("newcomer1@chat.example", PASSWORD, NOW)
    closed.close()
    assert refused == LoginRefused(CreationRefusal.REGISTRATION_CLOSED)
    assert isinstance(refused, LoginRefused) and not refused.is_temporary


async def test_a_cancelled_login_does_not_hold_up_the_same_login_after_it(login: Login) -> None:
    first = asyncio.ensure_future(login.check(NAME, PASSWORD, NOW))
    second = asyncio.ensure_future(login.check(NAME, PASSWORD, NOW))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, LoggedIn)


ELSEWHERE, ATTACKER = "198.51.100.7", "192.0.2.1"


async def test_guessing_is_bounded_and_shuts_out_nobody_else(login: Login, hashing: CountedHashing) -> None:
    await login.check(NAME, PASSWORD, NOW, ELSEWHERE)
    neighbour = "neighbour@chat.example"
    await login.check(neighbour, PASSWORD, NOW, ATTACKER)
    guesses = await asyncio.gather(
        *(login.check(NAME, f"guess number {number}", NOW, ATTACKER) for number in range(10 * BURST))
    )
    reasons = [guess.reason for guess in guesses if isinstance(guess, LoginRefused)]
    assert reasons.count(LoginRefusal.WRONG_PASSWORD) == BURST == hashing.verified
    assert reasons.count(LoginRefusal.TOO_MANY_GUESSES) == 9 * BURST
    assert guesses[-1].is_temporary and guesses[-1].is_guess  # type: ignore[union-attr]
    # The owner elsewhere, and at the attacker's own address with a password that is remembered; the neighbour, too.
    again = Login(login._accounts, Config("chat.example"), lambda: None)
    again._guesses = login._guesses
    assert isinstance(await again.check(NAME, PASSWORD, NOW, ELSEWHERE), LoggedIn)
    assert isinstance(await login.check(NAME, PASSWORD, NOW, ATTACKER), LoggedIn)
    assert isinstance(await again.check(neighbour, PASSWORD, NOW, ATTACKER), LoggedIn)
    again.close()


async def test_a_network_with_many_new_accounts_waits_and_the_others_do_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_module, "FIRST_LOGINS_PER_NETWORK", Rate(per_second=0.01, burst=3))
    login = Login(store.accounts, Config("chat.example"), lambda: None)
    made = [await login.check(f"many{number:05}@chat.example", PASSWORD, NOW, ATTACKER) for number in range(5)]
    assert [isinstance(one, LoggedIn) for one in made] == [True] * 3 + [False] * 2
    assert made[3] == LoginRefused(CreationRefusal.TOO_MANY_NEW) and made[3].is_temporary and not made[3].is_guess
    assert isinstance(await login.check("many00001@chat.example", PASSWORD, NOW, ATTACKER), LoggedIn)
    for peer in (ELSEWHERE, "127.0.0.1", "::1"):
        for number in range(4 if peer != ELSEWHERE else 3):
            name = f"x{peer[-1]}{number}elsewhere"[:9] + "@chat.example"
            assert isinstance(await login.check(name, PASSWORD, NOW, peer), LoggedIn)
    login.close()


async def test_a_first_login_whose_turn_comes_soon_waits_for_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "FIRST_LOGINS_PER_NETWORK", Rate(per_second=2.0, burst=1))
    login = Login(store.accounts, Config("chat.example"), lambda: None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(2):
        made = await login.check(f"many{number:05}@chat.example", PASSWORD, NOW, ATTACKER)
        assert isinstance(made, LoggedIn)
    assert loop.time() - began >= 0.49
    login.close()
