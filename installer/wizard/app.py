"""The wizard's App: keeps the journey, shows its pages, and asks before it is left. And the door to it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType

from chatmail import api
from installer.themed_app import ThemedApp
from installer.widgets.confirmation import ConfirmationModal
from installer.wizard.door import Door
from installer.wizard.farewell import Farewell, farewell
from installer.wizard.journey import Journey, Offer, Step, first_journey
from installer.wizard.marks import Mark
from installer.wizard.messages import Broken
from installer.wizard.screens import screen_of
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import leaving
from installer.wizard.work import Work

LEFT, INTERRUPTED = 0, 130


class WizardApp(ThemedApp):
    """One screen a step; `door` does the work, `options` say how the machine is looked at."""

    TITLE = "chatmail"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "leave", "Leave", priority=True, key_display="^c"),
    ]
    typing_pause_seconds = 0.4
    """How long nobody types before a domain is looked up."""
    dns_interval_seconds = 5.0
    """Between two looks at the records."""

    def __init__(
        self,
        preset: Mapping[str, object] | None = None,
        *,
        door: Door = api,
        outside: str | None = None,
        first_step: Step = Step.WELCOME,
    ) -> None:
        super().__init__()
        self.door = door
        self.work = Work(door)
        self.options = api.PreflightOptions() if outside is None else api.PreflightOptions(outside=outside)
        self.journey = Journey(api.Answers(""))
        self.own_addresses: tuple[str, ...] = ()
        """The outer addresses, where the operator had to say them."""
        self.stop_installing = Event()
        self.installing = self.installed = False
        self.plan: api.Plan | None = None
        """The one that was made last."""
        self.farewell: Farewell | None = None
        self.bug: Exception | None = None
        self._first_step = first_step
        self._preset = dict(preset or {})
        self._kept_step: Step | None = None
        self._question: ConfirmationModal | None = None

    def on_mount(self) -> None:
        """Begin with the first page."""
        self.push_screen(screen_of(self._first_step))

    # --- the journey --------------------------------------------------------------------------------------------

    def present_step(self) -> Step:
        """The page that is shown, below any question."""
        return next((one.STEP for one in reversed(self.screen_stack) if isinstance(one, StepScreen)), Step.WELCOME)

    def know(self, state: api.InstalledState) -> None:
        """What is installed is known: begin with its answers."""
        self.journey = first_journey(state, self._preset)
        self._kept_step = Step.WELCOME if state.installed and not state.complete else None

    def set_out(self, offer: Offer) -> None:
        """From the first page on the course that was chosen."""
        self.journey = self.journey.on_course(offer.course)
        self._show(offer.step)

    def go_on(self, step: Step) -> None:
        """To the page after `step`; from now on the answers are kept for whoever comes back."""
        following = self.journey.after(step)
        if self.journey.answers.mail_domain and not self.installed:
            try:
                self.door.remember(self.journey.answers, following, self.journey.name_style)
            except api.OperatorError as error:
                shown = self.screen
                return shown.say(Mark.FAILED, str(error)) if isinstance(shown, StepScreen) else None
            self._kept_step = following
        self._show(following)

    def prefer(self, name_style: api.RecordRendering) -> None:
        """Show the names of records so, also to whoever comes back."""
        self.journey = replace(self.journey, name_style=name_style)
        if self._kept_step is not None:
            # What cannot be written now is said when it matters, at the next page.
            with suppress(api.OperatorError):
                self.door.remember(self.journey.answers, self._kept_step, name_style)

    def go_back(self, step: Step) -> None:
        """To the page before `step`."""
        before = self.journey.before(step)
        if before is not None:
            self._show(before)

    def begin_installing(self) -> None:
        """From now on leaving means stopping between two steps."""
        self.stop_installing.clear()
        self.installing = True

    def end_installing(self, *, done: bool) -> None:
        """It came to its end, or stopped."""
        self.installing = False
        self.installed = self.installed or done

    def effective_config(self) -> api.Config:
        """What the server runs with: the answers, and what else the operator wrote into the file."""
        return self.plan.config if self.plan else api.config_of(self.journey.answers)

    def _show(self, step: Step) -> None:
        self.switch_screen(screen_of(step))

    # --- leaving ------------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Ask, saying what lies on the machine and how to go on."""
        if isinstance(self.screen, ConfirmationModal):
            # Whoever presses it twice means it.
            self.screen.dismiss(self.screen is self._question)
            return
        if self.present_step() is Step.DONE:
            return self.finish()
        if self.installing:
            question = ConfirmationModal(leaving.INSTALLING_TITLE, leaving.INSTALLING_QUESTION,
                                         yes=leaving.INSTALLING_YES, no=leaving.INSTALLING_NO)  # fmt: skip
            return self._ask(question, self._stop_installing)
        said = self._farewell()
        details = [leaving.GO_ON.format(command=command, what=what) for command, what in said.how]
        question = ConfirmationModal(leaving.TITLE, said.left, details=details, yes=leaving.YES, no=leaving.NO)
        self._ask(question, self._leave)

    def _ask(self, question: ConfirmationModal, then: Callable[[bool | None], None]) -> None:
        self._question = question
        self.push_screen(question, then)

    def _stop_installing(self, sure: bool | None) -> None:
        if sure:
            self.stop_installing.set()

    def _leave(self, sure: bool | None) -> None:
        if sure:
            self.farewell = self._farewell()
            self.exit(INTERRUPTED if self._kept_step else LEFT)

    def finish(self) -> None:
        """The operator has seen all."""
        self.farewell = self._farewell()
        self.exit(LEFT)

    def _farewell(self) -> Farewell:
        begun = self.present_step() is Step.INSTALL and self.door.left_behind() is api.LeftBehind.RESUMABLE
        return farewell(
            self._kept_step or self.present_step(),
            kept=self._kept_step is not None,
            installing=begun and self.stop_installing.is_set(),
            installed=self.installed,
            certificate_missing=self.journey.certificate_missing,
            command=self.door.start_command(),
            program=self.door.start_command(arguments=False),
            as_typed=self.door.as_typed,
        )

    # --- faults -------------------------------------------------------------------------------------------------

    @on(Broken)
    def _broken(self, message: Broken) -> None:
        self._handle_exception(message.error)

    def _handle_exception(self, error: Exception) -> None:
        """A bug of ours: the screen is given back, and whoever started us says one sentence."""
        if self.farewell is not None:
            # The operator has left; what is still on its way meets pages that are being taken apart.
            return
        self.bug = error
        self.exit(1)


def run_wizard(preset: Mapping[str, object], *, outside: str | None) -> int:
    """Show the screens until the operator leaves; returns the exit code. Raises what was a bug of ours."""
    app = WizardApp(preset, outside=outside)
    code = None
    with suppress(KeyboardInterrupt):
        # Ctrl-C before the terminal is ours comes as a signal, not as a key.
        code = app.run()
    if app.bug is not None:
        raise app.bug
    said = app.farewell or untouched(app.door)
    print("\n".join(said.lines()))
    return INTERRUPTED if code is None else code


def untouched(door: Door) -> Farewell:
    """What is said when it was left before the first page was there."""
    return farewell(
        Step.WELCOME,
        kept=False,
        installing=False,
        installed=False,
        certificate_missing=False,
        command=door.start_command(),
        program=door.start_command(arguments=False),
        as_typed=door.as_typed,
    )
