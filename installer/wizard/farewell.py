"""What is said when the operator leaves: what lies on the machine now, and how to go on. Pure."""

from dataclasses import dataclass

from installer.wizard.journey import Step


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
             command: str, program: str) -> Farewell:  # fmt: skip
    """`kept`: something was written (answers, keys); `installing`: steps were begun; `installed`: it runs.

    `command` starts this again as it was started, `program` is the same without arguments.
    """
    go_on = (command, "goes on where you left")
    remove = (f"{program} uninstall", "removes what was made")
    if installed:
        status = ("chatmail status", "shows how it is doing")
        certificate = ("chatmail cert status", "says whether the certificate has come by now")
        return Farewell(
            "The server is installed and runs.", (status, certificate) if certificate_missing else (status,)
        )
    if installing:
        return Farewell("The installation is not complete; what is done stays.", (go_on, remove))
    if kept:
        return Farewell(f"Nothing is installed yet; your answers are kept, up to “{step}”.", (go_on, remove))
    return Farewell("Nothing was changed on this machine.", ((command, "starts again"),))
