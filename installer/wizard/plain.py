"""The wizard in lines of text: the same pages, texts and logic as the screens, one question after the other."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from chatmail import api
from installer.wizard.door import Door
from installer.wizard.farewell import farewell
from installer.wizard.fields import FIELDS, Field, judged, judged_mail_address, shown
from installer.wizard.journey import Journey, Step, first_journey, offers
from installer.wizard.marks import Mark, Row, counted, doctor_row, plan_row, preflight_row, step_row
from installer.wizard.order import names_of, until
from installer.wizard.plain_console import Console, WentBackError, standard_console
from installer.wizard.records import RecordSheet
from installer.wizard.texts import certificate, dns, domain, done, install, plain, settings, welcome

INTERRUPTED = 130


class _LeftError(Exception):
    """The operator had enough."""


class PlainWizard:
    """Walks the journey on a console."""

    def __init__(self, preset: Mapping[str, object], console: Console, door: Door, outside: str | None) -> None:
        self._preset, self._console, self._door = preset, console, door
        self._options = api.PreflightOptions() if outside is None else api.PreflightOptions(outside=outside)
        self._journey = Journey(api.Answers(""))
        self._own_addresses: tuple[str, ...] = ()
        self._plan: api.Plan | None = None
        self._kept_step: Step | None = None
        self._installing = self._installed = False
        self._pages: dict[Step, Callable[[], Step | None]] = {
            Step.WELCOME: self._welcome,
            Step.DOMAIN: self._domain,
            Step.SETTINGS: self._settings,
            Step.DNS: self._dns,
            Step.CERTIFICATE: self._certificate,
            Step.INSTALL: self._install,
            Step.DONE: self._done,
        }

    def run(self) -> int:
        """Until the last page, or until the operator leaves; returns the exit code."""
        step = Step.WELCOME
        self._console.say(plain.HOW)
        try:
            while step is not Step.DONE:
                step = self._page(step)
            self._done()
        except (KeyboardInterrupt, EOFError, _LeftError):
            self._console.say()
            self._say_farewell(step)
            return 0 if self._installed or not self._kept_step else INTERRUPTED
        return 0

    def _page(self, step: Step) -> Step:
        try:
            following = self._pages[step]() or self._journey.after(step)
        except WentBackError:
            return self._journey.before(step) or step
        except api.OperatorError as error:
            self._console.row(Row(Mark.FAILED, "", str(error)))
            self._console.ask(plain.AGAIN)
            return step
        if self._journey.answers.mail_domain and following is not Step.DONE:
            self._door.remember(self._journey.answers, following, self._journey.name_style)
            self._kept_step = following
        return following

    def _say_farewell(self, step: Step) -> None:
        said = farewell(
            self._kept_step or step,
            kept=self._kept_step is not None,
            installing=self._installing and self._door.left_behind() is api.LeftBehind.RESUMABLE,
            installed=self._installed,
            certificate_missing=self._journey.certificate_missing,
            command=self._door.start_command(),
            program=self._door.start_command(arguments=False),
            as_typed=self._door.as_typed,
        )
        for line in said.lines():
            self._console.say_line(line)

    def _head(self, step: Step, title: str, lead: str = "") -> None:
        name = self._journey.answers.mail_domain or "your server"
        number, total = self._journey.number(step)
        self._console.head(step, number, total, title.format(domain=name), lead.format(domain=name))

    # --- pages: each returns the next one, None for the usual ----------------------------------------------------

    def _welcome(self) -> Step:
        self._head(Step.WELCOME, welcome.TITLE, welcome.LEAD)
        state = self._door.installed_state()
        while True:
            rows = []
            for check in self._door.preflight(self._options):
                rows.append(preflight_row(check, state))
                self._console.row(rows[-1])
            stops, warnings = counted(rows)
            self._console.say(welcome.summary(stops, warnings))
            if not stops:
                break
            if not self._console.confirm(f"{welcome.LOOK_AGAIN}?", default=True):
                raise _LeftError
        self._journey = first_journey(state, self._preset)
        found = offers(state, api.VERSION)
        chosen = found[0]
        if len(found) > 1:
            rows_of_offers = [(offer.key, offer.title, offer.sentence) for offer in found]
            key = self._console.choose(welcome.INSTALLED, rows_of_offers, chosen.key)
            chosen = next(offer for offer in found if offer.key == key)
        self._journey = self._journey.on_course(chosen.course)
        return chosen.step

    def _domain(self) -> None:
        self._head(Step.DOMAIN, domain.TITLE, domain.LEAD)
        for title, sentence in domain.KINDS.values():
            self._console.say(f"{title}: {sentence}")
        suggestion = self._journey.answers.mail_domain
        while True:
            judged_name = api.validate_domain(self._console.ask(plain.DOMAIN, suggestion))
            if isinstance(judged_name, api.DomainProblem):
                suggestion = judged_name.suggestion
                self._console.say(judged_name.sentence)
                continue
            found = self._door.resolve_now(judged_name.mail_domain, self._journey.answers.resolvers)
            self._console.say(f"{found.sentence} {judged_name.note}".strip())
            if found.leads_here or self._console.confirm(plain.TAKE.format(domain=found.domain), default=True):
                self._journey = self._journey.with_domain(judged_name)
                return

    def _settings(self) -> None:
        self._head(Step.SETTINGS, settings.TITLE, plain.SETTINGS)
        values = {field.name: self._setting(field) for field in FIELDS}
        wanted = self._journey.with_answers(**values).with_contact(self._journey.answers.admin)
        api.config_of(wanted.answers)
        self._journey = wanted

    def _setting(self, field: Field) -> object:
        self._console.say(field.hint)
        present = shown(self._journey.answers, field)
        if field.choices:
            options = [(value, label, "") for value, label in field.choices]
            return self._console.choose(field.label, options, present)
        while True:
            value, wrong = judged(field, self._console.ask(f"{field.label} {field.unit}".strip(), present))
            if not wrong:
                return value
            self._console.say(wrong)

    def _dns(self) -> Step | None:
        self._head(Step.DNS, dns.TITLE, plain.DNS)
        answers = self._journey.answers
        sheet = RecordSheet(self._door.dns_records(answers, self._own_addresses), self._journey.name_style)
        self._show_records(sheet)
        while True:
            self._console.say(self._journey_said(dns.CHECKING))
            sheet = sheet.checked(self._door.check_dns(sheet.records, answers.resolvers))
            for line in sheet.lines():
                about = "; ".join(f"{label}: {text}" for label, text in line.details() if label in ("Found", "Do"))
                self._console.row(Row(line.mark, line.rendered.type, line.rendered.name, about))
            _mark, said = sheet.summary(None)
            self._console.say(said)
            if not sheet.wrong(required=True):
                return None
            match self._console.ask(plain.DNS_KEYS).lower():
                case "r":
                    sheet = sheet.in_next_rendering()
                    self._journey = replace(self._journey, name_style=sheet.rendering)
                    self._show_records(sheet)
                case "s":
                    path = self._console.ask(dns.SAVE_QUESTION, f"./{answers.mail_domain}.zone")
                    self._console.say(dns.SAVED.format(path=self._door.save_zone(sheet.records, path)))
                case "a":
                    typed = self._console.ask(dns.ADDRESSES_QUESTION, " ".join(self._own_addresses))
                    self._own_addresses = tuple(typed.replace(",", " ").split())
                    return Step.DNS
                case "n" if self._may_skip(sheet):
                    return None

    def _may_skip(self, sheet: RecordSheet) -> bool:
        self._console.say(dns.skip_question(sheet.names_of_wrong()))
        for line in dns.SKIP_CONSEQUENCES:
            self._console.say(line)
        return self._console.confirm(f"{dns.SKIP_YES}?")

    def _journey_said(self, text: str) -> str:
        return text.format(domain=self._journey.answers.mail_domain)

    def _show_records(self, sheet: RecordSheet) -> None:
        if sheet.records.note:
            self._console.say(sheet.records.note)
        self._console.say(f"{dns.FORM.format(form=dns.RENDERINGS[sheet.rendering])}.")
        for line in sheet.lines():
            self._console.say(f"{line.record.purpose} ({'required' if line.record.required else 'recommended'})")
            self._console.say_line(f"  {line.rendered.type}  {line.rendered.name}")
            self._console.say_line(f"  {line.rendered.value}")

    def _certificate(self) -> None:
        self._head(Step.CERTIFICATE, certificate.TITLE, certificate.LEAD)
        if self._journey.answers.tls_mode == "acme":
            found = self._door.certificate_in_use(self._journey.answers)
            text = certificate.FOUND.format(names=names_of(found), until=until(found))
            if found.trusted and self._console.confirm(f"{text} {plain.KEEP_IT}", default=True):
                return
        while True:
            modes = certificate.modes(self._journey.answers.acme_directory)
            mode = self._console.choose(plain.CERTIFICATE, modes, self._journey.answers.tls_mode)
            self._journey = replace(self._journey.with_answers(tls_mode=mode, **self._fields(mode)), tls_chosen=True)
            try:
                got = self._door.obtain_certificate(self._journey.answers, lambda step: self._console.say(f"{step}…"))
            except api.OperatorError as error:
                step = getattr(error, "step", "")
                self._console.say(certificate.FAILED_AT.format(step=step) if step else certificate.FAILED)
                self._console.say(str(error))
                self._console.say(certificate.SKIP_QUESTION)
                if not self._console.confirm(f"{certificate.SKIP_YES}?"):
                    continue
                self._journey = replace(self._journey, certificate_missing=True)
                return
            said = {"self-signed": certificate.MADE, "files": certificate.FILES_FINE}.get(mode, certificate.OBTAINED)
            self._console.say(said.format(names=names_of(got), until=until(got)))
            return

    def _fields(self, mode: str) -> dict[str, str]:
        answers = self._journey.answers
        if mode == "files":
            self._console.say(certificate.FILES_HINT)
            return {
                "cert_file": self._console.ask(certificate.CERT_FILE, answers.cert_file),
                "key_file": self._console.ask(certificate.KEY_FILE, answers.key_file),
            }
        if mode == "self-signed":
            return {}
        self._console.say(certificate.email_hint(answers.acme_directory))
        while True:
            email = self._console.ask(certificate.EMAIL, answers.acme_email)
            if wrong := judged_mail_address(email):
                self._console.say(wrong)
            else:
                return {"acme_email": email}

    def _install(self) -> None:
        self._head(Step.INSTALL, install.TITLE, install.LEAD)
        self._plan = made = self._door.plan(self._journey.answers)
        for item in made.items:
            row = plan_row(item)
            self._console.row(replace(row, sentence=f"{row.sentence}  {row.remedy}", remedy=""))
        if not self._console.confirm(f"{install.INSTALL}?"):
            raise _LeftError
        self._installing = True
        try:
            self._door.install(made, self._tell_step)
        except api.InstallError as error:
            for line in (install.LAST_WORDS, *error.log_lines) if error.log_lines else ():
                self._console.say_line(line)
            left = install.PREVIOUS if error.left is api.LeftBehind.PREVIOUS else install.RESUMABLE
            raise api.OperatorError(f"{error} {left}") from None
        self._installing, self._installed = False, True
        self._console.say(install.SUCCESS)

    def _tell_step(self, report: api.StepReport) -> None:
        if report.state is not api.StepState.WORKING:
            row = step_row(report)
            self._console.row(replace(row, name=f"{report.number} of {report.total}"))

    def _done(self) -> None:
        config = self._plan.config if self._plan else api.config_of(self._journey.answers)
        self._head(Step.DONE, done.TITLE)
        self._console.say(done.CHECKING)
        rows = []
        for check in self._door.doctor(config, ca_file=self._journey.answers.acme_ca_file):
            rows.append(doctor_row(check))
            self._console.row(rows[-1])
        self._console.say(done.summary(rows)[1])
        self._console.say_line(f"{done.PAGE} {api.web_address(config)}")
        closed = {"closed": done.SCAN_CLOSED, "invite": done.SCAN_INVITE}.get(config.accounts.registration)
        if closed:
            self._console.say(closed.format(command=self._door.as_typed(done.INVITE)))
        elif self._console.confirm(plain.SHOW_CODE, default=True):
            link = api.sign_up_link(config)
            self._console.say_line(api.qr_code(link))
            self._console.say_line(link)
        self._console.say(f"{done.REMEMBER}:")
        for command, what in api.WORTH_REMEMBERING:
            self._console.say_line(f"  {self._door.as_typed(command)}: {what}")


def run_plain(preset: Mapping[str, object], *, outside: str | None) -> int:
    """Ask the same questions as the screens, one after the other; returns the exit code."""
    return PlainWizard(preset, standard_console(), cast(Door, api), outside).run()
