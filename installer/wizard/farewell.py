"""What is said when the operator leaves: what lies on the machine now, and how to go on. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from chatmail import api
from installer.wizard.journey import Step

KEPT = "Nothing is installed yet; your answers are kept, up to “{step}” (in /opt/chatmail, keys in /var/lib/chatmail)."


@dataclass(frozen=True, slots=True)
class Farewell:
    """`left` is one sentence on the state of the machine; `how` are commands, each with what it does."""

    left: str
    how: tuple[tuple[str, str], ...] = ()

    def lines(self) -> list[str]:
        """As text for the terminal that is left."""
        width = max((len(command) for command, _ in self.how), default=0)
        return [self.left, *(f"  {command:<{width}}   {what}" for command, what in self.how)]


def farewell(step: Step, *, kept: bool, installing: bool, installed: bool, certificate_missing: bool,
             command: str, program: str, as_typed: Callable[[str], str]) -> Farewell:  # fmt: skip
    """`kept`: something was written (answers, keys); `installing`: steps were begun; `installed`: it runs.

    `command` starts this again as it was started, `program` is the same without arguments; `as_typed` puts sudo before
    a command where that is needed.
    """
    go_on = (command, "goes on where you left")
    remove = (f"{program} uninstall", "removes what was made")
    if installed:
        certificate = ("chatmail cert status", "whether the certificate has come by now")
        commands = (certificate, *api.WORTH_REMEMBERING) if certificate_missing else api.WORTH_REMEMBERING
        typed = tuple((as_typed(command), what) for command, what in commands)
        return Farewell("The server is installed and runs. Worth remembering:", typed)
    if installing:
        return Farewell("The installation is not complete; what is done stays.", (go_on, remove))
    if kept:
        return Farewell(KEPT.format(step=step), (go_on, remove))
    return Farewell("Nothing was changed on this machine.", ((command, "starts again"),))
