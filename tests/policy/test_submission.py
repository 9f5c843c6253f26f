"""Senders of submissions, and the clean-up of their headers."""

import pytest

from chatmail.mail.envelope import Envelope
from chatmail.mail.message import HeaderBlock
from chatmail.policy.submission import (
    SENDER_NOT_OWNED,
    check_from_header,
    check_mail_from,
    delivered_headers,
    submission_headers,
)
from chatmail.policy.verdict import ACCEPT, Reject
from tests.support.corpus import MESSAGES, TO_ANOTHER, address, split
from tests.support.openpgp_samples import RECIPIENT, SENDER


def from_header(value: str) -> HeaderBlock:
    return HeaderBlock.parse(f"From: {value}\r\n\r\n".encode())


def test_mail_from_must_be_the_login() -> None:
    assert check_mail_from(address(SENDER.upper()), address(SENDER)) == ACCEPT
    for other in (None, address(RECIPIENT)):
        assert check_mail_from(other, address(SENDER)) == Reject(SENDER_NOT_OWNED)
    assert SENDER_NOT_OWNED.code == 553


def test_the_from_field_must_be_the_envelope_sender_in_any_case() -> None:
    assert check_from_header(from_header(f"Alice <{SENDER.upper()}>"), TO_ANOTHER) == ACCEPT


@pytest.mark.parametrize("sender", [RECIPIENT, "alice1234+x@chat.example", "alice1234@other.example"])
def test_another_from_is_refused_naming_both(sender: str) -> None:
    verdict = check_from_header(from_header(sender), TO_ANOTHER)
    assert isinstance(verdict, Reject)
    assert str(verdict.reply) == f"500 Invalid FROM <{sender}> for <{SENDER}>"


def test_a_from_field_is_nobody_s_for_the_null_sender() -> None:
    verdict = check_from_header(from_header(SENDER), Envelope(None, ()))
    assert isinstance(verdict, Reject) and str(verdict.reply) == f"500 Invalid FROM <{SENDER}> for <>"


@pytest.mark.parametrize("value", ["", f"{SENDER}, {SENDER}", f"<{SENDER}>\r\nFrom: <{SENDER}>"])
def test_a_from_field_that_is_not_one_address_is_refused_with_the_reason(value: str) -> None:
    verdict = check_from_header(from_header(value), TO_ANOTHER)
    assert isinstance(verdict, Reject) and str(verdict.reply).startswith("500 Invalid FROM header: ")


@pytest.mark.parametrize("name", ["Received", "RECEIVED", "X-Originating-IP", "X-Mailer", "user-agent"])
def test_traces_of_the_client_are_dropped_and_everything_else_stays_as_it_was(name: str) -> None:
    before, after = b"From: <a@b.example>\r\nTo: x;\r\n", b"Secure-Join: vc-request\r\nX-Mailer-Not: y\r\n\r\n"
    headers = HeaderBlock.parse(before + f"{name}: from [192.0.2.7]\r\n\tby x\r\n".encode() + after)
    assert submission_headers(headers) == before + after


@pytest.mark.parametrize("name", ["encrypted-pkesk6-seipd2", "securejoin-vc", "plain", "asm"])
def test_the_subject_of_every_submission_is_hidden(name: str) -> None:
    headers, _ = split(MESSAGES[name])
    cleaned = HeaderBlock.parse(submission_headers(headers))
    assert cleaned.all(b"subject") == [b"[...]"]
    assert bytes(cleaned.without((b"subject",))) == bytes(headers.without((b"subject",)))


def test_no_subject_is_added_and_several_become_one() -> None:
    assert submission_headers(HeaderBlock.parse(b"To: x\r\n\r\n")) == b"To: x\r\n\r\n"
    twice = HeaderBlock.parse(b"subject: one\r\n folded\r\nTo: x\r\nSubject: two\r\n\r\n")
    assert submission_headers(twice) == b"Subject: [...]\r\nTo: x\r\n\r\n"


def test_what_was_verified_on_the_way_is_dropped_at_delivery() -> None:
    headers = HeaderBlock.parse(
        b"DKIM-Signature: v=1;\r\n b=x\r\nReceived: x\r\nFrom: x\r\nauthentication-results: y\r\nSubject: s\r\n\r\n"
    )
    assert delivered_headers(headers) == b"From: x\r\nSubject: s\r\n\r\n"
