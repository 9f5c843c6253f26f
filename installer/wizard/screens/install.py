"""The page that installs: the exact plan, then progress, then the last page; or what stopped it, and what is left."""

from collections.abc import Iterable
from enum import Enum, auto

from textual import on
from textual.widget import Widget
from textual.widgets import Static

from chatmail import api
from installer.wizard.journey import Step
from installer.wizard.marks import Mark, Row, plan_row, step_row
from installer.wizard.messages import Installed, InstallStepped, InstallStopped, Planned
from installer.wizard.screens.step_screen import StepScreen
from installer.wizard.texts import install as texts
from installer.wizard.widgets.check_list import CheckList
from installer.wizard.widgets.more_line import MoreLine


class _State(Enum):
    PLANNING = auto()
    READY = auto()
    WORKING = auto()
    FAILED = auto()


class InstallScreen(StepScreen):
    """Nothing is done before Enter."""

    STEP = Step.INSTALL
    title_text = texts.TITLE
    lead_text = texts.LEAD
    next_label = texts.INSTALL
    DEFAULT_CSS = """
    InstallScreen #trouble { height: auto; max-height: 60%; padding: 0 1; border-left: thick $error; overflow-y: auto; }
    InstallScreen #plan .name { width: 8; }
    InstallScreen.-failed #progress { height: 1fr; min-height: 2; }
    InstallScreen.-failed.-roomy #progress { height: auto; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._state = _State.PLANNING
        self._plan: api.Plan | None = None
        self._unread = 0
        """How many lines of the plan have not been in sight yet."""

    def content(self) -> Iterable[Widget]:
        """One list for the plan and for the progress."""
        plan = CheckList(id="plan")
        yield plan
        yield MoreLine(plan)
        yield CheckList(names=False, id="progress")
        yield Static("", id="trouble", markup=False)

    def on_mount(self) -> None:
        """The plan first."""
        self._make_plan()

    def _make_plan(self) -> None:
        self._state = _State.PLANNING
        self._unread = 0
        self.allow_next(False)
        self.query_one("#trouble").display = self.query_one("#progress").display = False
        self.say(Mark.WORKING, texts.PLANNING)
        self.wizard.work.make_plan(self, self.journey.answers)

    @on(Planned)
    async def _planned(self, message: Planned) -> None:
        self._plan = self.wizard.plan = message.plan
        items = message.plan.items
        await self.query_one("#plan", CheckList).replace(plan_row(item) for item in items)
        self._state = _State.READY
        self._unread = len(items)
        self.call_after_refresh(self._read_so_far)

    @on(MoreLine.Counted)
    def _read_so_far(self) -> None:
        """Nobody installs what they have not seen."""
        if self._state is not _State.READY or self._plan is None:
            return
        self._unread = min(self._unread, self.query_one("#plan", CheckList).out_of_sight()[1])
        items = self._plan.items
        changing = sum(item.action is not api.Action.KEEP for item in items)
        ready = texts.UNREAD if self._unread else texts.READY if self._plan.changes else texts.NOTHING
        self.say(Mark.OK, ready.format(count=changing, total=len(items)))
        self.allow_next(True, texts.READ_ON if self._unread else texts.INSTALL)
        self.query_one("#next").focus()

    def work_stopped(self) -> None:
        """No plan; back to what it was made from, or once more."""
        self._state = _State.FAILED
        self.allow_next(True, texts.AGAIN)

    def proceed(self) -> None:
        """Do it, or try again."""
        if self._plan is None:
            return self._make_plan()
        if self._state is _State.READY and self._unread:
            return self.action_read("page_down")
        self._state = _State.WORKING
        self.wizard.begin_installing()
        self.remove_class("-failed")
        self.query_one("#trouble").display = False
        self.head(texts.TITLE_WORKING, texts.LEAD_WORKING)
        self.say(Mark.WORKING, texts.TITLE_WORKING)
        self.allow_next(False)
        self.show_buttons(False)
        waiting = [Row(Mark.WAITING, "", sentence) for sentence in api.INSTALL_STEPS.values()]
        self.query_one("#plan").display = False
        rows = self.query_one("#progress", CheckList)
        rows.display = True
        rows.focus()
        self.call_next(rows.replace, waiting)
        self.wizard.work.install(self, self._plan, self.wizard.stop_installing)

    @on(InstallStepped)
    def _stepped(self, message: InstallStepped) -> None:
        self.query_one("#progress", CheckList).show(message.report.number - 1, step_row(message.report))

    @on(Installed)
    def _installed(self) -> None:
        self.wizard.end_installing(done=True)
        super().proceed()

    @on(InstallStopped)
    def _install_stopped(self, message: InstallStopped) -> None:
        self._state = _State.FAILED
        self.wizard.end_installing(done=False)
        self.add_class("-failed")
        left = texts.PREVIOUS if message.left is api.LeftBehind.PREVIOUS else texts.RESUMABLE
        self.head(texts.TITLE_FAILED, left)
        self.say(Mark.FAILED, message.sentence)
        trouble = self.query_one("#trouble", Static)
        trouble.display = bool(message.log_lines)
        trouble.update("\n".join([texts.LAST_WORDS, *message.log_lines]))
        self.show_buttons(True)
        self.allow_next(True, texts.AGAIN)
        self.query_one("#next").focus()

    def can_go_back(self) -> bool:
        """Not while it works."""
        return self._state is not _State.WORKING
