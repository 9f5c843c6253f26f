"""Invitations and settings: small tables that an operator writes and hardly anybody reads."""

from collections.abc import Sequence
from datetime import UTC, datetime

from chatmail.mail.address import Address
from chatmail.storage.accounts import insert_account, is_taken
from chatmail.storage.database import Reader
from chatmail.storage.interface import Account
from chatmail.storage.transaction import Transaction
from chatmail.storage.upkeep import Invitation
from chatmail.storage.writer import Writer

_NEVER = 1 << 62
_VALID = "token = ? AND uses_left > 0 AND expires_at > ?"


class Invitations:
    """`InvitationStore` over SQLite."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def add(self, invitation: Invitation) -> None:
        """See `InvitationStore.add`."""
        row = (
            invitation.token,
            invitation.uses_left,
            _NEVER if invitation.expires_at is None else int(invitation.expires_at.timestamp()),
            invitation.note,
            int(invitation.created_at.timestamp()),
        )
        await self._writer.submit(
            lambda transaction: transaction.run("INSERT INTO invitations VALUES (?, ?, ?, ?, ?)", row)
        )

    async def all(self) -> Sequence[Invitation]:
        """See `InvitationStore.all`."""
        rows = self._reader.rows(
            "SELECT token, uses_left, expires_at, note, created_at FROM invitations ORDER BY created_at, token"
        )
        return [
            Invitation(token, uses_left, None if expires_at == _NEVER else _time(expires_at), note, _time(created_at))
            for token, uses_left, expires_at, note, created_at in rows
        ]

    async def revoke(self, token: str) -> bool:
        """See `InvitationStore.revoke`."""
        sql = "DELETE FROM invitations WHERE token = ?"
        return await self._writer.submit(lambda transaction: transaction.run(sql, (token,)) > 0)

    async def is_valid(self, token: str, now: datetime) -> bool:
        """See `InvitationStore.is_valid`."""
        sql = f"SELECT 1 FROM invitations WHERE {_VALID}"
        return self._reader.row(sql, (token, int(now.timestamp()))) is not None

    async def redeem(self, token: str, address: Address, password_hash: str, now: datetime) -> Account | None:
        """See `InvitationStore.redeem`."""
        today = now.astimezone(UTC).date()

        def job(transaction: Transaction) -> Account | None:
            if is_taken(transaction, str(address)):
                return None
            used = f"UPDATE invitations SET uses_left = uses_left - 1 WHERE {_VALID}"
            if not transaction.run(used, (token, int(now.timestamp()))):
                return None
            account_id = insert_account(transaction, str(address), password_hash, today.toordinal())
            return Account(account_id, address, password_hash, today, today, blocked=False)

        return await self._writer.submit(job)

    async def sweep(self, now: datetime) -> int:
        """See `InvitationStore.sweep`."""
        sql = "DELETE FROM invitations WHERE uses_left <= 0 OR expires_at <= ?"
        return await self._writer.submit(lambda transaction: transaction.run(sql, (int(now.timestamp()),)))


class Settings:
    """`SettingStore` over SQLite."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader

    async def get(self, name: str) -> str | None:
        """See `SettingStore.get`."""
        row = self._reader.row("SELECT value FROM settings WHERE name = ?", (name,))
        return None if row is None else str(row[0])

    async def put(self, name: str, value: str | None) -> None:
        """See `SettingStore.put`."""
        if value is None:
            await self._writer.submit(lambda t: t.run("DELETE FROM settings WHERE name = ?", (name,)))
        else:
            sql = "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
            await self._writer.submit(lambda t: t.run(sql, (name, value)))


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
