"""The decision on mail from other servers, without a server."""

import pytest

from chatmail.mail.message import HeaderBlock
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.inbound import (
    DOMAIN_BLOCKED,
    NO_SIGNATURE,
    NO_VALID_SIGNATURE,
    NOT_FROM_OUTSIDE,
    DkimResult,
    check_author,
    check_dkim,
    check_envelope_sender,
    check_message,
    duplicate_key,
    inbound_headers,
    must_be_signed,
    return_path,
)
from chatmail.policy.verdict import ACCEPT, Defer, Reject
from tests.support.corpus import MESSAGES, TO_ANOTHER, address, split

ALICE, BOB = address("alice@other.example"), address("bob@third.example")


def block(text: str) -> HeaderBlock:
    return HeaderBlock.parse(text.encode())


def test_the_texts_are_those_other_servers_know() -> None:
    assert str(NO_SIGNATURE) == "554 5.7.1 No DKIM signature found"
    assert str(NO_VALID_SIGNATURE) == "554 5.7.1 No valid DKIM signature found"


def test_blocked_domains_are_blocked_in_envelope_and_from() -> None:
    assert check_envelope_sender(ALICE, {"other.example"}) == Reject(DOMAIN_BLOCKED)
    assert check_envelope_sender(None, {"other.example"}) == check_envelope_sender(BOB, {"other.example"}) == ACCEPT
    assert check_author(ALICE, "chat.example", {"other.example"}) == Reject(DOMAIN_BLOCKED)
    assert check_author(ALICE, "chat.example", ()) == ACCEPT


@pytest.mark.parametrize("own", ["[203.0.113.5]", "[ipv6:2001:db8::5]"])
def test_our_own_literal_in_any_spelling_does_not_come_from_outside(own: str) -> None:
    for spelling in (own, own.replace("::", ":0:0::")):
        assert check_author(address(f"user12345@{spelling}"), own, ()) == Reject(NOT_FROM_OUTSIDE)
    assert check_author(address("user12345@[203.0.113.6]"), own, ()) == ACCEPT


def test_all_but_literals_must_sign() -> None:
    assert must_be_signed(ALICE) and must_be_signed(address("user12345@_test.example"))
    assert not must_be_signed(address("user12345@[203.0.113.5]"))


@pytest.mark.parametrize("name", ["plain", "encrypted-pkesk3-seipd1"])
def test_a_signature_is_asked_for_before_encryption(name: str) -> None:
    headers, body = split(MESSAGES[name])
    for result in (DkimResult.UNSIGNED, DkimResult.INVALID, DkimResult.UNKNOWN):
        gate = EncryptionGate(headers, Direction.INBOUND, TO_ANOTHER)
        gate.feed(body)
        assert check_message(result, gate) == check_dkim(result) != ACCEPT
    for result_or_none in (DkimResult.VALID, None):
        gate = EncryptionGate(headers, Direction.INBOUND, TO_ANOTHER)
        gate.feed(body)
        assert (check_message(result_or_none, gate) == ACCEPT) == (name != "plain")


def test_a_dns_without_an_answer_is_a_reason_to_wait() -> None:
    verdict = check_dkim(DkimResult.UNKNOWN)
    assert isinstance(verdict, Defer) and not verdict.reply.is_permanent


def test_the_return_path_is_the_author_or_nobody() -> None:
    assert return_path(ALICE, ALICE) == ALICE
    assert return_path(BOB, ALICE) is return_path(None, ALICE) is None
    headers = block("Return-Path: <x@y>\r\nDKIM-Signature: v=1\r\nReceived: z\r\nFrom: a@b\r\n\r\n")
    assert inbound_headers(headers, None) == b"Return-Path: <>\r\nFrom: a@b\r\n\r\n"
    assert inbound_headers(headers, ALICE).startswith(b"Return-Path: <alice@other.example>\r\n")


def test_the_same_message_is_the_same_author_and_id() -> None:
    one = block("Message-ID: <1@x>\r\n\r\n")
    assert duplicate_key(ALICE, one) == duplicate_key(ALICE, block("Message-Id:  <1@x> \r\nX: y\r\n\r\n"))
    assert (
        len({duplicate_key(ALICE, one), duplicate_key(BOB, one), duplicate_key(ALICE, block("Message-ID: 2\r\n"))}) == 3
    )
    for unknown in ("X: y\r\n\r\n", "Message-ID: 1\r\nMessage-ID: 2\r\n\r\n", f"Message-ID: {'x' * 1000}\r\n\r\n"):
        assert duplicate_key(ALICE, block(unknown)) is None
