"""Logging in, and coming into being by it: the one way to an account, for IMAP and SMTP alike.

The door is `Login.check`. The first login with a new name makes the account, atomically through the store; of several
with different passwords at the same time one wins and the others are wrong. Passwords are hashed with Argon2id
(RFC 9106) in threads; that a password was right is remembered for a while, under a key that never leaves the process
and that depends on the stored hash, so that a new password, a block or a removal counts from the next login on.

Wrong passwords and new accounts are counted by the network they come from: beyond a limit a password is not looked at,
and a new account waits a little. A password that is remembered passes all the same. The delay before a refusal, and the
end of a connection after some, are the services' business; every refusal says its reason.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from typing import Final, Literal
from weakref import WeakValueDictionary

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from chatmail.config import Config
from chatmail.invite_link import Credentials
from chatmail.log import Log
from chatmail.mail.address import Address
from chatmail.meters import Meters
from chatmail.policy.accounts import MAX_PASSWORD_BYTES, CreationRefusal, check_new_account
from chatmail.policy.guessing import GuessLimit
from chatmail.policy.refusals import reason_of_login
from chatmail.policy.sign_up_rate import FIRST_LOGINS_PER_NETWORK, UNLIMITED, SignUpRate, is_loopback
from chatmail.storage.store import Account, AccountStore, InvitationStore

log = Log("login")

ARGON2_MEMORY_KIB: Final = 8 * 1024
ARGON2_ITERATIONS: Final = 1
"""Passwords are 22 random characters made by programs; this is about 4 ms and bounds what a storm of logins costs."""
MAX_VERIFIED: Final = 20_000
"""Remembered right passwords: about 3 MB."""
VERIFIED_FOR: Final = timedelta(hours=12)
NEW_ACCOUNT_WAIT_SECONDS: Final = 10.0
"""Of a first login from a network with many of them; clients wait for 30 and more."""


class LoginRefusal(Enum):
    """Why somebody may not log in; the value is a short reason for the log."""

    NOT_OUR_ADDRESS = "not-our-address"
    WRONG_PASSWORD = "wrong-password"
    BLOCKED = "blocked"
    TOO_MANY_GUESSES = "too-many-guesses"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The password is right. `is_new` if this login made the account."""

    account: Account
    is_new: bool


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """It is not, or no account may be made."""

    reason: LoginRefusal | CreationRefusal

    @property
    def is_temporary(self) -> bool:
        """Whether the same login may succeed later (SMTP 454, IMAP `[UNAVAILABLE]`)."""
        return self.reason in _TEMPORARY

    @property
    def is_guess(self) -> bool:
        """Whether it looks like somebody who does not know the password: to be answered late, and not for ever."""
        return self.reason not in (CreationRefusal.SHORT_OF_RESOURCES, CreationRefusal.TOO_MANY_NEW)


_TEMPORARY: Final = (
    *(CreationRefusal.SHORT_OF_RESOURCES, CreationRefusal.TOO_MANY_NEW),
    LoginRefusal.TOO_MANY_GUESSES,
)


LoginResult = LoggedIn | LoginRefused


