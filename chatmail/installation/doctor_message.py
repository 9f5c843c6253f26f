"""The check that counts: a real OpenPGP message from one fresh account to another, timed, both removed after.

The receiver waits in IDLE as phones do; the message is encrypted to a key made here, fetched, and opened again.
pgpy is imported when the check runs: nothing else needs it.
"""

import base64
import json
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from email.utils import formatdate
from random import Random
from time import perf_counter
from typing import Any, Final

from chatmail.errors import OperatorError
from chatmail.installation.checkup import DoctorCheck, DoctorState
from chatmail.installation.doctor_network import Target
from chatmail.installation.places import READ_LOG
from chatmail.installation.wire import UnexpectedAnswerError, Wire
from chatmail.invite_link import Credentials, random_credentials

NAME: Final = "message"
SLOW_SECONDS: Final = 1.0
MAX_ANSWER_BYTES: Final = 10_000
_SHORT: Final = {"cpu": "CPU time", "memory": "memory", "disk": "disk space"}
_BOUNDARY: Final = "self-test"

Remove = Callable[[str], str]
"""Removes the account of an address; returns why that failed, or nothing."""
Invite = Callable[[], str]
"""Makes an invitation for two accounts and returns its token. Raises `OperatorError`."""


def no_invitation() -> str:
    """Where the server's operator cannot be asked for one."""
    raise OperatorError("There is no invitation.")


def check_message(
    target: Target, rng: Random, remove: Remove, short_of: str | None = None, invite: Invite = no_invitation
) -> DoctorCheck:
    """Send and receive; whatever happens the accounts are removed. No new ones are made while the machine is short."""
    config = target.config
    if short_of:
        sentence = f"No message was sent: while this machine is short of {_SHORT[short_of]}, no accounts are made."
        remedy = "Try again when it is less busy; [limits] in the configuration says from when on."
        return DoctorCheck(NAME, DoctorState.WARNING, sentence, remedy)
    if config.accounts.registration == "closed":
        return DoctorCheck(NAME, DoctorState.SKIPPED, "Registration is closed: no accounts can be made for a message.")
    if not (config.listen.imaps and config.listen.submissions and config.listen.https):
        return DoctorCheck(NAME, DoctorState.SKIPPED, "The listeners with TLS for clients are off.")
    made: list[str] = []
    try:
        sender, receiver = _credentials(target, rng, invite, made)
        seconds = _exchange(target, sender, receiver, made)
        check = _judge(seconds)
    except (OSError, ValueError, KeyError, OperatorError) as error:
        sentence = f"No message came through: {str(error).rstrip('.')}."
        check = DoctorCheck(NAME, DoctorState.FAILED, sentence, f"{READ_LOG} says more.")
    left = [why for why in map(remove, dict.fromkeys(made)) if why]
    if left and check.state is not DoctorState.FAILED:
        sentence = f"{check.sentence} But the test accounts could not be removed: {left[0]}"
        return DoctorCheck(NAME, DoctorState.WARNING, sentence, "They expire by themselves.", check.seconds)
    return check


def _credentials(target: Target, rng: Random, invite: Invite, made: list[str]) -> tuple[Credentials, Credentials]:
    """For two accounts that come into being with the first login, or by invitation."""
    if target.config.accounts.registration == "open":
        return random_credentials(rng, target.config), random_credentials(rng, target.config)
    token = invite()
    return _invited(target, token, made), _invited(target, token, made)


def _invited(target: Target, token: str, made: list[str]) -> Credentials:
    """What the web face gives for an invitation, as an app asks for it."""
    with Wire.connect(target.addresses[0], target.config.listen.https) as wire:
        wire.start_tls(target.context(verify=False), target.names_itself)
        wire.say(f"POST /new?t={token} HTTP/1.1\r\nHost: {target.host}\r\nContent-Length: 0\r\nConnection: close\r\n")
        if (status := wire.line()).split()[1:2] != [b"200"]:
            raise UnexpectedAnswerError(f"the invitation was answered by {status[:60].decode('utf-8', 'replace')}")
        headers = dict(line.lower().split(b":", 1) for line in iter(wire.line, b""))
        account = json.loads(wire.octets(min(int(headers[b"content-length"]), MAX_ANSWER_BYTES)))
    made.append(str(account["email"]))
    return Credentials(str(account["email"]), str(account["password"]))


def _judge(seconds: float) -> DoctorCheck:
    sentence = f"An encrypted message between two fresh accounts took {seconds * 1000:.0f} ms."
    if seconds > SLOW_SECONDS:
        return DoctorCheck(NAME, DoctorState.WARNING, sentence, "Look at the load and the disk.", seconds)
    return DoctorCheck(NAME, DoctorState.OK, sentence, "", seconds)


