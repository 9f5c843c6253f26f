"""Assembles the server from its configuration, runs it as one task group, and ends it in order.

The order of a start: listeners are bound (so that a taken port costs nothing), the store is opened (it locks the data
folder), the certificate is read or made, the services begin, systemd hears READY. The end, on SIGTERM, SIGINT or
SIGHUP: services stop accepting and take leave of their peers within `SHUTDOWN_SECONDS`, then the store closes. A second
signal cuts the leave-taking short.
"""

import asyncio
import gc
import os
import platform
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from random import SystemRandom
from time import monotonic
from typing import TYPE_CHECKING, Final

import uvloop

from chatmail import __version__
from chatmail.administration import Administration
from chatmail.commands import certificate_commands, log_commands, push_commands, queue_commands
from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.control_protocol import socket_path
from chatmail.errors import OperatorError, StorageError, StorageFullError
from chatmail.invite_link import web_url
from chatmail.listeners import Listeners, bind_listeners
from chatmail.log import Log
from chatmail.login import Login
from chatmail.meters import Meters
from chatmail.net.certificate_files import CertificateFiles, TlsContexts, expires_at, server_context
from chatmail.net.challenges import ChallengeBoard
from chatmail.net.courier import Courier
from chatmail.net.dkim import DkimVerifier, KeyCache
from chatmail.net.dkim_key import load_or_make_key
from chatmail.net.dkim_signing import DkimSigner
from chatmail.net.mail_routes import MailRoutes
from chatmail.net.self_signed import self_signed_certificate
from chatmail.observation import Observation, Observed
from chatmail.policy.refusals import TOO_MANY_CONNECTIONS
from chatmail.reception import Reception
from chatmail.registration import RegistrationSwitch
from chatmail.routing import Router
from chatmail.services.certificates import CertificateService, acme_files
from chatmail.services.control import ControlService
from chatmail.services.delivery import MAX_ATTEMPTS, DeliveryService
from chatmail.services.expiry import ExpiryService
from chatmail.services.http import MAX_CONNECTIONS as MAX_HTTP_CONNECTIONS
from chatmail.services.http import HttpService
from chatmail.services.imap import ImapService
from chatmail.services.multiplexer import ANY_ALPN, Multiplexer, Route
from chatmail.services.mx import MxService
from chatmail.services.mxdeliv import PATH as MXDELIV_PATH
from chatmail.services.mxdeliv import MxDeliv
from chatmail.services.notifier import NotifierService
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.services.submission import SubmissionService
from chatmail.storage.store import Store
from chatmail.system_load import new_account_guard
from chatmail.systemd import ServiceManager
from chatmail.turns import Turns

if TYPE_CHECKING:
    from chatmail.net.resolver import Resolver

SERVED_PROTOCOLS: Final = ("smtp", "submission", "submissions", "imap", "imaps", "https", "http")
"""Listeners that have a service behind them; the others are not bound."""
SHUTDOWN_SECONDS: Final = 10.0
"""How long services may take to say goodbye; systemd waits 90 by default."""
FILES_BESIDE_CONNECTIONS: Final = 512
"""Open files for the database, bodies in transit, the log and the rest."""
SWITCH_SECONDS: Final = 0.0005
"""How long the writer and other threads wait for the interpreter while the event loop is busy; Python's own 5 ms would
be the better part of what a message takes then."""
_END_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = Log("supervisor")


