"""Gets the certificate, keeps it, and gives it to the listeners; never drops a connection for it.

Modes: `acme` obtains and renews; `files` watches two files and takes them when they change; `self-signed` has nothing
to do. Whatever fails, the last good certificate stays in use, what went wrong is remembered over restarts and shown by
`cert status`, and the next attempt waits as `chatmail.policy.renewal` says. The private key stays the same across
renewals, because clients remember it.

On disk, beside the key: `acme.pem` (the chain), `renewal.json` (the state), `acme-account.json`; all mode 600.
"""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509

from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.errors import ChatmailError, OperatorError
from chatmail.log import Log
from chatmail.net.certificate_files import CertificateFiles, TlsContexts
from chatmail.net.challenges import ChallengeBoard
from chatmail.net.dns_answers import DnsFailureError, NoSuchDomainError
from chatmail.policy.renewal import (
    MIN_BETWEEN_CERTIFICATES,
    RenewalState,
    after_failure,
    after_success,
    due_at,
)
from chatmail.storage.atomic import write_durably

if TYPE_CHECKING:
    from chatmail.net.acme import AcmeStep, ChallengeType
    from chatmail.net.resolver import Resolver

LOOK_SECONDS: Final = 10.0
"""How often watched files are looked at, and whether a renewal is due."""
RENAME_CHECK_SECONDS: Final = 3600.0
"""How often it is checked whether a further name (`www.`, `mta-sts.`) leads here by now."""
MIN_FREE_BYTES: Final = 1024 * 1024
"""Without this much space on the disk no certificate is ordered: it could not be kept."""
MAX_CLOCK_DIFFERENCE: Final = timedelta(minutes=10)
"""Beyond this the operator is told that the clock is wrong: certificates begin and end by it."""
ADVICE_SECONDS: Final = 6 * 3600
"""How soon to ask for renewal information again where the authority did not answer."""

_TIMES: Final = ("last_attempt_at", "next_attempt_at", "asked_to_wait_until", "advised_at", "ask_advice_at")

_log = Log("certificates")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """How the certificate stands, for people and `--json` (times aware UTC, None if unknown)."""

    mode: str
    names: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    trusted: bool
    """Whether a certificate authority vouches for it, as far as this server knows."""
    renewal_due_at: datetime | None
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    failures: int
    last_error: str
    clock: str = ""
    """One sentence if this machine's clock differs from the authority's, as far as it was asked."""


class CertificateFailureError(ChatmailError):
    """No new certificate was obtained; `str()` is one sentence."""


