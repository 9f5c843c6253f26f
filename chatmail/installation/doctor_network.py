"""Checks of `doctor` that look at the server as a client does: ports, TLS, ALPN, the web page, and relaying."""

import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.installation.checkup import DoctorCheck, DoctorState, of
from chatmail.installation.places import READ_LOG
from chatmail.installation.wire import Speech, UnexpectedAnswerError, Wire, client_context

SOON: Final = timedelta(days=20)
"""A renewal is long overdue when less is left."""
SOON_SHORT_LIVED: Final = timedelta(days=2)
"""The same for a certificate that lives no longer than ten days."""
_SPEECH: Final[dict[str, Speech]] = {
    "smtp": "smtp",
    "submission": "smtp",
    "submissions": "smtp",
    "imap": "imap",
    "imaps": "imap",
}
_AT_ONCE: Final = ("submissions", "imaps", "https")
_IN_THE_CLEAR: Final = ("http",)


@dataclass(frozen=True, slots=True)
class Target:
    """The server as clients see it: its configuration, the addresses to reach it at, and further roots to trust.

    `further_names` (`mta-sts.`, `www.`) lead here too.
    """

    config: Config
    addresses: tuple[str, ...]
    ca_file: str = ""
    further_names: tuple[str, ...] = ()

    @property
    def names_itself(self) -> str:
        """What the certificate must name."""
        return self.config.mail_domain

    @property
    def host(self) -> str:
        """What HTTP calls it."""
        return f"[{self.names_itself}]" if ":" in self.names_itself else self.names_itself

    def ports(self) -> dict[str, int]:
        """The listeners that are on, by name."""
        listen = self.config.listen
        return {name: getattr(listen, name) for name in (*_SPEECH, "https", "http") if getattr(listen, name)}

    def context(self, *, verify: bool) -> ssl.SSLContext:
        """For clients of this server."""
        return client_context(self.ca_file or None, verify=verify)


def check_ports(target: Target) -> Iterator[DoctorCheck]:
    """Every port answers at every address, in its own language."""
    for name, port in sorted(target.ports().items(), key=lambda item: item[1]):
        problems = []
        for address in target.addresses:
            try:
                _greeted(target, name, address, port).close()
            except OSError as error:
                problems.append(f"at {address} {_why(error)}")
        fine = f"Answers at {', '.join(target.addresses)}."
        remedy = f"Let the firewall and your provider's panel pass TCP {port}; {READ_LOG} says whether the server runs."
        yield of(f"port {port} ({name})", problems, fine, remedy)


