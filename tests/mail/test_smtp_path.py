import pytest

from chatmail.mail.address import Address
from chatmail.mail.smtp_path import MailArgument, PathError, parse_mail, parse_rcpt

ALICE = Address("alice", "example.org")


def mail_code(argument: str) -> int:
    with pytest.raises(PathError) as caught:
        parse_mail(argument)
    return caught.value.reply.code


def rcpt_code(argument: str, *, smtp_utf8: bool = False) -> int:
    with pytest.raises(PathError) as caught:
        parse_rcpt(argument, smtp_utf8=smtp_utf8)
    return caught.value.reply.code


@pytest.mark.parametrize(
    ("argument", "parsed"),
    [
        ("FROM:<alice@example.org>", MailArgument(ALICE)),
        ("from:<Alice@Example.ORG>", MailArgument(ALICE)),
        ("FROM: <alice@example.org> ", MailArgument(ALICE)),
        ("FROM:<alice@example.org> BODY=8BITMIME SMTPUTF8", MailArgument(ALICE, smtp_utf8=True)),
        ("FROM:<alice@example.org> size=5000 body=7bit", MailArgument(ALICE, size_bytes=5000)),
        ("FROM:<alice@example.org> AUTH=<>", MailArgument(ALICE)),
        ("FROM:<alice@[127.0.0.1]>", MailArgument(Address("alice", "[127.0.0.1]"))),
        ("FROM:<alice@[IPv6:::1]>", MailArgument(Address("alice", "[ipv6:::1]"))),
        ("FROM:<>", MailArgument(None)),
        ("FROM:<> SIZE=10", MailArgument(None, size_bytes=10)),
        ("FROM:<jürgen@example.org> SMTPUTF8", MailArgument(Address("jürgen", "example.org"), smtp_utf8=True)),
    ],
)
def test_mail_arguments_are_understood(argument: str, parsed: MailArgument) -> None:
    assert parse_mail(argument) == parsed


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("", 501),
        ("TO:<alice@example.org>", 501),
        ("FROM:alice@example.org", 501),
        ("FROM:<alice@example.org", 501),
        ("FROM:<alice>", 501),
        ("FROM:<@relay.example:alice@example.org>", 501),
        ('FROM:<"alice"@example.org>', 501),
        ("FROM:<alice@example.org>BODY=8BITMIME", 501),
        ("FROM:<alice@example.org> BODY=BINARYMIME", 501),
        ("FROM:<alice@example.org> SIZE=many", 501),
        ("FROM:<alice@example.org> SIZE=", 501),
        ("FROM:<alice@example.org> SIZE=1 SIZE=2", 501),
        ("FROM:<alice@example.org> SMTPUTF8 SMTPUTF8", 501),
        ("FROM:<alice@example.org> SMTPUTF8=yes", 501),
        ("FROM:<alice@example.org> RET=HDRS", 555),
        ("FROM:<jürgen@example.org>", 553),
    ],
)
def test_wrong_mail_arguments_know_their_reply(argument: str, code: int) -> None:
    assert mail_code(argument) == code


def test_rcpt_takes_an_address_and_nothing_else() -> None:
    assert parse_rcpt("TO:<alice@example.org>", smtp_utf8=False) == ALICE
    assert parse_rcpt("To: <ALICE@example.org>", smtp_utf8=False) == ALICE
    assert rcpt_code("TO:<>") == 501
    assert rcpt_code("FROM:<alice@example.org>") == 501
    assert rcpt_code("TO:<alice@example.org> NOTIFY=NEVER") == 555
    assert rcpt_code("TO:<not an address>") == 501
    assert rcpt_code("TO:<a..b@example.org>") == 501


def test_a_recipient_beyond_ascii_needs_smtputf8() -> None:
    assert rcpt_code("TO:<jürgen@example.org>") == 553
    assert parse_rcpt("TO:<jürgen@example.org>", smtp_utf8=True) == Address("jürgen", "example.org")
