"""What the operator can have done from here: each with the question before it, and the sentence after.

Pure but for `do`, which is called by a worker with the source, and returns the sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chatmail.api import AccountCounts
from installer.dashboard import wording
from installer.dashboard.source import Progress, Source, Waiting

INVITE_QUESTION: Final = "New accounts are for invited people. Make an invitation for one account?"
_MODES: Final = {"open": "open to everybody", "invite": "by invitation only", "closed": "closed"}


@dataclass(frozen=True, slots=True)
class Command:
    """Something that is done once it is confirmed."""

    title: str
    question: str
    yes: str
    do: Callable[[Source, Progress], str]
    takes_long: bool = False
    """Whether its progress is shown in a window."""


def retry(which: Waiting, what: str) -> Command:
    """Try to send what waits; `what` names it in the middle of a sentence."""

    def do(source: Source, _progress: Progress) -> str:
        return f"{wording.counted(source.retry(which), 'message')} on the way again; the queue shows what comes of it."

    return Command("Try again", f"Try to send {what} now?", "Try now", do)


def drop(which: Waiting, what: str) -> Command:
    """Give up on what waits."""

    def do(source: Source, _progress: Progress) -> str:
        return f"{wording.counted(source.drop(which), 'message')} dropped."

    return Command("Drop", f"Drop {what} for good? The senders are not told.", "Drop", do)


def renew_certificate() -> Command:
    """Obtain a new certificate."""

    def do(source: Source, progress: Progress) -> str:
        source.renew_certificate(progress)
        return "The new certificate is in use."

    return Command("Renew the certificate", "Obtain a new certificate now? Nobody is disconnected.", "Renew", do, True)


def check_dns() -> Command:
    """Look at the DNS records."""

    def do(source: Source, _progress: Progress) -> str:
        return f"Compared with the name servers: {source.check_dns()}."

    return Command("Check the DNS", "Compare the DNS records with the name servers now?", "Check", do, True)


def switch_registration(accounts: AccountCounts) -> Command:
    """Close registration where it is open, else open it."""
    mode = "closed" if accounts.registration == "open" else "open"

    def do(source: Source, _progress: Progress) -> str:
        return f"Registration is {_MODES[source.set_registration(mode)]} from now on."

    if mode == "open":
        return Command("Registration", "Let everybody have an account from now on?", "Open", do)
    return Command("Registration", "Give nobody a new account from now on? Those that exist go on.", "Close", do)


def run_expiry() -> Command:
    """Remove what is over its time."""

    def do(source: Source, progress: Progress) -> str:
        done = source.run_expiry(progress)
        messages, accounts = int(done["messages"]), int(done["accounts"])
        size = wording.size(int(done["message_bytes"]) + int(done["account_bytes"]))
        what = f"{wording.counted(messages, 'message')} and {wording.counted(accounts, 'account')}"
        return f"Removed {what}, {size} in all."

    question = "Remove all mail and accounts that are over their time now? The server does so every hour by itself."
    return Command("Run expiry", question, "Remove", do, True)
