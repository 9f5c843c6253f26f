"""The only workers: each calls the door in a thread of its own, and posts messages to whoever asked.

The threads are daemons: leaving never waits for the network. Stopping an installation is asked for with an event, and
happens between two steps. Workers touch no widget.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread

from textual.message import Message
from textual.message_pump import MessagePump

from chatmail import api
from installer.wizard import messages
from installer.wizard.door import Door

Post = Callable[[Message], object]


class _StoppedByOperatorError(BaseException):
    """Passes through an installation, as an interruption by key does."""


class Work:
    """Starts workers; every method returns at once."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def look(self, to: MessagePump, options: api.PreflightOptions) -> None:
        """`MachineLooked` for each check, then `MachineKnown`."""

        def body(post: Post) -> None:
            state = self._door.installed_state()
            for check in self._door.preflight(options):
                post(messages.MachineLooked(check, state))
            post(messages.MachineKnown(state))

        _start(to, body)

    def resolve(self, to: MessagePump, domain: str, resolvers: Sequence[str]) -> None:
        """`DomainResolved`."""
        _start(to, lambda post: post(messages.DomainResolved(self._door.resolve_now(domain, resolvers))))

    def make_records(self, to: MessagePump, answers: api.Answers, own_addresses: Sequence[str]) -> None:
        """`RecordsReady`, or `Stopped`."""
        _start(to, lambda post: post(messages.RecordsReady(self._door.dns_records(answers, own_addresses))))

    def check_records(self, to: MessagePump, records: api.DnsRecords, resolvers: Sequence[str]) -> None:
        """`RecordsChecked`, or `Stopped`."""
        _start(to, lambda post: post(messages.RecordsChecked(self._door.check_dns(records, resolvers))))

    def find_certificate(self, to: MessagePump, answers: api.Answers) -> None:
        """`CertificateFound`, or `Stopped`."""
        _start(to, lambda post: post(messages.CertificateFound(self._door.certificate_in_use(answers))))

    def obtain_certificate(self, to: MessagePump, answers: api.Answers) -> None:
        """`CertificateStepped` for each step, then `CertificateObtained` or `CertificateRefused`."""

        def body(post: Post) -> None:
            steps = [""]

            def on_step(text: str) -> None:
                steps.append(text)
                post(messages.CertificateStepped(text))

            try:
                post(messages.CertificateObtained(self._door.obtain_certificate(answers, on_step)))
            except api.CertificateRefusedError as error:
                post(messages.CertificateRefused(error.step, str(error)))
            except api.OperatorError as error:
                post(messages.CertificateRefused(steps[-1], str(error)))

        _start(to, body)

    def make_plan(self, to: MessagePump, answers: api.Answers) -> None:
        """`Planned`, or `Stopped`."""
        _start(to, lambda post: post(messages.Planned(self._door.plan(answers))))

    def install(self, to: MessagePump, plan: api.Plan, stop: Event) -> None:
        """`InstallStepped` for each step, then `Installed` or `InstallStopped`; also that once `stop` is set."""

        def body(post: Post) -> None:
            def on_step(report: api.StepReport) -> None:
                post(messages.InstallStepped(report))
                if stop.is_set():
                    raise _StoppedByOperatorError

            try:
                post(messages.Installed(self._door.install(plan, on_step)))
            except api.InstallError as error:
                post(messages.InstallStopped(str(error), error.left, error.log_lines))
            except _StoppedByOperatorError:
                post(messages.InstallStopped("You stopped it.", self._door.left_behind()))

        _start(to, body)

    def check_server(self, to: MessagePump, config: api.Config, ca_file: str) -> None:
        """`ServerChecked` for each check, then `ServerKnown`."""

        def body(post: Post) -> None:
            for check in self._door.doctor(config, ca_file=ca_file):
                post(messages.ServerChecked(check))
            post(messages.ServerKnown())

        _start(to, body)


def _start(to: MessagePump, body: Callable[[Post], object]) -> None:
    def post(message: Message) -> None:
        # Whoever has left hears nothing more: Textual has taken the page apart, and says so by this error.
        with suppress(RuntimeError):
            to.post_message(message)

    def run() -> None:
        try:
            body(post)
        except api.OperatorError as error:
            post(messages.Stopped(str(error)))
        except Exception as error:  # whatever it is, the operator must not be left waiting
            post(messages.Broken(error))

    Thread(target=run, name="wizard-work", daemon=True).start()
