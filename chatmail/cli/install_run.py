"""`install` and `uninstall` without a screen: the same steps with the same checks, for terminals and for automation.

Exit codes beyond the usual: 3 the machine is not fit (nothing was changed), 4 installed and running, but without the
certificate that was asked for (the server goes on trying), 5 installed and running, but required DNS records are not
right yet, 130 interrupted. With `--json` one object is printed, last.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, NoReturn

import click

from chatmail import api
from chatmail.config_values import MIB
from chatmail.dns.report import report_as_dict, report_as_text
from chatmail.errors import ConfigError, OperatorError
from chatmail.installation import checkup

NOT_FIT: Final = 3
NO_CERTIFICATE: Final = 4
NO_RECORDS: Final = 5
INTERRUPTED: Final = 130
_MARKS: Final = {"ok": "ok     ", "warning": "WARNING", "stop": "STOP   "}


def run_install(options: Mapping[str, Any]) -> NoReturn:
    """`options` are the flags of `install` by name, None where not given. Ends with the exit code."""
    as_json, state = options["as_json"], api.installed_state()
    answers = _answers(options, state)
    checks = _look(options["outside"], as_json)
    stops = [check for check in checks if check.state is api.PreflightState.STOP]
    if stops and not options["dry_run"]:
        _finish(as_json, NOT_FIT, "This machine is not fit yet; nothing was changed.", checks=_as_dicts(checks))
    plan = api.plan(answers)
    if not as_json:
        click.echo(_plan_text(plan))
    if options["dry_run"]:
        items, ended = _as_dicts(plan.items), NOT_FIT if stops else 0
        _finish(as_json, ended, "Nothing was changed.", checks=_as_dicts(checks), changes=plan.changes, plan=items)
    if not options["yes"]:
        click.confirm("Do this?", abort=True)
    try:
        records = _records(plan, as_json)
        certificate = _certificate(plan, as_json)
        changed = _install(plan, as_json)
    except KeyboardInterrupt:
        left = api.left_behind()
        _finish(as_json, INTERRUPTED, f"Interrupted. {_left_text(left)}", left=left)
    ended = _how_it_ended(certificate, records)
    _finish(
        as_json,
        ended,
        _done_text(plan, changed, ended),
        mail_domain=plan.config.mail_domain,
        web=api.web_address(plan.config),
        changed=changed,
        certificate=certificate,
        dns=records,
        checks=_as_dicts(checks),
    )


def _how_it_ended(certificate: Mapping[str, Any] | None, records: Mapping[str, Any] | None) -> int:
    if certificate is not None and "error" in certificate:
        return NO_CERTIFICATE
    return NO_RECORDS if records is not None and not records["ok"] else 0


def run_uninstall(*, keep_data: bool, remove_data: bool, yes: bool, as_json: bool) -> NoReturn:
    """Ask what was not said, remove, and end with the exit code."""
    if keep_data and remove_data:
        raise click.UsageError("--keep-data and --remove-data exclude each other.")
    _need_root("remove")
    plan = api.plan_removal(remove_data=remove_data)
    if not plan.anything:
        _finish(as_json, 0, "Nothing is installed here.", changed=False)
    if plan.keeps_data and not keep_data:
        if yes:
            raise click.UsageError("With --yes say what becomes of the data: --keep-data or --remove-data.")
        remove_data = click.confirm("Remove all accounts, mail and keys too? This cannot be undone.", default=False)
        plan = api.plan_removal(remove_data=remove_data)
    if not as_json:
        click.echo(_removal_text(plan))
    if not yes:
        click.confirm("Remove this?", abort=True)
    api.uninstall(plan, lambda report: _show_step(report, as_json))
    _finish(as_json, 0, "Removed." + (" The data stays." if plan.keeps_data else ""), changed=True)


def run_doctor(config: api.Config, ca_file: str, as_json: bool) -> NoReturn:
    """Check, saying what is found as it is found, and end with the exit code."""
    checks: list[api.DoctorCheck] = []
    for check in api.doctor(config, ca_file=ca_file):
        checks.append(check)
        if not as_json:
            click.echo(checkup.check_as_text(check))
    report = api.DoctorReport(tuple(checks))
    click.echo(
        json.dumps(checkup.report_as_dict(report), indent=2, ensure_ascii=False) if as_json else checkup.summary(report)
    )
    raise click.exceptions.Exit(0 if report.ok else 1)


def _answers(options: Mapping[str, Any], state: api.InstalledState) -> api.Answers:
    """What the flags say; for the rest what is installed, or remembered, or the defaults."""
    domain = options["domain"]
    if domain is None and options["ip_only"]:
        domain = state.mail_domain or _own_address()
    if domain is None and state.answers is None:
        raise click.UsageError("Say what this server is known by: --domain NAME, or --ip-only.")
    base = state.answers or _first_answers(domain)
    said = preset_answers(options)
    if domain is not None:
        said["mail_domain"] = _judged(domain, ip_only=options["ip_only"]).mail_domain
    return api.changed_answers(base, **said)


def preset_answers(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the flags say, by the names of `Answers`; the domain as it was typed."""
    flags = {
        "mail_domain": options["domain"],
        "tls_mode": options["tls"],
        "cert_file": options["cert_file"],
        "key_file": options["key_file"],
        "acme_directory": options["acme_directory"],
        "acme_ca_file": options["acme_ca_file"],
        "acme_email": options["email"],
        "registration": options["registration"],
        "delete_mails_after": options["delete_mails_after"],
        "max_mailbox_size": options["max_mailbox_size"] and options["max_mailbox_size"] * MIB,
        "admin": options["admin"],
        "resolvers": options["resolvers"] or None,
    }
    return {name: value for name, value in flags.items() if value is not None}


