"""The ACME client (RFC 8555): one order, from the account to the certificate chain.

`obtain_certificate(request)` blocks for seconds up to minutes: call it in a thread. It tells each step to
`request.on_step`, shows its answers on a `ChallengeBoard`, and fails with `AcmeError`, which knows the step, says in
one sentence what the authority said and what to do, and when the authority wants to be asked again. The account's key
and URI are kept in one file. Profiles: draft-ietf-acme-profiles; renewal information: RFC 9773.

Not here: when to renew (`chatmail.policy.renewal`), and what is done with the chain (`chatmail.services.certificates`).
"""

import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import requests
from acme import challenges, client, errors, messages
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from josepy.errors import Error as JoseError
from josepy.jwa import ES256
from josepy.jwk import JWK, JWKEC

from chatmail import __version__
from chatmail.config_values import is_ip_address
from chatmail.errors import ChatmailError
from chatmail.net.challenges import ChallengeBoard
from chatmail.net.self_signed import general_name
from chatmail.storage.atomic import write_durably

REQUEST_SECONDS: Final = 30
ORDER_SECONDS: Final = 180
"""From the challenge to the chain."""
MAX_RETRY_AFTER_SECONDS: Final = 7 * 24 * 3600
"""The longest wait an authority is believed."""
SHORT_LIVED_PROFILE: Final = "shortlived"
"""The only profile in which Let's Encrypt vouches for IP addresses."""


class AcmeStep(StrEnum):
    """Where an order stands; shown to people."""

    DIRECTORY = "ask the certificate authority for its directory"
    ACCOUNT = "make or find our account there"
    ORDER = "place the order"
    CHALLENGE = "prove that the name is ours"
    FINALIZE = "have the certificate issued"


class ChallengeType(StrEnum):
    """How control of a name is shown."""

    TLS_ALPN = "tls-alpn-01"
    HTTP = "http-01"


class AcmeError(ChatmailError):
    """An order failed. `str()` is one sentence for the operator."""

    def __init__(self, step: AcmeStep, sentence: str, retry_at: datetime | None = None) -> None:
        """`retry_at` is when the authority wants to be asked again, if it said so."""
        super().__init__(sentence)
        self.step = step
        self.retry_at = retry_at


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """The binding to an account elsewhere that some authorities require (RFC 8555 §7.3.4)."""

    key_id: str
    hmac_key: str


@dataclass(frozen=True, slots=True)
class AcmeRequest:
    """One certificate to obtain.

    `names` are domains, or one IP address; `key_pem` is the private key the certificate is for (kept across renewals);
    `account_file` keeps our account; `ca_file` is what to trust when talking to the authority (None: the usual roots).
    """

    directory_url: str
    names: tuple[str, ...]
    key_pem: bytes
    account_file: Path
    challenge: ChallengeType
    board: ChallengeBoard
    email: str = ""
    ca_file: Path | None = None
    external_account: ExternalAccount | None = None
    on_step: Callable[[AcmeStep], None] = field(default=lambda _step: None)
    on_time: Callable[[datetime], None] = field(default=lambda _time: None)
    """Told what time (aware UTC) the authority has, so that a wrong clock of ours is noticed."""


@dataclass(frozen=True, slots=True)
class RenewalAdvice:
    """When the authority suggests to renew (None if it suggests nothing), and when to ask again (aware UTC)."""

    renew_at: datetime | None
    ask_again_at: datetime


class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """The challenge of RFC 8737, which the library leaves out."""

    typ = "tls-alpn-01"

    class Response(challenges.KeyAuthorizationChallengeResponse):
        """What is posted to begin the check."""

        typ = "tls-alpn-01"

    response_cls = Response

    def validation(self, account_key: JWK, **_kwargs: Any) -> str:  # noqa: ANN401 — the library's signature
        """The key authorization itself; the certificate is made of it elsewhere."""
        return self.key_authorization(account_key)


challenges.Challenge.register(TlsAlpn01)
challenges.ChallengeResponse.register(TlsAlpn01.Response)
_CHALLENGE_CLASSES: Final = {ChallengeType.TLS_ALPN: TlsAlpn01, ChallengeType.HTTP: challenges.HTTP01}


class _Network(client.ClientNetwork):
    """The library's transport, which also remembers the last answer: status, Date, Retry-After (RFC 8555 §6.6)."""

    status: int = 0
    retry_after: str = ""
    date: str = ""

    def _send_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        response: requests.Response = super()._send_request(method, url, *args, **kwargs)
        self.status = response.status_code
        self.retry_after = response.headers.get("Retry-After", "") if not response.ok else ""
        self.date = response.headers.get("Date", "")
        return response


