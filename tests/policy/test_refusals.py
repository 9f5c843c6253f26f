from chatmail.login import LoginRefusal
from chatmail.mail.address import Address
from chatmail.mail.envelope import ENCRYPTION_NEEDED, SmtpReply
from chatmail.policy.accounts import CreationRefusal
from chatmail.policy.rate_limit import RateLimit, SendRates
from chatmail.policy.refusals import reason_of, reason_of_login
from chatmail.policy.verdict import Accept


def test_a_reason_never_quotes_whom_it_concerns() -> None:
    rates, alice = SendRates(RateLimit(1, 1)), Address("alice", "chat.example")
    while isinstance(verdict := rates.take(alice, 0.0), Accept):
        pass
    assert "alice" in str(verdict.reply)
    assert reason_of(verdict.reply) == "too_fast"
    assert reason_of(SmtpReply(500, "Invalid FROM <a@b> for <c@d>")) == "malformed"
    assert reason_of(ENCRYPTION_NEEDED) == "not_encrypted"
    assert reason_of(SmtpReply(599, "something new")) == "other"


def test_every_refused_login_has_a_word() -> None:
    words = {reason_of_login(refusal.value) for kind in (LoginRefusal, CreationRefusal) for refusal in kind}
    assert len(words) == len(LoginRefusal) + len(CreationRefusal)
    assert all(word.startswith("login_") and word.replace("_", "").isalpha() for word in words)