def _greeted(target: Target, name: str, address: str, port: int) -> Wire:
    wire = Wire.connect(address, port)
    try:
        if name in _AT_ONCE:
            wire.start_tls(target.context(verify=False), target.names_itself)
        if name in _SPEECH:
            wire.greet(_SPEECH[name])
    except BaseException:
        wire.close()
        raise
    return wire


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or 'unknown').lower().replace('_', ' ')})"
    if isinstance(error, UnexpectedAnswerError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "nobody answers"
    return (error.strerror or str(error)).lower()


# --- TLS ------------------------------------------------------------------------------------------------------------


def check_tls(target: Target, now: datetime) -> Iterator[DoctorCheck]:
    """The certificate is trusted where it should be, names the server, and lasts; the same one on every port."""
    verify = target.config.tls.mode != "self-signed"
    address, problems, seen = target.addresses[0], [], {}
    for name, port in sorted(target.ports().items(), key=lambda item: item[1]):
        if name in _IN_THE_CLEAR:
            continue
        try:
            seen[port] = _certificate(target, name, address, port, verify=verify)
        except OSError as error:
            problems.append(f"on port {port} {_tls_problem(error)}")
    remedy = "chatmail cert status says how the certificate stands."
    trusted = "is trusted" if verify else "is the server's own, as configured"
    yield of("TLS", problems, f"The certificate {trusted} on the ports {', '.join(map(str, seen))}.", remedy)
    certificates = list(dict.fromkeys(seen.values()))
    if len(certificates) > 1:
        different = [f"{len(certificates)} different certificates are presented"]
        yield of("certificate", different, "", "Restart the server: systemctl restart chatmail")
    elif certificates:
        yield _judge_certificate(target, x509.load_der_x509_certificate(certificates[0]), now)


def _certificate(target: Target, name: str, address: str, port: int, *, verify: bool) -> bytes:
    with Wire.connect(address, port) as wire:
        if name not in _AT_ONCE:
            wire.greet(_SPEECH[name])
            wire.ask_for_tls(_SPEECH[name])
        secured = wire.start_tls(target.context(verify=verify), target.names_itself)
        return secured.getpeercert(binary_form=True) or b""


def _tls_problem(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message.lower().rstrip('.')}"
    return _why(error)


def _judge_certificate(target: Target, certificate: x509.Certificate, now: datetime) -> DoctorCheck:
    until = certificate.not_valid_after_utc
    left, lifetime = until - now, until - certificate.not_valid_before_utc
    soon = SOON_SHORT_LIVED if lifetime < timedelta(days=10) else SOON
    if not _names(certificate, target.names_itself):
        problem = [f"the certificate does not name {target.names_itself}"]
        return of("certificate", problem, "", "chatmail cert renew obtains one that does.")
    fine = f"It names {target.names_itself} and is valid until {until:%Y-%m-%d}."
    if left < timedelta(0):
        return of("certificate", [f"it expired on {until:%Y-%m-%d}"], "", "chatmail cert status says why.")
    if left < soon:
        return DoctorCheck("certificate", DoctorState.WARNING, fine, "chatmail cert status says why it is not renewed.")
    if lacking := [name for name in target.further_names if not _names(certificate, name)]:
        sentence = f"{fine} It does not name {', '.join(lacking)}, which lead here too."
        remedy = "The server renews it within a day; chatmail cert renew does so now."
        return DoctorCheck("certificate", DoctorState.WARNING, sentence, remedy)
    return DoctorCheck("certificate", DoctorState.OK, fine)


def _names(certificate: x509.Certificate, name: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if is_ip_address(name):
        return ipaddress.ip_address(name) in names.get_values_for_type(x509.IPAddress)
    return name in names.get_values_for_type(x509.DNSName)


# --- port 443 -------------------------------------------------------------------------------------------------------


def check_alpn(target: Target) -> DoctorCheck:
    """Port 443 speaks what a client asks for by ALPN, and refuses what nobody speaks (RFC 7301 §3.2)."""
    port, problems = target.config.listen.https, []
    if not port:
        return DoctorCheck("ALPN", DoctorState.SKIPPED, "The listener for HTTPS is off.")
    for protocol, greeting in (("imap", b"* OK"), ("smtp", b"220 "), ("http/1.1", b"")):
        try:
            with Wire.connect(target.addresses[0], port) as wire:
                secured = wire.start_tls(target.context(verify=False), target.names_itself, [protocol])
                if secured.selected_alpn_protocol() != protocol:
                    problems.append(f"{protocol} is not chosen")
                elif greeting and not wire.line().startswith(greeting):
                    problems.append(f"{protocol} is not spoken")
        except OSError as error:
            problems.append(f"{protocol}: {_why(error)}")
    try:
        with Wire.connect(target.addresses[0], port) as wire:
            wire.start_tls(target.context(verify=False), target.names_itself, ["nobody-speaks-this"])
        problems.append("an unknown protocol is not refused")
    except OSError:
        pass
    fine = f"Port {port} speaks IMAP, submission and HTTPS, and refuses what it does not know."
    return of("ALPN", problems, fine, "Something between clients and the server changes TLS, or another one answers.")


def check_web(target: Target) -> DoctorCheck:
    """The page where people get an account."""
    port = target.config.listen.https
    if not port:
        return DoctorCheck("web page", DoctorState.SKIPPED, "The listener for HTTPS is off.")
    problems = []
    try:
        with Wire.connect(target.addresses[0], port) as wire:
            wire.start_tls(target.context(verify=False), target.names_itself)
            wire.say(f"GET / HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n")
            status = wire.line()
            if status.split()[1:2] != [b"200"]:
                problems.append(f"it answers {status[:60].decode('utf-8', 'replace')}")
    except OSError as error:
        problems.append(_why(error))
    return of("web page", problems, "The sign-up page is served.", f"{READ_LOG} says more.")


# --- relaying -------------------------------------------------------------------------------------------------------


def check_open_relay(target: Target) -> DoctorCheck:
    """Without a login, mail to somewhere else is refused, on every port that takes mail."""
    problems, tried = [], []
    for name in ("smtp", "submission", "submissions"):
        port = target.ports().get(name)
        if port is None:
            continue
        try:
            with _greeted(target, name, target.addresses[0], port) as wire:
                if name != "submissions":
                    wire.ask_for_tls("smtp")
                    wire.start_tls(target.context(verify=False), target.names_itself)
                    wire.smtp("EHLO [127.0.0.1]")
                if _relays(wire):
                    problems.append(f"port {port} takes mail for strangers from strangers")
                tried.append(str(port))
        except OSError:
            # That a port does not answer is said elsewhere.
            continue
    if not tried:
        return DoctorCheck("open relay", DoctorState.FAILED, "No port that takes mail answers.", f"See {READ_LOG}")
    remedy = "Stop the server and report this as a bug: systemctl stop chatmail"
    return of("open relay", problems, f"An attempt on the ports {', '.join(tried)} was refused.", remedy)


def _relays(wire: Wire) -> bool:
    """Whether a recipient elsewhere is accepted (example.net: RFC 2606, nobody's)."""
    if wire.smtp("MAIL FROM:<stranger@example.org>")[0] != 250:
        return False
    return wire.smtp("RCPT TO:<somebody@example.net>")[0] < 400
