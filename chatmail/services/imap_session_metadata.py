"""GETQUOTA, GETQUOTAROOT, GETMETADATA, SETMETADATA. RFC 9208, RFC 5464; what is answered is policy.

There is one quota root per account. Of metadata the server's own entries are read, and device tokens for push
notifications are written on INBOX; nothing else is kept.
"""

from typing import Final

from chatmail.imap import commands
from chatmail.imap.response_codes import (
    METADATA_TOOMANY,
    NONEXISTENT,
    NOPERM,
    metadata_long_entries,
    metadata_max_size,
)
from chatmail.imap.responses import MetadataValues, QuotaRoots, QuotaUsage, StatusResponse, ok
from chatmail.policy.server_metadata import (
    DEVICE_TOKEN_ENTRY,
    MAX_DEVICE_TOKEN_BYTES,
    MAX_DEVICE_TOKENS,
    parse_device_token,
    shared_metadata,
)
from chatmail.services.imap_session_state import CommandRefused, SessionState

QUOTA_ROOT: Final = "account"
_KIB: Final = 1024


async def get_quota_root(state: SessionState, tag: str, command: commands.GetQuotaRoot) -> StatusResponse:
    """GETQUOTAROOT."""
    mailbox = await state.find_mailbox(command.mailbox)
    state.send(QuotaRoots(mailbox.name, (QUOTA_ROOT,)))
    state.send(await _usage(state))
    return ok(tag, "Getquotaroot completed.")


async def get_quota(state: SessionState, tag: str, command: commands.GetQuota) -> StatusResponse:
    """GETQUOTA."""
    state.require_account()
    if command.root != QUOTA_ROOT:
        raise CommandRefused("There is no such quota root", NONEXISTENT)
    state.send(await _usage(state))
    return ok(tag, "Getquota completed.")


async def set_quota(state: SessionState, tag: str, command: commands.SetQuota) -> StatusResponse:
    """SETQUOTA: the operator's business."""
    state.require_account()
    raise CommandRefused("Quotas are set by the operator", NOPERM)


async def _usage(state: SessionState) -> QuotaUsage:
    used = await state.context.store.accounts.usage_bytes(state.require_account())
    limit = state.context.config.mail.max_mailbox_size
    return QuotaUsage(QUOTA_ROOT, (("STORAGE", -(-used // _KIB), limit // _KIB),))


async def get_metadata(state: SessionState, tag: str, command: commands.GetMetadata) -> StatusResponse:
    """GETMETADATA: all that exists of what was asked for, in one response (RFC 5464 §4.2)."""
    values = await _entries(state, command.mailbox)
    chosen = {
        name: values[name] for name in values if any(_covers(command, wanted, name) for wanted in command.entries)
    }
    limit = command.max_size_bytes
    too_long = [len(value) for value in chosen.values() if limit is not None and len(value) > limit]
    entries = tuple((name, value) for name, value in chosen.items() if limit is None or len(value) <= limit)
    if entries:
        state.send(MetadataValues(command.mailbox, entries))
    return ok(tag, "Getmetadata completed.", metadata_long_entries(max(too_long)) if too_long else None)


def _covers(command: commands.GetMetadata, wanted: str, name: str) -> bool:
    """Whether an entry was asked for, by name or by DEPTH."""
    if name == wanted:
        return True
    rest = name.removeprefix(wanted.rstrip("/") + "/")
    if command.depth == 0 or rest == name:
        return False
    return command.depth is None or "/" not in rest


async def _entries(state: SessionState, mailbox_name: str) -> dict[str, bytes]:
    account_id = state.require_account()
    if not mailbox_name:
        shared = shared_metadata(state.context.config, state.context.clock())
        return {name: value.encode() for name, value in shared.items()}
    mailbox = await state.find_mailbox(mailbox_name)
    tokens = await state.context.store.accounts.device_tokens(account_id) if mailbox.name == "INBOX" else ()
    return {DEVICE_TOKEN_ENTRY: " ".join(tokens).encode()} if tokens else {}


async def set_metadata(state: SessionState, tag: str, command: commands.SetMetadata) -> StatusResponse:
    """SETMETADATA: adds device tokens (RFC 5464 §4.3). Nothing is stored unless all of it can be.

    A new token takes the place of the oldest where there are many: the phone that asks now is the one in use.
    """
    account_id = state.require_account()
    if command.mailbox != "INBOX" or any(name != DEVICE_TOKEN_ENTRY for name, _value in command.entries):
        raise CommandRefused("Only device tokens on INBOX can be set", NOPERM)
    tokens = [_checked_token(value) for _name, value in command.entries]
    if len(set(tokens)) > MAX_DEVICE_TOKENS:
        raise CommandRefused("There are too many device tokens", METADATA_TOOMANY)
    for token in tokens:
        await state.context.store.accounts.add_device_token(account_id, token, state.context.clock())
    return ok(tag, "Setmetadata completed.")


def _checked_token(value: bytes | None) -> str:
    if value is None:
        raise CommandRefused("Device tokens expire by themselves", NOPERM)
    if len(value) > MAX_DEVICE_TOKEN_BYTES:
        raise CommandRefused("The device token is too long", metadata_max_size(MAX_DEVICE_TOKEN_BYTES))
    token = parse_device_token(value)
    if token is None:
        raise CommandRefused("A device token is printable ASCII")
    return token