class Login:
    """Checks logins against the accounts of the store."""

    def __init__(
        self,
        accounts: AccountStore,
        config: Config,
        shortage: Callable[[], str | None],
        registration: Callable[[], Literal["open", "invite", "closed"]] | None = None,
        meters: Meters | None = None,
    ) -> None:
        """`shortage` says what the machine has too little of for new accounts, None if nothing.

        `registration` is asked for each new account; without it the configuration counts.
        """
        self._registration = registration or (lambda: config.accounts.registration)
        self._meters = meters or Meters()
        self._accounts = accounts
        self._config = config
        self._shortage = shortage
        self._hashing = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="argon2")
        self._cache_key = secrets.token_bytes(32)
        self._verified: dict[bytes, datetime] = {}
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()
        self._guesses = GuessLimit()
        self._new_accounts = SignUpRate(FIRST_LOGINS_PER_NETWORK, UNLIMITED)

    async def check(self, username: str, password: str, now: datetime, peer: str = "127.0.0.1") -> LoginResult:
        """Log in as `username`, the full address, from the IP address `peer`.

        Raises `StorageError` if the store cannot serve.
        """
        result = await self._check(username, password, now, peer)
        if isinstance(result, LoginRefused):
            self._meters.refuse(reason_of_login(result.reason.value))
        return result

    async def _check(self, username: str, password: str, now: datetime, peer: str) -> LoginResult:
        address = self._parse_username(username)
        if address is None:
            return LoginRefused(LoginRefusal.NOT_OUR_ADDRESS)
        if len(_octets(password)) > MAX_PASSWORD_BYTES:
            return LoginRefused(LoginRefusal.WRONG_PASSWORD)
        account = await self._accounts.find(address)
        if account is not None and (account.blocked or self._is_remembered(account, password, now)):
            return await self._verify(account, password, now, peer)
        # The same login over and over (a client opens IMAP and SMTP at once) is hashed once: the others wait.
        turn = self._turns.setdefault(self._digest(str(address), password), asyncio.Lock())
        async with turn:
            return await self._create_or_verify(address, password, now, peer)

    def close(self) -> None:
        """Let the threads end. Logins under way are cut off by the caller's cancellation."""
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def _parse_username(self, username: str) -> Address | None:
        """The address, if it is on this server; a bare IP address stands for its literal."""
        address = Address.parse(username)
        ours = self._config.address_domain
        if address is None or address.domain == ours:
            return address
        return Address(address.localpart, ours) if f"[{address.domain}]" == ours else None

    async def _create_or_verify(self, address: Address, password: str, now: datetime, peer: str) -> LoginResult:
        account = await self._accounts.find(address)
        if account is None:
            refusal = self._refuse_new_account(address, password) or await self._refuse_to_wait_longer(peer)
            if refusal is not None:
                return LoginRefused(refusal)
            loop = asyncio.get_running_loop()
            password_hash = await loop.run_in_executor(self._hashing, hash_password, password)
            account = await self._accounts.create(address, password_hash, now.date())
            if account is not None:
                self._remember(account, password, now)
                return LoggedIn(account, is_new=True)
            account = await self._accounts.find(address)  # somebody else made it meanwhile
        if account is None:  # neither there nor to be made: the name is blocked for ever
            return LoginRefused(LoginRefusal.BLOCKED)
        return await self._verify(account, password, now, peer)

    async def _refuse_to_wait_longer(self, peer: str) -> CreationRefusal | None:
        """Wait until one more account may come from there; why not, if that takes too long."""
        if is_loopback(peer):  # a proxy of this machine, which stands for everybody
            return None
        loop = asyncio.get_running_loop()
        until = loop.time() + NEW_ACCOUNT_WAIT_SECONDS
        while (seconds := self._new_accounts.take(peer, loop.time())) > 0:
            if loop.time() + seconds > until:
                log.warning("new_account_refused", short_of="turns-of-one-network")
                return CreationRefusal.TOO_MANY_NEW
            await asyncio.sleep(seconds)
        return None

    def _refuse_new_account(self, address: Address, password: str) -> CreationRefusal | None:
        in_force = replace(self._config.accounts, registration=self._registration())
        refusal = check_new_account(address, password, in_force)
        return refusal or self._refuse_for_shortage()

    def _refuse_for_shortage(self) -> CreationRefusal | None:
        short_of = self._shortage()
        if short_of is None:
            return None
        log.warning("new_account_refused", short_of=short_of)
        return CreationRefusal.SHORT_OF_RESOURCES

    async def reserve(
        self, invitations: InvitationStore, token: str, credentials: Credentials, now: datetime
    ) -> bool | None:
        """Make an account by invitation, before its first login.

        False if the invitation is not valid (or the name is taken), None if the machine is short of something. Raises
        `StorageError`.
        """
        address = Address.parse(credentials.address)
        if address is None or not await invitations.is_valid(token, now):
            return False
        if self._refuse_for_shortage() is not None:
            return None
        loop = asyncio.get_running_loop()
        password_hash = await loop.run_in_executor(self._hashing, hash_password, credentials.password)
        return await invitations.redeem(token, address, password_hash, now) is not None

    async def _verify(self, account: Account, password: str, now: datetime, peer: str) -> LoginResult:
        if account.blocked:
            return LoginRefused(LoginRefusal.BLOCKED)
        if not self._is_remembered(account, password, now):
            refusal = await self._refuse_password(account, password, peer)
            if refusal is not None:
                return LoginRefused(refusal)
            self._remember(account, password, now)
        if account.last_login_on != now.date():
            await self._accounts.record_login(account.account_id, now.date())
        return LoggedIn(account, is_new=False)

    async def _refuse_password(self, account: Account, password: str, peer: str) -> LoginRefusal | None:
        loop, name = asyncio.get_running_loop(), str(account.address)
        if not self._guesses.take(peer, name, loop.time()):
            return LoginRefusal.TOO_MANY_GUESSES
        if not await loop.run_in_executor(self._hashing, verify_password, password, account.password_hash):
            return LoginRefusal.WRONG_PASSWORD
        self._guesses.give_back(peer, name)
        return None

    def _is_remembered(self, account: Account, password: str, now: datetime) -> bool:
        verified_at = self._verified.get(self._digest(str(account.address), password, account.password_hash))
        return verified_at is not None and now - verified_at < VERIFIED_FOR

    def _remember(self, account: Account, password: str, now: datetime) -> None:
        if len(self._verified) >= MAX_VERIFIED:
            del self._verified[next(iter(self._verified))]  # the oldest
        digest = self._digest(str(account.address), password, account.password_hash)
        self._verified.pop(digest, None)
        self._verified[digest] = now

    def _digest(self, *texts: str) -> bytes:
        digest = blake2b(key=self._cache_key, digest_size=32)
        for octets in map(_octets, texts):
            digest.update(len(octets).to_bytes(4, "big") + octets)
        return digest.digest()


def hash_password(password: str) -> str:
    """The Argon2id hash in PHC string form; some milliseconds of one core, without the interpreter's lock."""
    argon2 = Argon2id(
        salt=secrets.token_bytes(16),
        length=32,
        iterations=ARGON2_ITERATIONS,
        lanes=1,
        memory_cost=ARGON2_MEMORY_KIB,
    )
    return argon2.derive_phc_encoded(_octets(password))


def verify_password(password: str, password_hash: str) -> bool:
    """Whether `password` is the one that was hashed; costs what `hash_password` costs."""
    try:
        Argon2id.verify_phc_encoded(_octets(password), password_hash)
    except InvalidKey:
        return False
    return True


def _octets(text: str) -> bytes:
    """UTF-8, also for what a peer sent that is none and came through as lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
