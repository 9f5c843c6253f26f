"""What the wizard asks of the rest of the program: a seam in the shape of `chatmail.api`, which is the real one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from chatmail import api


class Door(Protocol):
    """The functions of `chatmail.api` that the wizard calls, with the meaning they have there."""

    def installed_state(self) -> api.InstalledState:
        """What is installed here."""

    def preflight(self, options: api.PreflightOptions | None = None) -> Iterator[api.PreflightCheck]:
        """Look at this machine."""

    def own_addresses(self) -> tuple[str, ...]:
        """This machine's addresses."""

    def start_command(self, *, arguments: bool = True) -> str:
        """What starts this again."""

    def as_typed(self, command: str) -> str:
        """A command for root as it is to be typed here."""

    def resolve_now(self, domain: str, resolvers: Sequence[str] = (), own_addresses: Sequence[str] = ()
                    ) -> api.Resolution:  # fmt: skip
        """What the domain leads to."""

    def remember(self, answers: api.Answers, step: str = "", name_style: str = "") -> None:
        """Keep the answers."""

    def dns_records(self, answers: api.Answers, own_addresses: Sequence[str] = ()) -> api.DnsRecords:
        """The records to create."""

    def check_dns(self, records: api.DnsRecords, resolvers: Sequence[str] = ()) -> api.DnsReport:
        """Compare them with the authoritative servers."""

    def save_zone(self, records: api.DnsRecords, path: str) -> str:
        """Write the zone file."""

    def certificate_in_use(self, answers: api.Answers) -> api.ObtainedCertificate:
        """What would be presented now."""

    def obtain_certificate(
        self, answers: api.Answers, on_step: Callable[[str], None] = lambda _text: None
    ) -> api.ObtainedCertificate:
        """Have the certificate now."""

    def plan(self, answers: api.Answers) -> api.Plan:
        """What would be done."""

    def install(self, plan: api.Plan, on_step: Callable[[api.StepReport], None] = lambda _report: None) -> bool:
        """Do it."""

    def left_behind(self) -> api.LeftBehind:
        """What an interrupted run left."""

    def doctor(self, config: api.Config, *, ca_file: str = "") -> Iterator[api.DoctorCheck]:
        """Check the running server."""