def _exchange(target: Target, sender: Credentials, receiver: Credentials, made: list[str]) -> float:
    """Seconds from the end of DATA to EXISTS. Raises `OSError`, or `ValueError` where the message came out broken."""
    listen, address = target.config.listen, target.addresses[0]
    text = f"self-test {sender.address} {receiver.address}"
    key, message = _encrypted(sender.address, receiver.address, text)
    with ExitStack() as stack:
        inbox = stack.enter_context(Wire.connect(address, listen.imaps))
        inbox.start_tls(target.context(verify=False), target.names_itself)
        inbox.greet("imap")
        # The first login makes the account.
        made.append(receiver.address)
        inbox.imap("A1", f'LOGIN "{receiver.address}" "{receiver.password}"')
        inbox.imap("A2", "SELECT INBOX")
        outbox = stack.enter_context(Wire.connect(address, listen.submissions))
        outbox.start_tls(target.context(verify=False), target.names_itself)
        outbox.greet("smtp")
        made.append(sender.address)
        token = base64.b64encode(f"\0{sender.address}\0{sender.password}".encode()).decode()
        for command, code in (
            (f"AUTH PLAIN {token}", 235),
            (f"MAIL FROM:<{sender.address}>", 250),
            (f"RCPT TO:<{receiver.address}>", 250),
            ("DATA", 354),
        ):
            _must(outbox, command, code)
        inbox.say("A3 IDLE")
        _until(inbox, lambda line: line.startswith(b"+"))
        began = perf_counter()
        outbox.connection.sendall(message + b".\r\n")
        _until(inbox, lambda line: line.endswith(b" EXISTS"))
        seconds = perf_counter() - began
        _must(outbox, "", 250)
        inbox.say("DONE")
        _until(inbox, lambda line: line.startswith(b"A3 OK"))
        fetched = b"".join(inbox.imap("A4", "UID FETCH 1:* (BODY.PEEK[])"))
    _open(key, fetched, text)
    return seconds


def _must(wire: Wire, command: str, code: int) -> None:
    answer = wire.smtp(command)
    if answer[0] != code:
        said = f"{command.split(' ')[0] or 'DATA'} was answered by {answer[0]} {answer[1]}"
        raise UnexpectedAnswerError(said)


def _until(wire: Wire, is_it: Callable[[bytes], bool]) -> None:
    while not is_it(wire.line()):
        continue


def _encrypted(sender: str, receiver: str, text: str) -> tuple[Any, bytes]:
    """A fresh key, and a message encrypted to it as RFC 3156 §4 lays it out, ready for DATA but for the final dot."""
    with warnings.catch_warnings():
        # pgpy names algorithms that cryptography is about to move.
        warnings.simplefilter("ignore")
        import pgpy  # type: ignore[import-untyped]
        from pgpy import constants

        key = pgpy.PGPKey.new(constants.PubKeyAlgorithm.EdDSA, constants.EllipticCurveOID.Ed25519)
        subkey = pgpy.PGPKey.new(constants.PubKeyAlgorithm.ECDH, constants.EllipticCurveOID.Curve25519)
        preferences = {
            "hashes": [constants.HashAlgorithm.SHA256],
            "ciphers": [constants.SymmetricKeyAlgorithm.AES256],
            "compression": [constants.CompressionAlgorithm.Uncompressed],
        }
        key.add_uid(pgpy.PGPUID.new("", email=receiver), usage={constants.KeyFlags.Sign}, **preferences)
        key.add_subkey(subkey, usage={constants.KeyFlags.EncryptCommunications})
        armored = str(key.pubkey.encrypt(pgpy.PGPMessage.new(text)))
    head = (
        f"From: <{sender}>\r\nTo: <{receiver}>\r\nSubject: [...]\r\nMessage-ID: <self-test.{sender}>\r\n"
        f"Date: {formatdate()}\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="{_BOUNDARY}"\r\n\r\n'
        f"--{_BOUNDARY}\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
        f"--{_BOUNDARY}\r\nContent-Type: application/octet-stream\r\n\r\n"
    )
    armor = "".join(f"{line}\r\n" for line in armored.splitlines())
    return key, f"{head}{armor}\r\n--{_BOUNDARY}--\r\n".encode()


def _open(key: Any, fetched: bytes, text: str) -> None:  # noqa: ANN401 — pgpy has no types
    begin, end = fetched.find(b"-----BEGIN PGP MESSAGE"), fetched.find(b"-----END PGP MESSAGE-----")
    if begin < 0 or end < 0:
        raise ValueError("the message arrived without its content")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pgpy
        from pgpy.errors import PGPError  # type: ignore[import-untyped]

        armored = fetched[begin : end + len(b"-----END PGP MESSAGE-----")].replace(b"\r\n", b"\n") + b"\n"
        try:
            opened = key.decrypt(pgpy.PGPMessage.from_blob(armored.decode("ascii"))).message
        except (PGPError, NotImplementedError, TypeError, AttributeError) as error:
            raise ValueError("the message arrived damaged") from error
    if (opened.decode() if isinstance(opened, bytes | bytearray) else opened) != text:
        raise ValueError("the message arrived with another text")
