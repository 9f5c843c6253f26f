"""The first page."""

TITLE = "Welcome! Is this machine ready?"
LEAD = (
    "Seven short steps lead to your own chat server. Nothing is installed before you see the plan and agree; only your "
    "answers and keys are kept."
)
ANSWERS_KEPT = "Nothing is installed yet; your answers are kept."
LOOKING = "Looking at this machine…"
FINE = "All is fine: this machine is ready."
CAN_GO_ON = "{warnings} need a look, but nothing stops you."
CANNOT_GO_ON = "{stops} must be mended first. Then look again."
LOOK_AGAIN = "Look again"
NEXT = "Next"
INSTALLED = "What do you want to do?"


def things(count: int) -> str:
    """`1 thing`, `2 things`."""
    return f"{count} thing" if count == 1 else f"{count} things"


def summary(stops: int, warnings: int) -> str:
    """The line below the list."""
    if stops:
        return CANNOT_GO_ON.format(stops=things(stops))
    if warnings:
        text = CAN_GO_ON.format(warnings=things(warnings))
        return text.replace("need", "needs", 1) if warnings == 1 else text
    return FINE
