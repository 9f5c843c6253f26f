"""The page on the certificate: three ways to have one, live progress, and what to do when it is refused."""

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto

from textual import on
from textual.containers import Grid, Vertical
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from chatmail import api
from installer.widgets.confirmation import ConfirmationModal
from installer.wizard.fields import judged_mail_address
from installer.wizard.journey import Step
from installer.wizard.marks import Mark
from installer.wizard.messages import CertificateFound, CertificateObtained, CertificateRefused, CertificateStepped
from installer.wizard.order import Order, names_of, until
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import certificate as texts
from installer.wizard.widgets.check_list import CheckList
from installer.wizard.widgets.choice import Choice
from installer.wizard.widgets.line_input import LineInput

_FIELDS = {
    "acme": (("acme_email", texts.EMAIL),),
    "self-signed": (),
    "files": (("cert_file", texts.CERT_FILE), ("key_file", texts.KEY_FILE)),
}
_LABELS = {"acme": texts.OBTAIN, "self-signed": texts.MAKE, "files": texts.CHECK}


class _State(Enum):
    CHOOSING = auto()
    WORKING = auto()
    FAILED = auto()
    DONE = auto()


class CertificateScreen(StepScreen):
    """Choose, watch, go on."""

    STEP = Step.CERTIFICATE
    title_text = texts.TITLE
    lead_text = texts.LEAD
    DEFAULT_CSS = """
    CertificateScreen #choice { height: auto; }
    CertificateScreen.-roomy #mode > Option { margin-bottom: 1; }
    CertificateScreen #fields { height: auto; grid-size: 2; grid-columns: 19 1fr; grid-rows: 1; margin-top: 1; }
    CertificateScreen #fields Input { max-width: 60; }
    CertificateScreen #hint { color: $text-muted; height: auto; }
    CertificateScreen #trouble { height: auto; margin-top: 1; padding: 0 1; border-left: thick $error; }
    CertificateScreen #progress { height: auto; max-height: 1fr; }
    CertificateScreen.-narrow #progress { height: 1fr; min-height: 2; }
    CertificateScreen.-narrow #lead { display: none; }
    CertificateScreen.-narrow #title { margin-bottom: 1; }
    CertificateScreen.-narrow #fields { grid-size: 1; grid-columns: 1fr; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._state = _State.CHOOSING
        self._order = Order()

    def content(self) -> Iterable[Widget]:
        """The choice, and what is shown once it was made."""
        mode = self.journey.answers.tls_mode
        modes = texts.modes(self.journey.answers.acme_directory)
        with Vertical(id="choice"):
            yield Choice(modes, mode, id="mode")
            with Grid(id="fields"):
                for name, label in (row for rows in _FIELDS.values() for row in rows):
                    yield Label(label, classes=f"of-{name}")
                    value = getattr(self.journey.answers, name)
                    yield LineInput(value, id=name, classes=f"of-{name}", select_on_focus=False)
            yield Static("", id="hint", markup=False)
        yield CheckList(names=False, id="progress")
        yield Static("", id="trouble", markup=False)

    def extra_buttons(self) -> Iterable[Button]:
        """For when it was refused, and for when there is one."""
        another = Button(texts.ANOTHER, id="another")
        another.display = False
        yield another
        without = Button(texts.SKIP_YES, id="without")
        without.display = False
        yield without

    def on_mount(self) -> None:
        """Perhaps there is one already."""
        self._come_to(_State.CHOOSING)
        if self.journey.answers.tls_mode == "acme":
            self.wizard.work.find_certificate(self, self.journey.answers)

    @on(CertificateFound)
    def _found(self, message: CertificateFound) -> None:
        answers = self.journey.answers
        chosen, typed = self.query_one(Choice).value, self.query_one("#acme_email", Input).value
        if (chosen, typed) != (answers.tls_mode, answers.acme_email):
            # It comes late: somebody is busy choosing.
            return
        if self._state is _State.CHOOSING and message.certificate.trusted:
            found = message.certificate
            self.say(Mark.OK, texts.FOUND.format(names=names_of(found), until=until(found)))
            self._come_to(_State.DONE)

    def _come_to(self, state: _State, focus: str = "") -> None:
        """`focus` is the field that was complained of, if one was."""
        self._state = state
        chosen = self.query_one(Choice).value
        self.query_one("#choice").display = state is _State.CHOOSING
        self.query_one("#progress").display = state is not _State.CHOOSING
        self.query_one("#trouble").display = state is _State.FAILED
        self.query_one("#without").display = state is _State.FAILED
        self.query_one("#another").display = state is _State.DONE
        self.show_buttons(state is not _State.WORKING)
        labels = {_State.CHOOSING: _LABELS[chosen], _State.FAILED: texts.AGAIN}
        self.allow_next(state is not _State.WORKING, labels.get(state, self.next_label))
        self._show_fields(chosen)
        if state is _State.CHOOSING:
            self.query_one(f"#{focus}" if focus else "#mode").focus()
        elif state is not _State.WORKING:
            self.query_one("#next").focus()

    def _show_fields(self, mode: str) -> None:
        for name, _label in (row for rows in _FIELDS.values() for row in rows):
            for widget in self.query(f".of-{name}"):
                widget.display = name in dict(_FIELDS[mode])
        acme = texts.email_hint(self.journey.answers.acme_directory)
        hints = {"acme": acme, "self-signed": "", "files": texts.FILES_HINT}
        self.query_one("#hint", Static).update(hints[mode])

    @on(Choice.Changed)
    def _chosen(self) -> None:
        self.say(None)
        self._come_to(_State.CHOOSING)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_proceed()

    # --- having it ----------------------------------------------------------------------------------------------

    def proceed(self) -> None:
        """What the button says in this state."""
        if self._state is _State.DONE:
            self.wizard.journey = replace(self.journey, certificate_missing=False)
            super().proceed()
        elif self._take_answers():
            self._begin()

    def _take_answers(self) -> bool:
        """Keep the choice and its fields; False with a complaint if they cannot be."""
        mode = self.query_one(Choice).value
        typed = {name: self.query_one(f"#{name}", Input).value.strip() for name, _label in _FIELDS[mode]}
        wrong, field = judged_mail_address(typed.get("acme_email", "")), "acme_email"
        if not wrong:
            try:
                self.wizard.journey = replace(self.journey.with_answers(tls_mode=mode, **typed), tls_chosen=True)
                api.config_of(self.journey.answers)
            except api.OperatorError as error:
                wrong = str(error)
                field = next((name for name in typed if name in wrong), next(iter(typed), ""))
        if wrong:
            self._come_to(_State.CHOOSING, focus=field)
            self.say(Mark.FAILED, wrong)
        return not wrong

    def _begin(self) -> None:
        self._order = Order() if self.journey.answers.tls_mode == "acme" else Order(())
        self.say(Mark.WORKING, texts.WORKING if self._order.steps else texts.CHECKING_FILES)
        self._come_to(_State.WORKING)
        self._show_order()
        self.wizard.work.obtain_certificate(self, self.journey.answers)

    def _show_order(self) -> None:
        self.call_next(self.query_one(CheckList).replace, self._order.rows(), in_sight=self._order.at)

    @on(CertificateStepped)
    def _stepped(self, message: CertificateStepped) -> None:
        self._order = self._order.stepped(message.step)
        self._show_order()

    @on(CertificateObtained)
    def _obtained(self, message: CertificateObtained) -> None:
        self._order = replace(self._order, done=True)
        self._show_order()
        found = message.certificate
        said = {"self-signed": texts.MADE, "files": texts.FILES_FINE}.get(found.mode, texts.OBTAINED)
        self.say(Mark.OK, said.format(names=names_of(found), until=until(found)))
        self._come_to(_State.DONE)

    @on(CertificateRefused)
    def _refused(self, message: CertificateRefused) -> None:
        self._order = replace(self._order, failed=True)
        self._show_order()
        self.say(Mark.FAILED, texts.FAILED_AT.format(step=message.step) if message.step else texts.FAILED)
        self.query_one("#trouble", Static).update(message.sentence)
        self._come_to(_State.FAILED)

    @on(Button.Pressed, "#another")
    def _choose_anew(self) -> None:
        self.say(None)
        self._come_to(_State.CHOOSING)

    @on(Button.Pressed, "#without")
    def _without(self) -> None:
        question = ConfirmationModal(
            texts.SKIP_TITLE,
            texts.SKIP_QUESTION,
            details=texts.SKIP_CONSEQUENCES,
            yes=texts.SKIP_YES,
            no=texts.SKIP_NO,
        )
        self.app.push_screen(question, self._go_without)

    def _go_without(self, sure: bool | None) -> None:
        if sure:
            self.wizard.journey = replace(self.journey, certificate_missing=True)
            super().proceed()

    def can_go_back(self) -> bool:
        """An order under way holds the ports; what was refused can be chosen anew."""
        if self._state is _State.FAILED:
            self._choose_anew()
            return False
        return self._state is not _State.WORKING

    def work_stopped(self) -> None:
        """Whether there is one already could not be told, which matters little."""
        self.say(None)