def run_server(config: Config, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal ends it. `on_ready` is called once everything serves.

    Raises `OperatorError` in one sentence if it cannot start or cannot go on.
    """
    os.umask(0o077)
    _raise_open_files_limit(config)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        uvloop.run(Supervisor(config, on_ready).run())
    except BaseExceptionGroup as group:
        for error in _leaves(group):
            _log.bug(error)
        raise OperatorError("The server stopped because of a bug; please report the lines above.") from None


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _raise_open_files_limit(config: Config) -> None:
    """As high as this process may; each connection is an open file."""
    limits = config.limits
    wanted = (
        limits.max_imap_connections
        + limits.max_smtp_connections
        + MAX_HTTP_CONNECTIONS
        + MAX_ATTEMPTS
        + FILES_BESIDE_CONNECTIONS
    )
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < wanted:
        _log.warning("open_files_limit_low", limit=hard, wanted=wanted, remedy="raise LimitNOFILE of the unit")


class Supervisor:
    """One run of the server."""

    def __init__(self, config: Config, on_ready: Callable[[], None]) -> None:
        """Nothing is touched before `run`."""
        self._config = config
        self._on_ready = on_ready
        self._manager = ServiceManager(os.environ)
        self._stop = asyncio.Event()
        self._services: list[asyncio.Task[None]] = []
        self._meters = Meters()
        self._started_at = monotonic()

    async def run(self) -> None:
        """Start, serve until a signal comes, and end."""
        loop = asyncio.get_running_loop()
        for number in _END_SIGNALS:
            loop.add_signal_handler(number, self._on_signal)
        async with AsyncExitStack() as at_the_end:
            listeners = bind_listeners(self._config, SERVED_PROTOCOLS)
            at_the_end.callback(listeners.close)
            store = await open_store(self._config)
            at_the_end.push_async_callback(store.close)
            guard = new_account_guard(self._config)
            registration = RegistrationSwitch(self._config, store.settings, guard)
            await registration.load()
            login = Login(store.accounts, self._config, guard, registration.mode, self._meters)
            at_the_end.callback(login.close)
            await self._serve(listeners, store, login, registration)
        _log.info("stopped")

    def _resolver(self) -> "Resolver":
        """Made when somebody asks: a server without names to look up is smaller without dnspython."""
        from chatmail.net.resolver import Resolver

        return Resolver(self._config.dns.resolvers)

    async def _load_resolver(self) -> None:
        """Where names will be looked up soon, in a thread: the first look-up would hold everybody up by that."""
        if not is_ip_address(self._config.mail_domain):
            await asyncio.to_thread(import_module, "chatmail.net.resolver")
        await self._stop.wait()

    async def _serve(self, listeners: Listeners, store: Store, login: Login, registration: RegistrationSwitch) -> None:
        meters, turns = self._meters, Turns()
        files = certificate_files(self._config, datetime.now(UTC))
        contexts, board = TlsContexts(files), ChallengeBoard()
        resolver = cache(self._resolver)
        certificates = CertificateService(self._config, contexts, board, resolver, SystemRandom())
        reception = Reception(self._config, store, DkimVerifier(KeyCache(resolver)), meters)
        http = HttpService(
            self._config,
            certificate_is_trusted=lambda: certificates.is_trusted,
            key_authorization=board.key_authorization,
            registration=registration.state,
            redeem=lambda token, made: login.reserve(store.invitations, token, made, datetime.now(UTC)),
            handlers={MXDELIV_PATH: MxDeliv(self._config, reception).answer},
            turns=turns,
        )
        router = Router(store, self._config.address_domain, meters)
        connections = SmtpConnections(
            self._config.limits.max_smtp_connections, lambda: meters.refuse(TOO_MANY_CONNECTIONS), turns
        )
        submission = SubmissionService(
            self._config, store=store, login=login, router=router, connections=connections, meters=meters
        )
        delivery = self._delivery(store, router, resolver)
        mx = MxService(self._config, reception, connections)
        imap = ImapService(self._config, store=store, login=login, meters=meters, turns=turns)
        expiry = ExpiryService(self._config, store)
        notifier = self._notifier(store)
        observation = Observation(
            self._config,
            store,
            meters,
            Observed(certificates, http, imap, connections, expiry, notifier, registration),
            shortage=new_account_guard(self._config),
            resolver=resolver,
        )
        commands = {
            **certificate_commands(certificates),
            **queue_commands(store),
            **Administration(self._config, store, registration, expiry.expire_now).commands(),
            **push_commands(notifier, store),
            **log_commands(),
            **observation.commands(),
        }
        multiplexer = Multiplexer(
            {
                "http/1.1": Route(lambda: contexts.http, http.tls_protocol),
                "imap": Route(lambda: contexts.imap, imap.tls_protocol),
                "smtp": Route(lambda: contexts.smtp, submission.tls_protocol),
            },
            https_url=web_url(self._config),
            challenge=board.tls_context,
            turns=turns,
        )

        def port_with(protocol: Callable[[], asyncio.Protocol]) -> Multiplexer:
            return Multiplexer({ANY_ALPN: Route(lambda: contexts.mail, protocol)}, turns=turns)

        control = ControlService(socket_path(self._config), commands)
        sockets, stop = listeners.sockets, self._stop
        await self._until_stopped(
            http.run(sockets("http"), stop),
            mx.run(sockets("smtp"), contexts.mail, stop),
            submission.run(sockets("submission"), contexts.mail, stop),
            imap.run(sockets("imap"), contexts.mail, stop),
            port_with(submission.tls_protocol).run(sockets("submissions"), stop),
            port_with(imap.tls_protocol).run(sockets("imaps"), stop),
            multiplexer.run(sockets("https"), stop),
            certificates.run(stop),
            delivery.run(stop),
            expiry.run(stop),
            *([notifier.run(stop)] if notifier is not None else []),
            control.run(stop),
            *observation.services(stop),
            self._keep_watchdog_quiet(),
            self._load_resolver(),
        )

    async def _until_stopped(self, *services: Coroutine[None, None, None]) -> None:
        """Run them side by side until a signal comes, and end them in order."""
        async with asyncio.TaskGroup() as group:
            self._services = [group.create_task(service) for service in services]
            self._report_ready()
            await self._stop.wait()
            self._manager.stopping()
            _log.info("stopping")
            asyncio.get_running_loop().call_later(SHUTDOWN_SECONDS, self._cut_short)

    def _notifier(self, store: Store) -> NotifierService | None:
        if not _notifies(self._config):
            return None
        return NotifierService(self._config.push.notifier_url, store.push, meters=self._meters)

    def _delivery(self, store: Store, router: Router, resolver: Callable[[], "Resolver"]) -> DeliveryService:
        chance = SystemRandom().random
        return DeliveryService(
            self._config.federation.queue_lifetime,
            store=store,
            router=router,
            courier=Courier(self._config, MailRoutes(self._config, resolver, monotonic, chance)),
            signer=dkim_signer(self._config),
            chance=chance,
            meters=self._meters,
        )

    def _report_ready(self) -> None:
        # What was made so far lives as long as the process: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        self._manager.ready()
        _log.info(
            "started",
            version=__version__,
            python=platform.python_version(),
            start_seconds=round(monotonic() - self._started_at, 3),
        )
        self._on_ready()

    def _on_signal(self) -> None:
        if self._stop.is_set():
            self._cut_short()
        self._stop.set()

    def _cut_short(self) -> None:
        for service in self._services:
            service.cancel()

    async def _keep_watchdog_quiet(self) -> None:
        """Twice per period, from the event loop: a loop that hangs is restarted by systemd."""
        if self._manager.watchdog_seconds is None:
            return
        while not self._stop.is_set():
            self._manager.alive()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._manager.watchdog_seconds / 2)


def _notifies(config: Config) -> bool:
    return bool(config.push.notifier_url)


async def open_store(config: Config) -> Store:
    """Open the data folder. Raises `OperatorError` if it cannot be used."""
    try:
        return await Store.open(
            Path(config.data_dir),
            max_mailbox_size_bytes=config.mail.max_mailbox_size,
            queues_push=_notifies(config),
        )
    except StorageFullError:
        raise OperatorError(f"The disk of {config.data_dir} is full; make some space and start again.") from None
    except StorageError as error:
        raise OperatorError(
            f"The data in {config.data_dir} cannot be used ({error}); check the disk, or restore a backup."
        ) from error


def dkim_signer(config: Config) -> DkimSigner | None:
    """Who signs what leaves; None for a server that is known by its IP address, which has no DNS to put a key into."""
    if is_ip_address(config.mail_domain):
        return None
    selector = config.federation.dkim_selector
    return DkimSigner(load_or_make_key(Path(config.data_dir), selector), config.mail_domain, selector)


def certificate_files(config: Config, now: datetime) -> CertificateFiles:
    """The certificate this configuration asks for. Raises `OperatorError` if there is none."""
    if config.tls.mode == "files":
        files = CertificateFiles(Path(config.tls.cert_file), Path(config.tls.key_file))
        server_context(files)
        if expires_at(files.cert_file) <= now:
            _log.error("certificate_expired", file=files.cert_file, remedy="put a valid one in its place and restart")
        return files
    folder = Path(config.data_dir) / "tls"
    self_signed = self_signed_certificate(config.mail_domain, folder, now)
    return acme_files(folder) if config.tls.mode == "acme" and _is_usable(acme_files(folder)) else self_signed


def _is_usable(files: CertificateFiles) -> bool:
    """Whether a certificate obtained earlier is there, whole, and fits its key; it is served even when expired."""
    try:
        server_context(files)
    except OperatorError:
        return False
    return True