def obtain_certificate(request: AcmeRequest) -> bytes:
    """Place one order and return the chain as PEM, our certificate first. Raises `AcmeError`."""
    order = _Order(request)
    try:
        return order.run()
    finally:
        request.board.clear()


def renewal_advice(directory_url: str, certificate_pem: bytes, ca_file: Path | None = None) -> RenewalAdvice:
    """Ask the authority when to renew (RFC 9773). Raises `AcmeError`; an authority without ARI advises nothing."""
    network = _network(ca_file)
    try:
        directory = client.ClientV2.get_directory(directory_url, network)
        renew_at, ask_again_at = client.ClientV2(directory, network).renewal_time(certificate_pem)
    except (errors.Error, messages.Error, requests.RequestException, JoseError, ValueError) as error:
        raise AcmeError(AcmeStep.DIRECTORY, "The certificate authority gave no renewal information.") from error
    return RenewalAdvice(renew_at and renew_at.astimezone(UTC), ask_again_at.astimezone(UTC))


def _network(ca_file: Path | None, key: JWK | None = None) -> _Network:
    network = _Network(key, alg=ES256, user_agent=f"chatmail/{__version__}", timeout=REQUEST_SECONDS)
    roots = ca_file or system_roots()
    if roots is not None:
        # The library hands this value to requests, which takes a path here as well as a bool.
        network.verify_ssl = cast(bool, str(roots))
    return network


def system_roots() -> Path | None:
    """The roots the system keeps up to date; None where it has none, so that those in our file must do."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None:
        return Path(paths.cafile)
    folder = Path(paths.capath) if paths.capath is not None else None
    return folder if folder is not None and next(folder.glob("*.0"), None) is not None else None


class _Order:
    """One run through the protocol."""

    def __init__(self, request: AcmeRequest) -> None:
        self._request = request
        self._step = AcmeStep.DIRECTORY
        self._deadline = datetime.now() + timedelta(seconds=ORDER_SECONDS)
        self._key, self._uri = self._load_account()
        self._network = _network(request.ca_file, self._key)

    def run(self) -> bytes:
        with self._at(AcmeStep.DIRECTORY):
            directory = client.ClientV2.get_directory(self._request.directory_url, self._network)
            acme = client.ClientV2(directory, self._network)
            if (time := _http_date(self._network.date)) is not None:
                self._request.on_time(time)
        with self._at(AcmeStep.ACCOUNT):
            self._enter(acme)
        with self._at(AcmeStep.ORDER):
            profile = SHORT_LIVED_PROFILE if is_ip_address(self._request.names[0]) else None
            order = acme.new_order(self._signing_request(), profile=_offered(acme, profile))
        with self._at(AcmeStep.CHALLENGE):
            self._answer(acme, order)
            order = acme.poll_authorizations(order, self._deadline)
        with self._at(AcmeStep.FINALIZE):
            order = acme.finalize_order(order, self._deadline)
            return str(order.fullchain_pem).encode()

    def _load_account(self) -> tuple[JWKEC, str]:
        """The account of this directory, or a new key and no URI."""
        try:
            kept = json.loads(self._request.account_file.read_text())
            if kept["directory"] == self._request.directory_url:
                return cast(JWKEC, JWKEC.from_json(kept["key"])), kept["uri"]
        except (OSError, ValueError, KeyError, JoseError):
            pass
        return JWKEC(key=ec.generate_private_key(ec.SECP256R1())), ""

    def _enter(self, acme: client.ClientV2) -> None:
        if self._uri:
            body = messages.Registration(key=self._key.public_key())
            self._network.account = messages.RegistrationResource(body=body, uri=self._uri)
            return
        binding = None
        if (external := self._request.external_account) is not None:
            binding = messages.ExternalAccountBinding.from_data(
                self._key.public_key(), external.key_id, external.hmac_key, acme.directory
            )
        registration = messages.NewRegistration.from_data(
            email=self._request.email or None, external_account_binding=binding, terms_of_service_agreed=True
        )
        account = acme.new_account(registration)
        kept = {
            "directory": self._request.directory_url,
            "uri": account.uri,
            "key": self._key.to_json(),
            "caa": next(iter(getattr(acme.directory.meta, "caa_identities", None) or ()), ""),
        }
        self._request.account_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._request.account_file, json.dumps(kept).encode())

    def _signing_request(self) -> bytes:
        key = serialization.load_pem_private_key(self._request.key_pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        names = [general_name(name) for name in self._request.names]
        first = self._request.names[0]
        subject = [] if is_ip_address(first) or len(first) > 64 else [x509.NameAttribute(NameOID.COMMON_NAME, first)]
        return (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name(subject))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def _answer(self, acme: client.ClientV2, order: messages.OrderResource) -> None:
        """Show the answers for all names before the authority is told to look at any."""
        pending = [one for one in order.authorizations if one.body.status != messages.STATUS_VALID]
        chosen = [(one, self._choose(one)) for one in pending]
        for authorization, challenge in chosen:
            name = authorization.body.identifier.value
            authorized = challenge.chall.key_authorization(self._key)
            if self._request.challenge is ChallengeType.TLS_ALPN:
                self._request.board.show_tls(name, authorized)
            else:
                self._request.board.show_http(challenge.chall.encode("token"), authorized)
        for _authorization, challenge in chosen:
            acme.answer_challenge(challenge, challenge.chall.response(self._key))

    def _choose(self, authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
        wanted = _CHALLENGE_CLASSES[self._request.challenge]
        for challenge in authorization.body.challenges:
            if isinstance(challenge.chall, wanted):
                return challenge
        name = authorization.body.identifier.value
        raise AcmeError(
            AcmeStep.CHALLENGE,
            f"The certificate authority offers no {self._request.challenge} for {name}; choose another acme_challenge.",
        )

    @contextmanager
    def _at(self, step: AcmeStep) -> Iterator[None]:
        """Everything that goes wrong within becomes an `AcmeError` of `step`."""
        self._request.on_step(step)
        self._step = step
        try:
            yield
        except errors.ValidationError as error:
            self._fail(_refused_names(error.failed_authzrs), error)
        except errors.IssuanceError as error:
            self._fail(f"The certificate authority did not issue it: {_said(error.error)}.", error)
        except errors.TimeoutError as error:
            self._fail(f"The certificate authority took more than {ORDER_SECONDS} seconds; it is tried again.", error)
        except messages.Error as error:
            self._fail(f"The certificate authority refused: {_said(error)}.", error)
        except requests.exceptions.SSLError as error:
            self._fail(
                "The certificate authority's own certificate is not trusted; check the clock, or acme_ca_file.", error
            )
        except requests.RequestException as error:
            self._fail(
                f"{self._request.directory_url} could not be reached; check the network and acme_directory.", error
            )
        except (errors.Error, JoseError, ValueError, KeyError, AttributeError) as error:
            if self._network.status >= 500:
                self._fail(f"The certificate authority is out of order (HTTP {self._network.status}).", error)
            # AttributeError: what a directory without the expected entries raises in the library.
            self._fail("The certificate authority gave an answer that is not ACME; it is tried again.", error)

    def _fail(self, sentence: str, cause: Exception) -> NoReturn:
        raise AcmeError(self._step, sentence, _retry_at(self._network.retry_after)) from cause


def _offered(acme: client.ClientV2, profile: str | None) -> str | None:
    """`profile` if the authority has it; others would refuse the order."""
    try:
        return profile if profile in (acme.directory.meta.profiles or ()) else None
    except AttributeError:
        return None


def _said(error: messages.Error) -> str:
    """The authority's own words on one line, with the kind of error."""
    kind = (error.typ or "").rpartition(":")[2]
    detail = " ".join((error.detail or "no reason given").split()).rstrip(".")
    return f"{detail} ({kind})" if kind else detail


