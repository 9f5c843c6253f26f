"""Has the running server do a command, or, where none runs, does it on the store directly.

The lock on the data folder keeps both apart: what the server holds cannot be opened here.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from chatmail.config import Config
from chatmail.errors import OperatorError

_ON_THE_STORE = ("account", "registration", "expire", "queue")
"""What needs no more than the store; anything else is about the running server itself."""


def administer(config: Config, command: str, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 — JSON
    """Do one command of the table; progress goes to stderr. Raises `OperatorError`."""
    from chatmail.control_protocol import socket_path
    from chatmail.net.control_client import ServerNotRunningError, ask_server

    try:
        return ask_server(socket_path(config), command, arguments, _say)
    except ServerNotRunningError:
        if command.partition(" ")[0] not in _ON_THE_STORE:
            raise
        _become_owner_of(Path(config.data_dir))
        return asyncio.run(_do(config, command, arguments, _say))


def _say(text: str) -> None:
    click.echo(f"… {text}", err=True)


def _become_owner_of(data_dir: Path) -> None:
    """Root would leave files that the server cannot open: so go on as the user whose folder it is."""
    try:
        status = (data_dir / "chatmail.sqlite").stat()
    except FileNotFoundError:
        raise OperatorError(f"The server does not run, and there is no data in {data_dir} yet.") from None
    except PermissionError:
        raise OperatorError(f"The data folder {data_dir} may not be read by this user; use sudo.") from None
    if os.geteuid() == 0 and status.st_uid != 0:
        os.setgroups([])
        os.setgid(status.st_gid)
        os.setuid(status.st_uid)


async def _do(config: Config, command: str, arguments: Mapping[str, Any], report: Callable[[str], None]) -> Any:  # noqa: ANN401
    from datetime import UTC, datetime

    from chatmail.administration import Administration
    from chatmail.commands import queue_commands
    from chatmail.registration import RegistrationSwitch
    from chatmail.services.expiry import Expired, expire, no_pause
    from chatmail.supervisor import open_store

    store = await open_store(config)
    try:
        registration = RegistrationSwitch(config, store.settings, lambda: None)
        await registration.load()

        async def expire_now(report: Callable[[str], None]) -> Expired:
            return await expire(store, config, datetime.now(UTC), report, no_pause)

        commands = Administration(config, store, registration, expire_now).commands() | queue_commands(store)
        return await commands[command](arguments, report)
    finally:
        await store.close()
