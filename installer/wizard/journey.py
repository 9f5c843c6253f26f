"""The way through the wizard: which steps there are, which comes next, and where to begin. Pure.

A `Journey` is frozen; each answer makes another. The screens and the lines of text walk the same one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from chatmail import api


class Step(StrEnum):
    """One page; the value is its name for people."""

    WELCOME = "Welcome"
    DOMAIN = "Domain"
    SETTINGS = "Settings"
    DNS = "DNS"
    CERTIFICATE = "Certificate"
    INSTALL = "Install"
    DONE = "Done"


class Course(StrEnum):
    """What the operator came for."""

    NEW = "new"
    CHANGE = "change"
    """Other settings for what is installed; its domain stays."""
    REPAIR = "repair"
    """The same settings, everything put right; also with another version of the program."""


_COURSES = {
    Course.NEW: tuple(Step),
    Course.CHANGE: tuple(step for step in Step if step is not Step.DOMAIN),
    Course.REPAIR: (Step.WELCOME, Step.INSTALL, Step.DONE),
}


@dataclass(frozen=True, slots=True)
class Journey:
    """Where the operator goes, and what was answered. `tls_chosen` keeps another domain from choosing again."""

    answers: api.Answers
    course: Course = Course.NEW
    tls_chosen: bool = False
    certificate_missing: bool = False
    """The operator goes on without the certificate; the server will try on its own."""
    name_style: api.RecordRendering = api.RecordRendering.SHORT_NAMES
    """How the names of DNS records are shown."""

    @property
    def kind(self) -> api.DomainKind:
        """What the server is known by."""
        judged = api.validate_domain(self.answers.mail_domain)
        return judged.kind if isinstance(judged, api.DomainAnswer) else api.DomainKind.DOMAIN

    @property
    def steps(self) -> tuple[Step, ...]:
        """All pages of this way, in order; an IP address needs no DNS."""
        steps = _COURSES[self.course]
        needless = {Step.DNS} if self.kind is api.DomainKind.IP_ADDRESS else set()
        return tuple(step for step in steps if step not in needless)

    def number(self, step: Step) -> tuple[int, int]:
        """`(3, 7)`: the third of seven."""
        steps = self.steps
        return (steps.index(step) + 1 if step in steps else 1), len(steps)

    def after(self, step: Step) -> Step:
        """The next page; the last is its own next."""
        steps = self.steps
        return steps[min(steps.index(step) + 1, len(steps) - 1)] if step in steps else steps[0]

    def before(self, step: Step) -> Step | None:
        """The page to go back to; None where there is no way back, as after an installation."""
        steps = self.steps
        if step is Step.DONE or step not in steps or steps[0] is step:
            return None
        return steps[steps.index(step) - 1]

    def with_answers(self, **changes: object) -> "Journey":
        """The same way with other answers."""
        return replace(self, answers=api.changed_answers(self.answers, **changes))

    def on_course(self, course: Course) -> "Journey":
        """The same answers, for another purpose."""
        return replace(self, course=course)

    def with_domain(self, domain: api.DomainAnswer) -> "Journey":
        """Another name; where the certificate comes from follows it, unless that was said already."""
        tls = {} if self.tls_chosen else {"tls_mode": domain.default_tls}
        return self.with_answers(mail_domain=domain.mail_domain, **tls)

    def with_contact(self, before: str) -> "Journey":
        """The contact, where it is a mail address, is also proposed to the authority, unless another one is there.

        `before` is the contact there was.
        """
        if self.answers.acme_email not in ("", mail_address_of(before)) or self.answers.admin == before:
            return self
        return self.with_answers(acme_email=mail_address_of(self.answers.admin))


def mail_address_of(contact: str) -> str:
    """The address in a `mailto:` link; empty for any other contact."""
    return contact.removeprefix("mailto:").partition("?")[0] if contact.startswith("mailto:") else ""


def first_journey(state: api.InstalledState, preset: Mapping[str, object]) -> Journey:
    """What is installed or remembered, and above it what was said on the command line."""
    said: dict[str, Any] = dict(preset)
    judged = api.validate_domain(str(said.pop("mail_domain", "")))
    journey = Journey(state.answers or api.Answers(""), tls_chosen="tls_mode" in said or state.answers is not None)
    if isinstance(judged, api.DomainAnswer):
        journey = replace(journey.with_domain(judged), tls_chosen=journey.tls_chosen)
    style = next((one for one in api.RecordRendering if one == state.name_style), journey.name_style)
    return replace(journey.with_answers(**said), name_style=style)


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing to do on the first page: what it is called, and one sentence."""

    key: str
    title: str
    sentence: str
    course: Course
    step: Step


def offers(state: api.InstalledState, version: str) -> tuple[Offer, ...]:
    """What can be done with what is found here; the first is what is probably wanted."""
    if not state.installed:
        return (Offer("new", "Install", "Nothing is installed yet.", Course.NEW, Step.DOMAIN),)
    if not state.complete:
        return tuple(_offers_to_go_on(state))
    repair = Offer("repair", "Repair", "Put everything right again; settings, accounts and mail stay.",
                   Course.REPAIR, Step.INSTALL)  # fmt: skip
    if state.version and state.version != version:
        sentence = f"Put version {version} in the place of {state.version}; settings, accounts and mail stay."
        repair = Offer("upgrade", "Change the version", sentence, Course.REPAIR, Step.INSTALL)
    change = Offer("change", "Change settings", "Go through the questions again; accounts and mail stay.",
                   Course.CHANGE, Step.SETTINGS)  # fmt: skip
    return (repair, change) if state.answers is not None else ()


def _offers_to_go_on(state: api.InstalledState) -> list[Offer]:
    again = Offer("again", "Begin again", "Go through all questions; what you answered is filled in.",
                  Course.NEW, Step.DOMAIN)  # fmt: skip
    if state.answers is None or not state.answers.mail_domain:
        return [again]
    step = step_to_resume(state)
    sentence = f"The installation for {state.answers.mail_domain} was left at “{step}”."
    if state.is_only_answered:
        when = f" ({state.kept_at:%Y-%m-%d %H:%M} UTC)" if state.kept_at else ""
        sentence = f"Your answers for {state.answers.mail_domain} are kept{when}; you were at “{step}”."
    return [Offer("resume", "Go on", sentence, Course.NEW, step), again]


def step_to_resume(state: api.InstalledState) -> Step:
    """Where it was left; once something was installed, the plan."""
    if state.steps_done:
        return Step.INSTALL
    return next((step for step in Step if step == state.step), Step.DNS)
