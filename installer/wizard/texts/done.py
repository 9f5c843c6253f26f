"""The last page."""

from collections.abc import Sequence

from installer.wizard.marks import Mark, Row, counted

TITLE = "Your server runs"
TITLE_CHECKING = "Your server runs — testing it"
TITLE_TROUBLE = "Your server runs, but not all is well"
SCAN = "Scan this with Delta Chat on your phone:"
SCAN_ALONE = "Press Q for a code to scan with Delta Chat on your phone."
CODE = "Code"
CODE_ALONE = "Code alone"
SCAN_CLOSED = "Nobody gets a new account now. Make an invitation: {command}"
SCAN_INVITE = "New people need a link each: {command}"
INVITE = "chatmail registration invite"
PAGE = "People sign up at"
REMEMBER = "Worth remembering"
CHECKING = "Testing the server from the outside in…"
ALL_WELL = "All {count} tests passed."
WARNINGS = "{good} tests passed, {warnings} with a remark."
FAILED = "{failed} of {count} tests failed; they come first above."
FINISH = "Finish"
AGAIN = "Test again"


def summary(rows: Sequence[Row]) -> tuple[Mark, str]:
    """How the test went."""
    failed, warnings = counted(list(rows))
    if failed:
        return Mark.FAILED, FAILED.format(failed=failed, count=len(rows))
    if warnings:
        return Mark.WARNING, WARNINGS.format(good=len(rows) - warnings, warnings=warnings)
    return Mark.OK, ALL_WELL.format(count=len(rows))
