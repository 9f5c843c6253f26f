"""The certificate, obtained while an operator watches: through the running server, or before there is one.

Before, listeners on 443 and 80 are bound here for as long as the order takes, and answer the authority's challenges and
nothing else of use. The key and the certificate lie where the server will look for them.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from chatmail.config import Config
from chatmail.control_protocol import socket_path
from chatmail.errors import OperatorError
from chatmail.installation.record import make_folder
from chatmail.listeners import bind_listeners
from chatmail.log import silenced
from chatmail.net.certificate_files import TlsContexts
from chatmail.net.challenges import ChallengeBoard
from chatmail.net.control_client import ServerNotRunningError, ask_server
from chatmail.net.resolver import Resolver
from chatmail.services.certificates import CertificateFailureError, CertificateService, CertificateStatus
from chatmail.services.http import HttpService
from chatmail.services.multiplexer import Multiplexer, Route
from chatmail.supervisor import certificate_files


@dataclass(frozen=True, slots=True)
class ObtainedCertificate:
    """What is there now; `not_after` is aware UTC."""

    mode: str
    names: tuple[str, ...]
    not_after: datetime | None
    trusted: bool


class CertificateRefusedError(OperatorError):
    """No certificate was obtained; `step` is how far the order came, `str()` says why and what to do."""

    def __init__(self, step: str, sentence: str) -> None:
        super().__init__(sentence)
        self.step = step


def obtain_certificate(config: Config, on_step: Callable[[str], None]) -> ObtainedCertificate:
    """Have a certificate for this configuration, whatever its mode; takes seconds up to minutes.

    Modes `self-signed` and `files` make it, or check the files. Raises `CertificateRefusedError`, or `OperatorError`
    where the ports are taken or the files cannot be used.
    """
    steps: list[str] = []

    def step(text: str) -> None:
        steps.append(text)
        on_step(text)

    make_folder(Path(config.data_dir), 0o700)
    try:
        if config.tls.mode != "acme":
            step("make or read the certificate")
            return asyncio.run(_without_authority(config))
        return _through_server(config, step)
    except ServerNotRunningError:
        try:
            # What goes wrong is raised, and nobody reads the log of a server that does not run.
            with silenced():
                return asyncio.run(_alone(config, step))
        except CertificateFailureError as error:
            raise CertificateRefusedError(steps[-1] if steps else "", str(error)) from error
    finally:
        _give_back(Path(config.data_dir))


def _through_server(config: Config, on_step: Callable[[str], None]) -> ObtainedCertificate:
    steps = [""]

    def step(text: str) -> None:
        steps.append(text)
        on_step(text)

    try:
        found: dict[str, Any] = ask_server(socket_path(config), "cert renew", {}, step)
    except ServerNotRunningError:
        raise
    except OperatorError as error:
        raise CertificateRefusedError(steps[-1], str(error)) from error
    return _told(found)


def certificate_in_use(config: Config) -> ObtainedCertificate:
    """What the running server presents, or would present if it ran now. Raises `OperatorError`."""
    try:
        return _told(ask_server(socket_path(config), "cert status"))
    except ServerNotRunningError:
        try:
            return asyncio.run(_without_authority(config))
        finally:
            _give_back(Path(config.data_dir))


def _told(found: Mapping[str, Any]) -> ObtainedCertificate:
    until = found["not_after"]
    not_after = datetime.fromisoformat(until) if until else None
    return ObtainedCertificate(found["mode"], tuple(found["names"]), not_after, found["trusted"])


async def _without_authority(config: Config) -> ObtainedCertificate:
    service = _service(config, TlsContexts(certificate_files(config, datetime.now(UTC))), ChallengeBoard())
    return _obtained(service.status())


async def _alone(config: Config, on_step: Callable[[str], None]) -> ObtainedCertificate:
    contexts, board = TlsContexts(certificate_files(config, datetime.now(UTC))), ChallengeBoard()
    service = _service(config, contexts, board)
    http = HttpService(
        config,
        certificate_is_trusted=lambda: False,
        key_authorization=board.key_authorization,
        registration=lambda: "closed",
    )
    route = Route(lambda: contexts.http, http.tls_protocol)
    multiplexer = Multiplexer({"http/1.1": route}, https_url="", challenge=board.tls_context)
    listeners = bind_listeners(config, ("https", "http"))
    stop = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(http.run(listeners.sockets("http"), stop))
            group.create_task(multiplexer.run(listeners.sockets("https"), stop))
            failure = await _renew(service, on_step)
            stop.set()
    finally:
        listeners.close()
    if failure is not None:
        raise failure
    return _obtained(service.status())


async def _renew(service: CertificateService, on_step: Callable[[str], None]) -> CertificateFailureError | None:
    """A failure as a value: raised inside the task group it would come out wrapped."""
    try:
        await service.renew(lambda step: on_step(str(step)))
    except CertificateFailureError as error:
        return error
    return None


def _service(config: Config, contexts: TlsContexts, board: ChallengeBoard) -> CertificateService:
    return CertificateService(config, contexts, board, lambda: Resolver(config.dns.resolvers), SystemRandom())


def _obtained(status: CertificateStatus) -> ObtainedCertificate:
    return ObtainedCertificate(status.mode, status.names, status.not_after, status.trusted)


def _give_back(folder: Path) -> None:
    """What root made in the data folder belongs to the folder's owner: later that is the server's user."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in folder.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
