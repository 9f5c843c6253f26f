"""What people type as the name of their server, and what they are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmail.config import Config, parse_config
from chatmail.errors import ConfigError
from chatmail.installation.answers import Answers, DomainAnswer, DomainKind, DomainProblem, validate_domain
from chatmail.installation.config_file import answers_of, new_config_text, with_answers


@pytest.mark.parametrize(
    ("typed", "domain", "kind", "tls"),
    [
        ("chat.example.net", "chat.example.net", DomainKind.DOMAIN, "acme"),
        ("  Chat.Example.NET ", "chat.example.net", DomainKind.DOMAIN, "acme"),
        ("xn--mller-kva.de", "xn--mller-kva.de", DomainKind.DOMAIN, "acme"),
        ("_chat.test", "_chat.test", DomainKind.TEST, "self-signed"),
        ("8.8.8.8", "8.8.8.8", DomainKind.IP_ADDRESS, "acme"),
        ("[2A01:0::1]", "2a01::1", DomainKind.IP_ADDRESS, "acme"),
        ("192.168.1.7", "192.168.1.7", DomainKind.IP_ADDRESS, "self-signed"),
    ],
)
def test_a_usable_name_is_taken_in_the_form_of_the_configuration(
    typed: str, domain: str, kind: DomainKind, tls: str
) -> None:
    answer = validate_domain(typed)
    assert isinstance(answer, DomainAnswer)
    assert (answer.mail_domain, answer.kind, answer.default_tls) == (domain, kind, tls)


@pytest.mark.parametrize(
    ("typed", "words", "suggestion"),
    [
        ("", "Type the domain", ""),
        ("https://chat.example.net/", "without https://", "chat.example.net"),
        ("https://Müller.de:443/x", "without https://", "xn--mller-kva.de"),
        ("chat.example.net/new", "without a path", "chat.example.net"),
        ("me@chat.example.net", "without a name and @", "chat.example.net"),
        ("chat.example.net:443", "without a port", "chat.example.net"),
        ("[2a01::1]:25", "without a port", "2a01::1"),
        ("chat.example.net.", "without the final dot", "chat.example.net"),
        ("chat..example.net", "a dot too many", "chat.example.net"),
        ("müller.de", "technical form", "xn--mller-kva.de"),
        (f"{'a' * 64}.de", "at most 63", ""),
        (f"{'abc.' * 70}de", "at most 253", ""),
        ("192.0.2", "3 parts instead of 4", ""),
        ("192.0.2.300", "'300' is no number", ""),
        ("192.0.2.07", "without leading zeros", "192.0.2.7"),
        ("192.0.2.1.", "5 parts instead of 4", ""),
        ("2001:db8::zz", "not a valid IPv6 address", ""),
        ("127.0.0.1", "no address that others can reach", ""),
        ("chat", "has no dot", ""),
        ("-chat.example.net", "hyphen", ""),
        ("my chat.example.net", "a blank", ""),
        ("my_chat.example.net", "underscore", ""),
        ("chat.example.123", "must be a domain", ""),
        ("chat\x00.example.net", "This is no domain", ""),
    ],
)
def test_a_wrong_form_is_explained_and_what_was_meant_is_suggested(typed: str, words: str, suggestion: str) -> None:
    problem = validate_domain(typed)
    assert isinstance(problem, DomainProblem), problem
    assert words in problem.sentence
    assert problem.suggestion == suggestion


@given(st.text(max_size=300) | st.from_regex(r"[a-zA-Z0-9._:/@\[\]-]{0,80}", fullmatch=True))
def test_whatever_is_typed_is_judged_and_what_is_taken_can_be_configured(typed: str) -> None:
    judged = validate_domain(typed)
    if isinstance(judged, DomainProblem):
        assert judged.sentence.endswith(".") and "\n" not in judged.sentence
        assert not judged.suggestion or isinstance(validate_domain(judged.suggestion), DomainAnswer)
    else:
        answers = Answers(judged.mail_domain, tls_mode=judged.default_tls)
        assert parse_config(new_config_text(answers)).mail_domain == judged.mail_domain


CHANGED = Answers(
    "chat.example.net",
    acme_email="me@example.net",
    registration="closed",
    delete_mails_after=5,
    max_mailbox_size=100 * 1024 * 1024,
    resolvers=("127.0.0.1:5353",),
    admin='mailto:"me"@example.net',
)


def test_a_first_file_says_what_was_answered_and_leaves_the_rest_at_its_default() -> None:
    config = parse_config(new_config_text(Answers("chat.example.net")))
    assert config == Config("chat.example.net")
    assert answers_of(parse_config(new_config_text(CHANGED))) == CHANGED


def test_each_key_of_a_first_file_has_a_comment() -> None:
    lines = new_config_text(CHANGED).splitlines()
    keys = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) > 8
    assert all(lines[number - 1].startswith("# ") for number in keys)


def test_answers_change_their_lines_and_nothing_else() -> None:
    text = '# mine\nmail_domain = "chat.example.net"\n\n[mail] # sizes\ndelete_mails_after = 20\nmax_recipients = 5\n'
    changed = with_answers(text, CHANGED)
    assert "# mine" in changed and "max_recipients = 5" in changed and "[mail] # sizes" in changed
    assert answers_of(parse_config(changed)) == CHANGED
    assert with_answers(changed, CHANGED) == changed


def test_the_same_answers_leave_a_file_as_it_is() -> None:
    text = '# only this\nmail_domain = "chat.example.net"'
    assert with_answers(text, Answers("chat.example.net")) == text


def test_answers_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="both cert_file and key_file"):
        new_config_text(Answers("chat.example.net", tls_mode="files"))
