"""LIST, LSUB, STATUS, NAMESPACE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. RFC 9051 §6.3.4-11.

Names are a hierarchy with `/` by convention only: a parent need not exist, and a mailbox with children can be deleted,
after which its name is still listed as their parent.
"""

from collections.abc import Sequence
from typing import Final

from chatmail.imap import commands
from chatmail.imap.commands import StatusItem
from chatmail.imap.list_match import DELIMITER, ListedMailbox, is_too_complex, list_entries, lsub_entries
from chatmail.imap.response_codes import ALREADYEXISTS, CANNOT, LIMIT, NONEXISTENT, OVERQUOTA, USEATTR, mailbox_id
from chatmail.imap.responses import Namespaces, StatusEntry, StatusResponse, ok
from chatmail.mail.changes import AccountId
from chatmail.services.imap_session_names import listed_mailboxes, mailbox_object_id, normal_name, tell_name
from chatmail.services.imap_session_state import CommandRefused, SessionState
from chatmail.storage.store import Mailbox

MAX_NAME_OCTETS: Final = 255
"""Of a whole mailbox name in UTF-8."""
MAX_NAME_LEVELS: Final = 20
_KIB: Final = 1024


# --- looking ----------------------------------------------------------------------------------------------------


async def list_(state: SessionState, tag: str, command: commands.List) -> StatusResponse:
    """LIST, with STATUS responses where asked for (RFC 5819)."""
    listed = await _listed_for(state, command)
    by_name: dict[str, Mailbox] = {}
    if command.status_items:
        by_name = {each.name: each for each in await state.context.store.mailboxes.list(state.require_account())}
    for entry in list_entries(command, listed):
        state.send(entry)
        mailbox = by_name.get(entry.name)
        if mailbox is not None:
            state.send(await _status_entry(state, mailbox, command.status_items))
    return ok(tag, "List completed")


async def lsub(state: SessionState, tag: str, command: commands.Lsub) -> StatusResponse:
    """LSUB."""
    for entry in lsub_entries(command, await _listed_for(state, command)):
        state.send(entry)
    return ok(tag, "Lsub completed")


async def _listed_for(state: SessionState, command: commands.List | commands.Lsub) -> Sequence[ListedMailbox]:
    account_id = state.require_account()
    if is_too_complex(command):
        raise CommandRefused("There are too many wildcards", LIMIT)
    return await listed_mailboxes(state, account_id)


async def namespace(state: SessionState, tag: str, command: commands.Namespace) -> StatusResponse:
    """NAMESPACE: one personal one."""
    state.require_account()
    state.send(Namespaces(personal=(("", DELIMITER),)))
    return ok(tag, "Namespace completed")


async def status(state: SessionState, tag: str, command: commands.Status) -> StatusResponse:
    """STATUS."""
    mailbox = await state.find_mailbox(command.mailbox)
    state.condstore = state.condstore or StatusItem.HIGHESTMODSEQ in command.items
    state.send(await _status_entry(state, mailbox, command.items))
    return ok(tag, "Status completed")


