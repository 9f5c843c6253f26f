"""CAPABILITY, ID, LOGIN, AUTHENTICATE PLAIN, ENABLE. RFC 9051 §6.1.1, §6.2, §6.3.1; RFC 2971, RFC 4616.

A wrong password is answered after a moment and a few of them end the connection; the first login makes the account, so
guessing only concerns names that exist. Every refusal names "authentication", which is what clients look for.
"""

import asyncio
from typing import Final

from chatmail.imap import commands
from chatmail.imap.response_codes import AUTHENTICATIONFAILED, PRIVACYREQUIRED, UNAVAILABLE, capability
from chatmail.imap.responses import CapabilityList, Condition, EnabledList, IdFields, StatusResponse, bye, ok
from chatmail.login import LoggedIn
from chatmail.services.imap_session_state import CommandRefused, SessionEnd, SessionState, log

MAX_FAILED_LOGINS: Final = 5
"""On one connection."""

_ALWAYS: Final = ("IMAP4rev1", "IMAP4rev2", "ID", "ENABLE", "IDLE")
_CHATMAIL: Final = ("XCHATMAIL", "XDELTAPUSH")
_AFTER_LOGIN: Final = (
    "SASL-IR",  # RFC 4959
    "LITERAL+",  # RFC 7888
    "NAMESPACE",  # RFC 2342
    "UNSELECT",  # RFC 3691
    "UIDPLUS",  # RFC 4315
    "MULTIAPPEND",  # RFC 3502
    "MOVE",  # RFC 6851
    "CHILDREN",  # RFC 3348
    "SPECIAL-USE",  # RFC 6154
    "LIST-EXTENDED",  # RFC 5258
    "LIST-STATUS",  # RFC 5819
    "ESEARCH",  # RFC 4731
    "SEARCHRES",  # RFC 5182
    "WITHIN",  # RFC 5032
    "CONDSTORE",  # RFC 7162
    "QRESYNC",  # RFC 7162
    "STATUS=SIZE",  # RFC 8438
    "QUOTA",  # RFC 9208
    "QUOTA=RES-STORAGE",
    "METADATA",  # RFC 5464
    "OBJECTID",  # RFC 8474
    "SAVEDATE",  # RFC 8514
    "BINARY",  # RFC 3516
)
_ENABLED: Final = {name.upper(): name for name in ("CONDSTORE", "QRESYNC", "IMAP4rev2")}


def capabilities(state: SessionState) -> tuple[str, ...]:
    """What the client may use now. Strangers' literals are limited to what LITERAL- allows (RFC 7888 §5)."""
    config = state.context.config
    if state.account is not None:
        limit = f"APPENDLIMIT={config.mail.max_message_size}"  # RFC 7889
        compress = ("COMPRESS=DEFLATE",) if config.imap.imap_compress and not state.is_compressed else ()  # RFC 4978
        return (*_ALWAYS, *_AFTER_LOGIN, limit, *compress, *_CHATMAIL)
    how = ("SASL-IR", "AUTH=PLAIN") if state.is_encrypted else ("STARTTLS", "LOGINDISABLED")
    return (*_ALWAYS, "LITERAL-", *how, *(() if config.imap.stealth else _CHATMAIL))


def product_name(state: SessionState) -> str:
    """What this server calls itself; empty for strangers where it is to stay unknown."""
    return "" if state.account is None and state.context.config.imap.stealth else "chatmail"


async def capability_(state: SessionState, tag: str, command: commands.Capability) -> StatusResponse:
    """CAPABILITY."""
    state.send(CapabilityList(capabilities(state)))
    return ok(tag, "Capability completed")


async def id_(state: SessionState, tag: str, command: commands.Id) -> StatusResponse:
    """ID: says the product and no version; what the client says is not kept."""
    name = product_name(state)
    state.send(IdFields((("name", name),) if name else ()))
    return ok(tag, "Id completed")


async def login(state: SessionState, tag: str, command: commands.Login) -> StatusResponse:
    """LOGIN."""
    return await _log_in(state, tag, command.user, command.password)


async def authenticate_plain(state: SessionState, tag: str, message: bytes) -> StatusResponse:
    """`message = [authzid] UTF8NUL authcid UTF8NUL passwd` of SASL PLAIN. RFC 4616 §2."""
    try:
        authzid, user, password = message.decode().split("\0")
    except ValueError:
        raise CommandRefused("This is no PLAIN authentication", condition=Condition.BAD) from None
    if authzid and authzid != user:
        raise CommandRefused("Authentication failed: nobody can act for somebody else", AUTHENTICATIONFAILED)
    return await _log_in(state, tag, user, password)


def check_may_authenticate(state: SessionState) -> None:
    """Raises `CommandRefused` before a password could go over the network in clear."""
    if not state.is_encrypted:
        raise CommandRefused("Authentication needs TLS first", PRIVACYREQUIRED)


async def _log_in(state: SessionState, tag: str, user: str, password: str) -> StatusResponse:
    check_may_authenticate(state)
    result = await state.context.login.check(user, password, state.context.clock(), state.peer)
    if isinstance(result, LoggedIn):
        state.account = result.account
        if result.is_new:
            log.info("account_created", connection=state.connection_id)
        log.debug("logged_in", connection=state.connection_id, account=result.account.address)
        return ok(tag, "Logged in", capability(capabilities(state)))
    log.info("login_refused", connection=state.connection_id, reason=result.reason.value)
    if result.is_guess:
        await asyncio.sleep(state.context.wrong_login_seconds)
        state.failed_logins += 1
    if state.failed_logins >= MAX_FAILED_LOGINS:
        raise SessionEnd(bye("Authentication failed too often", AUTHENTICATIONFAILED))
    if result.is_temporary:
        raise CommandRefused("Authentication is not possible now, please try again later", UNAVAILABLE)
    raise CommandRefused("Authentication failed: wrong address or password", AUTHENTICATIONFAILED)


async def enable(state: SessionState, tag: str, command: commands.Enable) -> StatusResponse:
    """ENABLE: CONDSTORE, QRESYNC (RFC 7162), IMAP4rev2; anything else is passed over (RFC 5161 §3.1)."""
    state.require_account()
    names = tuple(_ENABLED[name] for name in dict.fromkeys(command.capabilities) if name in _ENABLED)
    state.rev2 = state.rev2 or "IMAP4rev2" in names
    state.qresync = state.qresync or "QRESYNC" in names
    state.condstore = state.condstore or state.qresync or "CONDSTORE" in names
    state.send(EnabledList(names))
    return ok(tag, "Enabled")