_REMEDIES: Final = {
    "dns": "check that the name leads to this machine",
    "connection": "open the port to the world (firewall, cloud panel) and check that the name leads here",
    "unauthorized": "another server answers for the name: check its A and AAAA records",
    "tls": 'something between the authority and this server changes TLS: try acme_challenge = "http-01"',
    "caa": "change the CAA record so that it allows this authority",
    "rejectedIdentifier": "the authority gives no certificates for such a name",
}


def _refused_names(authorizations: Sequence[messages.AuthorizationResource]) -> str:
    for authorization in authorizations:
        for challenge in authorization.body.challenges:
            if challenge.error is not None:
                kind = (challenge.error.typ or "").rpartition(":")[2]
                remedy = _REMEDIES.get(kind, "check the DNS records and the firewall")
                return f"{authorization.body.identifier.value} was not proved: {_said(challenge.error)}; {remedy}."
    return "A name was not proved, and the certificate authority does not say why; check the DNS records."


def _retry_at(header: str) -> datetime | None:
    """When to come back, from either form of Retry-After (RFC 9110 §10.2.3); a week from now at most."""
    now = datetime.now(UTC)
    wanted = now + timedelta(seconds=int(header[:7])) if header.isascii() and header.isdecimal() else _http_date(header)
    return wanted and min(wanted, now + timedelta(seconds=MAX_RETRY_AFTER_SECONDS))


def _http_date(header: str) -> datetime | None:
    """A time as HTTP writes it (RFC 9110 §5.6.7), aware UTC; None if it cannot be read."""
    try:
        return parsedate_to_datetime(header).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