async def _status_entry(state: SessionState, mailbox: Mailbox, items: tuple[StatusItem, ...]) -> StatusEntry:
    counts = await state.context.store.mailboxes.status(mailbox.mailbox_id)
    values: dict[StatusItem, int | str | None] = {
        StatusItem.MESSAGES: counts.messages,
        StatusItem.UIDNEXT: counts.uid_next,
        StatusItem.UIDVALIDITY: counts.uid_validity,
        StatusItem.UNSEEN: counts.unseen,
        StatusItem.DELETED: counts.deleted,
        StatusItem.SIZE: counts.size_bytes,
        StatusItem.RECENT: 0,
        StatusItem.HIGHESTMODSEQ: counts.highest_modseq,
        StatusItem.APPENDLIMIT: state.context.config.mail.max_message_size,
        StatusItem.MAILBOXID: mailbox_object_id(mailbox),
        StatusItem.DELETED_STORAGE: -(-counts.deleted_bytes // _KIB),
    }
    return StatusEntry(mailbox.name, tuple((item, values[item]) for item in items))


# --- changing ---------------------------------------------------------------------------------------------------


async def create(state: SessionState, tag: str, command: commands.Create) -> StatusResponse:
    """CREATE; a `/` at the end only announces children (RFC 9051 §6.3.4)."""
    account_id = state.require_account()
    if command.special_uses:
        raise CommandRefused("Special uses are given by the server", USEATTR)
    name = _checked_name(command.mailbox.removesuffix(DELIMITER))
    mailbox = await state.context.store.mailboxes.create(account_id, name)
    if mailbox is None:
        raise await _creation_refusal(state, account_id, name)
    if state.rev2 and name != command.mailbox.removesuffix(DELIMITER):
        await tell_name(state, name, command.mailbox)
    return ok(tag, "Create completed", mailbox_id(mailbox_object_id(mailbox)))


async def _creation_refusal(state: SessionState, account_id: AccountId, name: str) -> CommandRefused:
    if await state.context.store.mailboxes.find(account_id, name) is None:
        return CommandRefused("There are too many mailboxes", OVERQUOTA)
    return CommandRefused("There is such a mailbox already", ALREADYEXISTS)


def _checked_name(name: str) -> str:
    """A name that may be given, in its normal form. Raises `CommandRefused`."""
    name = normal_name(name)
    levels = name.split(DELIMITER)
    if (
        not all(levels)
        or len(levels) > MAX_NAME_LEVELS
        or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_OCTETS
        or not name.isprintable()
        or not {"*", "%"}.isdisjoint(name)
    ):
        raise CommandRefused("A mailbox cannot have this name", CANNOT)
    return name


async def delete(state: SessionState, tag: str, command: commands.Delete) -> StatusResponse:
    """DELETE; its other sessions are told, this one just does not have it selected any more."""
    state.require_account()
    if command.mailbox == "INBOX":
        raise CommandRefused("INBOX cannot be deleted", CANNOT)
    mailbox = await state.find_mailbox(command.mailbox)
    if state.selected is not None and state.selected.mailbox.mailbox_id == mailbox.mailbox_id:
        state.deselect()
    await state.context.store.mailboxes.remove(mailbox.mailbox_id)
    return ok(tag, "Delete completed")


async def rename(state: SessionState, tag: str, command: commands.Rename) -> StatusResponse:
    """RENAME with all children; of INBOX only the messages move (RFC 9051 §6.3.6)."""
    account_id = state.require_account()
    target = _checked_name(command.target.removesuffix(DELIMITER))
    if (target + DELIMITER).startswith(command.source + DELIMITER):
        raise CommandRefused("A mailbox cannot become its own child", CANNOT)
    if command.source == "INBOX":
        await _rename_inbox(state, account_id, target)
    else:
        await _rename_tree(state, account_id, command.source, target)
    if state.rev2:
        await tell_name(state, target, command.source)
    return ok(tag, "Rename completed")


async def _rename_inbox(state: SessionState, account_id: AccountId, target: str) -> None:
    mailboxes = state.context.store.mailboxes
    inbox = await state.find_mailbox("INBOX")
    created = await mailboxes.create(account_id, target)
    if created is None:
        raise await _creation_refusal(state, account_id, target)
    snapshot = await mailboxes.snapshot(inbox.mailbox_id)
    uids = [record.uid for record in snapshot.messages] if snapshot is not None else []
    await mailboxes.copy(inbox.mailbox_id, uids, created.mailbox_id, move=True, origin=state)


async def _rename_tree(state: SessionState, account_id: AccountId, source: str, target: str) -> None:
    """All names at once, or none."""
    mailboxes = state.context.store.mailboxes
    listed = await mailboxes.list(account_id)
    if source not in {each.name for each in listed}:
        source = normal_name(source)
    prefix = source + DELIMITER
    renamed = [each for each in listed if each.name == source or each.name.startswith(prefix)]
    if not renamed:
        raise CommandRefused("There is no such mailbox", NONEXISTENT)
    new_names = {each.mailbox_id: _checked_name(target + each.name[len(source) :]) for each in renamed}
    if not await mailboxes.rename(account_id, new_names):
        raise CommandRefused("There is such a mailbox already", ALREADYEXISTS)


async def subscribe(state: SessionState, tag: str, command: commands.Subscribe) -> StatusResponse:
    """SUBSCRIBE."""
    mailbox = await state.find_mailbox(command.mailbox)
    await state.context.store.mailboxes.set_subscribed(mailbox.mailbox_id, True)
    return ok(tag, "Subscribe completed")


async def unsubscribe(state: SessionState, tag: str, command: commands.Unsubscribe) -> StatusResponse:
    """UNSUBSCRIBE, also from a name whose mailbox is gone."""
    mailboxes, account_id = state.context.store.mailboxes, state.require_account()
    if not await mailboxes.forget_subscription(account_id, normal_name(command.mailbox)):
        mailbox = await state.find_mailbox(command.mailbox)
        await mailboxes.set_subscribed(mailbox.mailbox_id, False)
    return ok(tag, "Unsubscribe completed")
