"""The progress of a certificate order as a list of steps; it may begin again in another way. Pure."""

from dataclasses import dataclass, replace

from chatmail import api
from installer.wizard.marks import Mark, Row


@dataclass(frozen=True, slots=True)
class Order:
    """`at` is the present step (-1 before the first); `failed` if it ended there, `done` if all went well."""

    steps: tuple[str, ...] = api.CERTIFICATE_STEPS
    at: int = -1
    failed: bool = False
    done: bool = False

    def stepped(self, step: str) -> "Order":
        """Came to `step`; one that is not among the usual ones stands alone."""
        if step not in self.steps:
            return Order((step,), 0)
        return replace(self, at=self.steps.index(step))

    def rows(self) -> list[Row]:
        """As they are shown."""
        return [Row(self._mark(number), "", step[:1].upper() + step[1:]) for number, step in enumerate(self.steps)]

    def _mark(self, number: int) -> Mark:
        if self.done or number < self.at:
            return Mark.DONE
        if number > self.at:
            return Mark.WAITING
        return Mark.FAILED if self.failed else Mark.WORKING


def names_of(certificate: api.ObtainedCertificate) -> str:
    """`chat.example.org, www.chat.example.org`."""
    return ", ".join(certificate.names) or "this server"


def until(certificate: api.ObtainedCertificate) -> str:
    """The day it ends."""
    return certificate.not_after.strftime("%Y-%m-%d") if certificate.not_after else "further notice"
