"""Bounces, read back by the standard library's own parser."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from chatmail.mail.envelope import NO_SUCH_RECIPIENT, SmtpReply
from chatmail.mail.message import HeaderBlock, parse_from
from chatmail.mail.trace_headers import FailedRecipient, bounce_message
from chatmail.policy.encryption import Direction
from chatmail.policy.verdict import ACCEPT
from tests.support.corpus import MESSAGES, address, judge, split
from tests.support.openpgp_samples import SENDER

NOW = datetime(2026, 11, 22, 20, 42, 23, tzinfo=UTC)
GONE = FailedRecipient(address("gone12345@chat.example"), NO_SUCH_RECIPIENT)
REMOTE = FailedRecipient(
    address("jürgen@bücher.example"), SmtpReply(554, "no\r\nInjected: yes\r\n\r\n--token--\u2028" + "x" * 9000)
)


def bounce(*failed: FailedRecipient, original: HeaderBlock | None = None, domain: str = "chat.example") -> bytes:
    return bounce_message(
        domain=domain,
        sender=address(SENDER),
        failed=failed or (GONE,),
        original=original or split(MESSAGES["encrypted-pkesk6-seipd2"])[0],
        arrived_at=NOW,
        now=NOW,
        token="0123456789abcdef",
    )


def parsed(message_bytes: bytes) -> EmailMessage:
    message = message_from_bytes(message_bytes, policy=policy.default)
    assert isinstance(message, EmailMessage) and not message.defects
    return message


def test_a_bounce_is_a_report_of_three_parts_from_the_mailer_daemon() -> None:
    message = parsed(bounce())
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert str(message["From"]) == "Mail Delivery System <MAILER-DAEMON@chat.example>"
    assert str(message["To"]) == SENDER
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Message-ID"] == "<0123456789abcdef@chat.example>"
    assert message["Date"].datetime == NOW
    types = [part.get_content_type() for part in message.iter_parts()]
    assert types == ["text/plain", "message/delivery-status", "text/rfc822-headers"]


def test_the_text_is_a_human_sentence_with_the_names_of_who_did_not_get_it() -> None:
    text = next(parsed(bounce(GONE, REMOTE)).iter_parts()).get_content()
    assert "mail delivery" in text
    assert "gone12345@chat.example" in text and "jürgen@bücher.example" in text


def test_the_status_is_there_for_programs() -> None:
    about_message, about_recipient = list(parsed(bounce()).walk())[3:5]
    assert about_message["Reporting-MTA"] == "dns; chat.example"
    assert about_recipient["Final-Recipient"] == "rfc822; gone12345@chat.example"
    assert (about_recipient["Action"], about_recipient["Status"]) == ("failed", "5.1.1")
    assert about_recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 This address does not exist here"


def test_only_the_header_of_the_original_is_returned() -> None:
    message_bytes = MESSAGES["encrypted-pkesk6-seipd2"]
    headers, _ = split(message_bytes)
    result = bounce(original=headers)
    assert b"\r\n\r\n" + bytes(headers)[:-2] + b"\r\n--0123456789abcdef--\r\n" in result
    assert b"BEGIN PGP" not in result


def test_the_reply_of_another_server_stays_one_line_of_bounded_length() -> None:
    message_bytes = bounce(REMOTE)
    assert b"\r\nInjected" not in message_bytes and b"\r\n--token" not in message_bytes
    assert b"\nFinal-Recipient: utf-8; j\xc3\xbcrgen@b\xc3\xbccher.example\r\n" in message_bytes
    assert b"\nStatus: 5.0.0\r\n" in message_bytes
    assert max(map(len, message_bytes.split(b"\r\n"))) < 998


def test_line_ends_are_crlf_throughout() -> None:
    assert b"\n" not in bounce(GONE, REMOTE).replace(b"\r\n", b"")


def test_eight_bit_headers_are_said_to_be_so() -> None:
    message_bytes = bounce(original=HeaderBlock.parse("From: Jürgen <a@b.example>\r\n\r\n".encode()))
    assert b"text/rfc822-headers\r\nContent-Transfer-Encoding: 8bit\r\n" in message_bytes
    assert b"text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n" in bounce()


def test_a_relay_without_a_domain_bounces_from_its_address() -> None:
    headers, _ = split(bounce(domain="[192.0.2.1]"))
    assert str(parse_from(headers)) == "mailer-daemon@[192.0.2.1]"


def test_other_chatmail_servers_let_the_bounce_pass() -> None:
    assert judge(bounce(GONE, REMOTE), Direction.INBOUND) == ACCEPT