class CertificateService:
    """The certificate loop."""

    def __init__(
        self,
        config: Config,
        contexts: TlsContexts,
        board: ChallengeBoard,
        resolver: "Callable[[], Resolver]",
        rng: Random,
        *,
        look_seconds: float = LOOK_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`contexts` are given each new certificate; `board` is what the listeners show during a challenge."""
        self._config = config
        self._contexts = contexts
        self._board = board
        self._resolver = resolver
        self._rng = rng
        self._look_seconds = look_seconds
        self._now = now
        self._folder = Path(config.data_dir) / "tls"
        self._state = _read_state(self._folder / "renewal.json")
        self._renewing = asyncio.Lock()
        self._seen = _fingerprint(contexts.files)
        self._names_checked_at: datetime | None = None
        self._clock = ""

    @property
    def is_trusted(self) -> bool:
        """Whether clients will accept the certificate without being told to."""
        return self._config.tls.mode == "files" or self._contexts.files == acme_files(self._folder)

    def status(self) -> CertificateStatus:
        """How it stands now."""
        certificate = _read_certificate(self._contexts.files.cert_file)
        state, due = self._state, None
        if certificate is not None and self._config.tls.mode == "acme":
            due = self._due_at(certificate)
        return CertificateStatus(
            mode=self._config.tls.mode,
            names=_names_in(certificate),
            not_before=certificate.not_valid_before_utc if certificate else None,
            not_after=certificate.not_valid_after_utc if certificate else None,
            trusted=self.is_trusted,
            renewal_due_at=due,
            last_attempt_at=state.last_attempt_at,
            next_attempt_at=state.next_attempt_at,
            failures=state.failures,
            last_error=state.last_error,
            clock=self._clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Look after the certificate until `stop`."""
        look = {"acme": self._renew_if_due, "files": self._reload_if_changed}.get(self._config.tls.mode)
        while look is not None and not stop.is_set():
            await look()
            try:
                await asyncio.wait_for(stop.wait(), self._look_seconds)
            except TimeoutError:
                continue
        await stop.wait()

    # --- files ------------------------------------------------------------------------------------------------------

    async def _reload_if_changed(self) -> None:
        fingerprint = _fingerprint(self._contexts.files)
        if fingerprint == self._seen:
            return
        self._seen = fingerprint
        try:
            self._contexts.reload(self._contexts.files)
        except OperatorError as error:
            self._state = replace(self._state, last_error=str(error), last_attempt_at=self._now())
            _log.error("certificate_not_taken", why=str(error), instead="the previous one stays in use")
            return
        self._state = RenewalState(last_attempt_at=self._now())
        _log.info("certificate_reloaded", expires=self._expiry())

    # --- ACME -------------------------------------------------------------------------------------------------------

    async def _renew_if_due(self) -> None:
        now = self._now()
        if self._state.next_attempt_at is not None and now < self._state.next_attempt_at:
            return
        if await self._is_due(now):
            try:
                await self.renew()
            except CertificateFailureError:
                return

    async def _is_due(self, now: datetime) -> bool:
        certificate = _read_certificate(acme_files(self._folder).cert_file)
        if certificate is None:
            return True
        await self._ask_advice(certificate, now)
        return now >= self._due_at(certificate) or await self._has_new_names(certificate, now)

    def _due_at(self, certificate: x509.Certificate) -> datetime:
        return due_at(certificate.not_valid_before_utc, certificate.not_valid_after_utc, self._state.advised_at)

    async def _ask_advice(self, certificate: x509.Certificate, now: datetime) -> None:
        """Ask the authority when to renew, as often as it wants to be asked."""
        if self._state.ask_advice_at is not None and now < self._state.ask_advice_at:
            return
        from chatmail.net.acme import AcmeError, renewal_advice

        tls, pem = self._config.tls, acme_files(self._folder).cert_file.read_bytes()
        ca_file = Path(tls.acme_ca_file) if tls.acme_ca_file else None
        try:
            advice = await _in_thread(lambda: renewal_advice(tls.acme_directory, pem, ca_file))
            self._keep(replace(self._state, advised_at=advice.renew_at, ask_advice_at=advice.ask_again_at))
        except AcmeError:
            self._keep(replace(self._state, ask_advice_at=now + timedelta(seconds=ADVICE_SECONDS)))

    async def _has_new_names(self, certificate: x509.Certificate, now: datetime) -> bool:
        if self._names_checked_at is not None and (now - self._names_checked_at).total_seconds() < RENAME_CHECK_SECONDS:
            return False
        self._names_checked_at = now
        if now - certificate.not_valid_before_utc < MIN_BETWEEN_CERTIFICATES:
            return False
        return not set(await self._names_that_lead_here()) <= set(_names_in(certificate))

    async def renew(self, on_step: Callable[["AcmeStep"], None] = lambda _step: None) -> None:
        """Obtain a certificate now and present it. Raises `CertificateFailureError`; the state is kept either way."""
        async with self._renewing:
            self._respect_the_authoritys_wish()
            try:
                chain = await self._obtain(on_step)
                write_durably(acme_files(self._folder).cert_file, chain)
                self._contexts.reload(acme_files(self._folder))
            except (ChatmailError, OSError) as error:
                sentence = f"{_sentence(error)} {self._clock}".rstrip()
                retry_at = getattr(error, "retry_at", None)
                self._keep(after_failure(self._state, self._now(), sentence, self._rng.random(), retry_at))
                # The sentence quotes the authority, which likes to name addresses; `cert status` shows it.
                _log.debug("certificate_refused", why=sentence)
                step = str(getattr(error, "step", "order"))
                _log.error("certificate_not_obtained", step=step, next_attempt=_shown(self._state.next_attempt_at))
                raise CertificateFailureError(sentence) from error
            self._keep(after_success(self._now()))
            _log.info("certificate_obtained", expires=self._expiry())

    def _respect_the_authoritys_wish(self) -> None:
        """Whoever asks: not before the time the authority gave with its last refusal (Retry-After)."""
        until = self._state.asked_to_wait_until
        if until is not None and self._now() < until:
            raise CertificateFailureError(
                f"The certificate authority wants to be left alone until {_shown(until)}; it is asked again then."
            )

    def _compare_clock(self, authority_time: datetime) -> None:
        """Called in the thread of the order."""
        difference = self._now() - authority_time
        self._clock = clock_sentence(difference)
        if self._clock:
            _log.error("clock_wrong", seconds=round(difference.total_seconds()), remedy="set the clock (NTP)")

    async def _obtain(self, on_step: Callable[["AcmeStep"], None]) -> bytes:
        """Order with each challenge type in turn; the first chain wins, the first failure is the one reported."""
        from chatmail.net.acme import AcmeError, AcmeRequest, AcmeStep, ExternalAccount, obtain_certificate

        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES:
            raise CertificateFailureError(f"The disk of {self._folder} is full; make some space for a certificate.")
        tls = self._config.tls
        request = AcmeRequest(
            directory_url=tls.acme_directory,
            names=await self._names_that_lead_here(),
            key_pem=(self._folder / "key.pem").read_bytes(),
            account_file=self._folder / "acme-account.json",
            challenge=self._challenges()[0],
            board=self._board,
            email=tls.acme_email,
            ca_file=Path(tls.acme_ca_file) if tls.acme_ca_file else None,
            external_account=ExternalAccount(tls.acme_eab_kid, tls.acme_eab_hmac_key) if tls.acme_eab_kid else None,
            on_step=on_step,
            on_time=self._compare_clock,
        )
        failures: list[AcmeError] = []
        for challenge in self._challenges():
            try:
                return await _in_thread(partial(obtain_certificate, replace(request, challenge=challenge)))
            except AcmeError as error:
                failures.append(error)
                if error.step is not AcmeStep.CHALLENGE:
                    break
        # The first says most; but the last is how the authority wants to be treated from now on.
        failures[0].retry_at = failures[-1].retry_at
        raise failures[0]

    def _challenges(self) -> "tuple[ChallengeType, ...]":
        from chatmail.net.acme import ChallengeType

        listen, wanted = self._config.listen, self._config.tls.acme_challenge
        if wanted != "auto":
            return (ChallengeType(wanted),)
        usable = [ChallengeType.TLS_ALPN] if listen.https else []
        usable += [ChallengeType.HTTP] if listen.http else []
        return tuple(usable) or (ChallengeType.TLS_ALPN,)

    async def _names_that_lead_here(self) -> tuple[str, ...]:
        """The domain, and `mta-sts.` and `www.` where they have an address in common with it."""
        domain = self._config.mail_domain
        if is_ip_address(domain):
            return (domain,)
        ours = await self._addresses(domain)
        further = [f"{label}.{domain}" for label in ("mta-sts", "www")]
        return (domain, *[name for name in further if ours & await self._addresses(name)])

    async def _addresses(self, name: str) -> set[str]:
        try:
            return set(await self._resolver().addresses(name))
        except (DnsFailureError, NoSuchDomainError):
            return set()

    def _keep(self, state: RenewalState) -> None:
        self._state = state
        text = json.dumps({name: _shown(value) for name, value in asdict(state).items()})
        try:
            write_durably(self._folder / "renewal.json", text.encode())
        except OSError as error:
            _log.error("renewal_state_not_kept", why=error.strerror or "unknown")

    def _expiry(self) -> str | None:
        certificate = _read_certificate(self._contexts.files.cert_file)
        return certificate.not_valid_after_utc.isoformat(timespec="seconds") if certificate else None


def acme_files(folder: Path) -> CertificateFiles:
    """Where the certificate obtained by ACME and its key lie."""
    return CertificateFiles(folder / "acme.pem", folder / "key.pem")


def clock_sentence(difference: timedelta) -> str:
    """What to tell an operator whose clock is ahead of the authority's by `difference`; empty if that is little."""
    if abs(difference) <= MAX_CLOCK_DIFFERENCE:
        return ""
    hours = abs(difference).total_seconds() / 3600
    direction = "ahead of" if difference > timedelta() else "behind"
    return (
        f"This machine's clock is {hours:.1f} hours {direction} the certificate authority's; "
        "set it (timedatectl set-ntp true), or certificates seem to begin or end at wrong times."
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"The certificate could not be kept ({error.strerror}); check the disk and the mode of the data folder."
    return str(error)


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Run `work` in a thread that does not hold up the end of the process: an authority may take minutes."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result: _T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as problem:
            error = problem
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            # The loop has ended meanwhile; nobody waits any more.
            return

    threading.Thread(target=body, name="acme", daemon=True).start()
    return await future


def _fingerprint(files: CertificateFiles) -> tuple[object, ...]:
    """Changes when either file is written or replaced."""
    marks: list[object] = []
    for path in (files.cert_file, files.key_file):
        try:
            found = path.stat()
            marks += [found.st_ino, found.st_mtime_ns, found.st_size]
        except OSError:
            marks.append(None)
    return tuple(marks)


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _names_in(certificate: x509.Certificate | None) -> tuple[str, ...]:
    if certificate is None:
        return ()
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return (
        *names.get_values_for_type(x509.DNSName),
        *[str(address) for address in names.get_values_for_type(x509.IPAddress)],
    )


def _read_state(path: Path) -> RenewalState:
    """What an earlier run remembered; nothing if that cannot be read."""
    try:
        kept = json.loads(path.read_text())
        times = {name: datetime.fromisoformat(kept[name]) if kept.get(name) else None for name in _TIMES}
        return RenewalState(failures=int(kept["failures"]), last_error=str(kept["last_error"]), **times)
    except (OSError, ValueError, KeyError, TypeError):
        return RenewalState()


def _shown(value: object) -> object:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