def _first_answers(domain: str) -> api.Answers:
    judged = _judged(domain, ip_only=False)
    return api.Answers(judged.mail_domain, tls_mode=judged.default_tls)


def _judged(domain: str, *, ip_only: bool) -> api.DomainAnswer:
    judged = api.validate_domain(domain)
    if isinstance(judged, api.DomainProblem):
        meant = f" Perhaps: --domain {judged.suggestion}" if judged.suggestion else ""
        raise ConfigError(judged.sentence + meant)
    if ip_only and judged.kind is not api.DomainKind.IP_ADDRESS:
        raise ConfigError("--ip-only wants an IP address in --domain, or no --domain at all.")
    return judged


def _own_address() -> str:
    addresses = api.own_addresses()
    if not addresses:
        raise OperatorError("This machine has no IP address; check its network.")
    return addresses[0]


def _look(outside: str | None, as_json: bool) -> list[api.PreflightCheck]:
    checks = []
    options = api.PreflightOptions() if outside is None else api.PreflightOptions(outside=outside)
    for check in api.preflight(options):
        checks.append(check)
        if not as_json:
            click.echo(f"{_MARKS[check.state]} {check.name}: {check.sentence}")
            if check.remedy and check.state is not api.PreflightState.OK:
                click.echo(f"        {check.remedy}")
    return checks


def _need_root(to: str = "install") -> None:
    check = next(iter(api.preflight(api.PreflightOptions(outside=""))))
    if check.state is api.PreflightState.STOP:
        raise OperatorError(f"Only root can {to} a server. {check.remedy}")


def _plan_text(plan: api.Plan) -> str:
    rows = [
        f"  {item.action:<6} {item.kind:<6} {item.mode:<10} {item.owner:<13} {item.name}   {item.purpose}"
        for item in plan.items
    ]
    return "\n".join(["", f"The plan for {plan.config.mail_domain}:", *rows, ""])


def _removal_text(plan: api.RemovalPlan) -> str:
    rows = [str(path) for path in plan.paths]
    rows += [f"the system user {plan.user}"] if plan.user else []
    rows += [f"the group {plan.group}"] if plan.group else []
    rows += [f"{plan.data_dir} with all accounts and mail"] if plan.data_dir else []
    stays = ["The accounts, mail and keys stay."] if plan.keeps_data else []
    return "\n".join(["To be removed:", *(f"  {row}" for row in rows), *stays])


def _install(plan: api.Plan, as_json: bool) -> bool:
    try:
        return api.install(plan, lambda report: _show_step(report, as_json))
    except api.InstallError as error:
        for line in error.log_lines:
            click.echo(f"  | {line}", err=True)
        left = _left_text(error.left)
        _finish(as_json, 1, f"{error} {left}", step=error.step, left=error.left, log=list(error.log_lines))


def _left_text(left: api.LeftBehind) -> str:
    if left is api.LeftBehind.PREVIOUS:
        return "Everything is as it was before."
    return "What is done stays: run the same command again to go on, or uninstall to remove it."


def _show_step(report: api.StepReport, as_json: bool) -> None:
    if not as_json and report.state is not api.StepState.WORKING:
        click.echo(f"[{report.number}/{report.total}] {report.sentence}: {report.state}")


def _records(plan: api.Plan, as_json: bool) -> dict[str, Any] | None:
    """Look whether the records are there, since everything else depends on them; None where none are needed."""
    if not api.needs_dns_records(plan.answers):
        return None
    try:
        report = api.check_dns(api.dns_records(plan.answers), plan.config.dns.resolvers)
    except OperatorError as error:
        if not as_json:
            click.echo(f"The DNS records could not be looked at: {error}", err=True)
        return {"ok": False, "error": str(error)}
    if not as_json:
        click.echo(report_as_text(report))
    return report_as_dict(report)


def _certificate(plan: api.Plan, as_json: bool) -> dict[str, Any] | None:
    """Have it before the server starts, so that a failure is seen; None where no authority is asked."""
    if plan.config.tls.mode != "acme":
        return None
    try:
        found = api.certificate_in_use(plan.answers)
        if not found.trusted:
            found = api.obtain_certificate(plan.answers, lambda step: None if as_json else click.echo(f"  … {step}"))
    except OperatorError as error:
        if not as_json:
            click.echo(f"No certificate yet: {error}", err=True)
        return {"error": str(error)}
    return {"names": list(found.names), "not_after": found.not_after and found.not_after.isoformat()}


_YET_TO_DO: Final = {
    NO_CERTIFICATE: "The certificate is not there yet; `chatmail cert status` says why. The server goes on trying.",
    NO_RECORDS: "DNS records are still missing: `chatmail dns zone` prints all, `chatmail dns check` looks again.",
}


def _done_text(plan: api.Plan, changed: bool, ended: int) -> str:
    lines = ["Installed and running." if changed else "Installed and running already; nothing was changed."]
    lines += [_YET_TO_DO[ended]] if ended in _YET_TO_DO else []
    lines += ["", f"People get an account at {api.web_address(plan.config)}", ""]
    lines += [f"{api.as_typed(command):<36} {what}" for command, what in api.WORTH_REMEMBERING]
    return "\n".join(lines)


def _as_dicts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def _finish(as_json: bool, code: int, sentence: str, **fields: object) -> NoReturn:
    """Print how it ended, and end."""
    if as_json:
        click.echo(json.dumps({"ok": code == 0, "sentence": sentence, **fields}, indent=2, ensure_ascii=False))
    else:
        click.echo(sentence, err=code != 0)
    raise click.exceptions.Exit(code)
