"""What an operator does with accounts, registration and expiry: the commands, over a store.

The running server answers them on its control socket; where no server runs, the command line opens the store (whose
lock keeps both apart) and calls the same functions. Every command takes JSON and returns JSON; what cannot be done is
an `OperatorError`.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from random import SystemRandom
from typing import Any, Final

from chatmail.config import Config
from chatmail.errors import OperatorError
from chatmail.invite_link import (
    Credentials,
    accepts_dcaccount,
    dcaccount_link,
    invitation_url,
    login_link,
    random_credentials,
)
from chatmail.log import Log
from chatmail.login import hash_password
from chatmail.mail.address import Address
from chatmail.policy.retention import retention_limits
from chatmail.registration import RegistrationSwitch
from chatmail.services.control import Handler, Report
from chatmail.services.expiry import Expired
from chatmail.storage.store import Account, AccountSummary, Invitation, Store

MAX_PAGE: Final = 5000
"""Accounts in one answer."""
MAX_USES: Final = 1_000_000
MAX_NOTE_CHARACTERS: Final = 500
_TOKEN_BYTES: Final = 15
"""Of randomness: twenty letters in a link."""

log = Log("administration")

Arguments = Mapping[str, Any]


class Administration:
    """The commands over one store. `expire` does one run of expiry."""

    def __init__(
        self,
        config: Config,
        store: Store,
        registration: RegistrationSwitch,
        expire: Callable[[Report], Awaitable[Expired]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._store = store
        self._registration = registration
        self._expire = expire
        self._clock = clock

    def commands(self) -> dict[str, Handler]:
        """By the words of the command line."""
        return {
            "account list": self.list_accounts,
            "account show": self.show_account,
            "account block": self.block,
            "account unblock": self.unblock,
            "account delete": self.delete,
            "account reset-password": self.reset_password,
            "expire": self.expire,
            "registration status": self.registration_status,
            "registration open": self.open_registration,
            "registration close": self.close_registration,
            "registration invite-only": self.invite_only,
            "registration invite": self.invite,
            "registration invites": self.list_invitations,
            "registration revoke": self.revoke,
        }

    # --- accounts ---

    async def list_accounts(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401 — JSON
        """One page, behind `after`."""
        after, limit = arguments.get("after", ""), arguments.get("limit", MAX_PAGE)
        if not isinstance(after, str) or not isinstance(limit, int) or not 0 < limit <= MAX_PAGE:
            raise OperatorError(f"A list of accounts begins after an address and has up to {MAX_PAGE} rows.")
        return [_row(summary) for summary in await self._store.accounts.page(after, limit)]

    async def show_account(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """Amounts, never content."""
        account = await self._find(arguments)
        details = await self._store.accounts.details(account.account_id)
        if details is None:
            raise _no_such_account(account.address)
        return {
            **_row(details.summary),
            "quota_bytes": self._config.mail.max_mailbox_size,
            "messages": details.messages,
            "mailboxes": details.mailboxes,
            "device_tokens": details.device_tokens,
        }

    async def block(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """No login, no mail, and the name stays taken for ever; sessions end."""
        return await self._set_blocked(arguments, blocked=True)

    async def unblock(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """As it was before."""
        return await self._set_blocked(arguments, blocked=False)

    async def _set_blocked(self, arguments: Arguments, *, blocked: bool) -> dict[str, object]:
        account = await self._find(arguments)
        await self._store.accounts.set_blocked(account.account_id, blocked)
        log.info("account_blocked" if blocked else "account_unblocked")
        return {"address": str(account.address), "blocked": blocked}

    async def delete(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """With everything of it; sessions end. Only a blocked name stays taken."""
        account = await self._find(arguments)
        await self._store.accounts.remove(account.account_id)
        log.info("account_deleted")
        return {"address": str(account.address), "deleted": True, "name_stays_taken": account.blocked}

    async def reset_password(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """A new password, which is nowhere but in the answer; sessions end."""
        account = await self._find(arguments)
        password = random_credentials(SystemRandom(), self._config).password
        await self._store.accounts.set_password_hash(
            account.account_id, await asyncio.to_thread(hash_password, password)
        )
        log.info("password_reset")
        link = login_link(self._config, Credentials(str(account.address), password))
        return {"address": str(account.address), "password": password, "link": link}

    async def _find(self, arguments: Arguments) -> Account:
        text = arguments.get("address")
        address = Address.parse(text) if isinstance(text, str) else None
        if address is None:
            raise OperatorError("That is no mail address; write it whole, as account list shows it.")
        account = await self._store.accounts.find(address)
        if account is None:
            raise _no_such_account(address)
        return account

    # --- expiry ---

    async def expire(self, arguments: Arguments, report: Report) -> Any:  # noqa: ANN401
        """Remove what is over its time; with `dry_run` only count it."""
        if arguments.get("dry_run") is not True:
            done = await self._expire(report)
            return {
                "messages": done.messages.count,
                "message_bytes": done.messages.size_bytes,
                "accounts": done.accounts.count,
                "account_bytes": done.accounts.size_bytes,
                "device_tokens": done.device_tokens,
                "invitations": done.invitations,
                "stray_files": done.stray_files,
                "database_bytes_before": done.database_bytes_before,
                "database_bytes": done.database_bytes,
            }
        overdue = await self._store.retention.survey(retention_limits(self._config, self._clock()))
        return {
            "dry_run": True,
            "messages": overdue.messages.count + overdue.large.count,
            "message_bytes": overdue.messages.size_bytes + overdue.large.size_bytes,
            "of_these_only_for_their_size": overdue.large.count,
            "accounts": overdue.accounts.count,
            "account_bytes": overdue.accounts.size_bytes,
            "device_tokens": overdue.device_tokens,
        }

    # --- registration ---

    async def registration_status(self, _arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """What is in force, and what the configuration says."""
        return {
            "registration": self._registration.mode(),
            "configured": self._registration.configured,
            "invitations": len(await self._store.invitations.all()),
        }

    async def open_registration(self, arguments: Arguments, report: Report) -> Any:  # noqa: ANN401
        """Everybody may have an account."""
        await self._registration.choose("open")
        return await self.registration_status(arguments, report)

    async def close_registration(self, arguments: Arguments, report: Report) -> Any:  # noqa: ANN401
        """Nobody gets a new one."""
        await self._registration.choose("closed")
        return await self.registration_status(arguments, report)

    async def invite_only(self, arguments: Arguments, report: Report) -> Any:  # noqa: ANN401
        """Only who is invited."""
        await self._registration.choose("invite")
        return await self.registration_status(arguments, report)

    async def invite(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """A new invitation and its link."""
        uses, seconds, note = arguments.get("uses", 1), arguments.get("expires_in_seconds"), arguments.get("note", "")
        if not isinstance(uses, int) or isinstance(uses, bool) or not 1 <= uses <= MAX_USES:
            raise OperatorError(f"An invitation can be used 1 to {MAX_USES} times.")
        if seconds is not None and (not isinstance(seconds, int) or not 60 <= seconds <= 36500 * 86400):
            raise OperatorError("An invitation is valid from a minute to a hundred years.")
        if not isinstance(note, str) or len(note) > MAX_NOTE_CHARACTERS or not note.isprintable():
            raise OperatorError(f"The note of an invitation is one line of up to {MAX_NOTE_CHARACTERS} characters.")
        now = self._clock().replace(microsecond=0)
        expires_at = None if seconds is None else now + timedelta(seconds=seconds)
        invitation = Invitation(secrets.token_urlsafe(_TOKEN_BYTES), uses, expires_at, note, now)
        await self._store.invitations.add(invitation)
        log.info("invitation_made", uses=uses)
        return self._invitation(invitation) | {"registration": self._registration.mode()}

    async def list_invitations(self, _arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """All there are."""
        return [self._invitation(invitation) for invitation in await self._store.invitations.all()]

    async def revoke(self, arguments: Arguments, _report: Report) -> Any:  # noqa: ANN401
        """End an invitation; accounts made with it stay."""
        token = arguments.get("token")
        if not isinstance(token, str) or not await self._store.invitations.revoke(token):
            raise OperatorError("There is no such invitation; registration invites lists them.")
        return {"token": token, "revoked": True}

    def _invitation(self, invitation: Invitation) -> dict[str, object]:
        for_app = accepts_dcaccount(self._config)
        link = (dcaccount_link if for_app else invitation_url)(self._config, invitation.token)
        return {
            "token": invitation.token,
            "uses_left": invitation.uses_left,
            "expires_at": None if invitation.expires_at is None else invitation.expires_at.isoformat(),
            "note": invitation.note,
            "link": link,
        }


def _row(summary: AccountSummary) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(summary).items()}


def _no_such_account(address: Address) -> OperatorError:
    return OperatorError(f"There is no account {address}; account list shows those that exist.")
