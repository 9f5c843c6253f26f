"""The way through the wizard: which pages there are, in which order, and where to begin."""

from dataclasses import replace

import pytest

from chatmail import api
from installer.wizard.journey import Course, Journey, Step, first_journey, offers
from tests.support.wizard_door import DOMAIN, NOTHING_INSTALLED

ANSWERS = api.Answers(DOMAIN)
COMPLETE = replace(
    NOTHING_INSTALLED, installed=True, complete=True, version=api.VERSION, mail_domain=DOMAIN, answers=ANSWERS
)
LEFT = replace(NOTHING_INSTALLED, installed=True, answers=ANSWERS, step="Certificate")


def test_seven_pages_lead_to_a_domain_and_six_to_an_address() -> None:
    assert Journey(ANSWERS).steps == tuple(Step)
    assert Journey(api.Answers("203.0.113.5")).number(Step.CERTIFICATE) == (4, 6)


@pytest.mark.parametrize("course", list(Course))
def test_forth_and_back_are_each_others_reverse(course: Course) -> None:
    journey = Journey(ANSWERS, course)
    for step in journey.steps[:-2]:
        assert journey.before(journey.after(step)) is step
    assert journey.after(Step.DONE) is Step.DONE and journey.before(Step.DONE) is None


def test_the_domain_of_what_is_installed_cannot_be_changed() -> None:
    assert Step.DOMAIN not in Journey(ANSWERS, Course.CHANGE).steps


@pytest.mark.parametrize(("domain", "tls"), [("_a.example.net", "self-signed"), ("192.168.1.2", "self-signed")])
def test_the_certificate_follows_the_name_unless_it_was_said(domain: str, tls: str) -> None:
    judged = api.validate_domain(domain)
    assert isinstance(judged, api.DomainAnswer)
    assert Journey(ANSWERS).with_domain(judged).answers.tls_mode == tls
    assert Journey(ANSWERS, tls_chosen=True).with_domain(judged).answers.tls_mode == "acme"


def test_what_was_said_on_the_command_line_counts_above_what_is_remembered() -> None:
    preset = {"mail_domain": "other.example.net", "delete_mails_after": 3, "resolvers": ("127.0.0.1",)}
    journey = first_journey(LEFT, preset)
    assert journey.answers == replace(
        ANSWERS, mail_domain="other.example.net", delete_mails_after=3, resolvers=("127.0.0.1",)
    )
    assert first_journey(NOTHING_INSTALLED, {}).answers == api.Answers("")
    assert first_journey(NOTHING_INSTALLED, {"mail_domain": "no domain"}).answers.mail_domain == ""


@pytest.mark.parametrize(
    ("state", "keys", "first"),
    [
        (NOTHING_INSTALLED, ["new"], Step.DOMAIN),
        (COMPLETE, ["repair", "change"], Step.INSTALL),
        (replace(COMPLETE, version="0.0.1"), ["upgrade", "change"], Step.INSTALL),
        (replace(COMPLETE, answers=None), [], None),
        (LEFT, ["resume", "again"], Step.CERTIFICATE),
        (replace(LEFT, step="unheard of"), ["resume", "again"], Step.DNS),
        (replace(LEFT, steps_done=("user",)), ["resume", "again"], Step.INSTALL),
        (replace(LEFT, answers=None), ["again"], Step.DOMAIN),
    ],
)
def test_what_is_offered_depends_on_what_is_found(
    state: api.InstalledState, keys: list[str], first: Step | None
) -> None:
    found = offers(state, api.VERSION)
    assert [offer.key for offer in found] == keys
    assert not found or found[0].step is first
