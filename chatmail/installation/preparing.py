"""What comes before an installation, and is kept for it: the answers so far, the DNS records, the certificate."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from chatmail.config import Config, parse_config
from chatmail.dns.report import DnsReport
from chatmail.errors import OperatorError
from chatmail.installation import certificate, naming
from chatmail.installation.answers import Answers
from chatmail.installation.certificate import ObtainedCertificate
from chatmail.installation.config_file import new_config_text
from chatmail.installation.naming import DnsRecords
from chatmail.installation.places import Places
from chatmail.installation.record import Record, make_folder, read_record, write_record
from chatmail.net.dns_answers import DnsFailureError
from chatmail.storage.atomic import write_durably


def config_of(answers: Answers) -> Config:
    """The configuration the answers make. Raises `ConfigError` in one sentence where they do not fit together."""
    return parse_config(new_config_text(answers))


def remember(answers: Answers, step: str = "", name_style: str = "") -> None:
    """Keep the answers, so that whoever leaves now can come back to `step`; `uninstall` forgets them.

    `name_style` is the `RecordRendering` that suits the operator.

    Raises `OperatorError`.
    """
    places = Places()
    record = read_record(places) or Record()
    if record.complete:
        return
    try:
        write_record(places, replace(record, answers=asdict(answers), step=step, name_style=name_style))
    except OSError as error:
        raise OperatorError(f"{places.record} cannot be written ({error.strerror}); mend that, then go on.") from None


def dns_records(answers: Answers, own_addresses: Sequence[str] = ()) -> DnsRecords:
    """The records to create, in three renderings. `own_addresses` where this machine does not know its outer ones.

    Makes the DKIM key, and for it the data folder, if they are not there. Raises `OperatorError`.
    """
    config = config_of(answers)
    _make_data_dir(config)
    return naming.dns_records(config, own_addresses)


def needs_dns_records(answers: Answers) -> bool:
    """Whether others must find this server in the DNS: not one to try out, nor one known by its IP address."""
    return naming.needs_records(config_of(answers))


def check_dns(records: DnsRecords, resolvers: Sequence[str] = ()) -> DnsReport:
    """Compare them with the authoritative servers now. Waits for the network: seconds. Raises `OperatorError`."""
    try:
        return naming.check_records(records, resolvers)
    except DnsFailureError as error:
        raise OperatorError(str(error)) from None


def save_zone(records: DnsRecords, path: str) -> str:
    """Write the records as a zone file; returns its full path. Raises `OperatorError`."""
    file = Path(path).expanduser().absolute()
    try:
        write_durably(file, records.zone.encode(), mode=0o644)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written ({error.strerror}); choose another place.") from None
    return str(file)


def obtain_certificate(answers: Answers, on_step: Callable[[str], None] = lambda _text: None) -> ObtainedCertificate:
    """Have the certificate now, through the running server or on ports 443 and 80 where none runs; seconds to minutes.

    Raises `CertificateRefusedError`, which knows the step, and `OperatorError`.
    """
    config = config_of(answers)
    _make_data_dir(config)
    return certificate.obtain_certificate(config, on_step)


def certificate_in_use(answers: Answers) -> ObtainedCertificate:
    """What the running server presents, or would present now; one made by itself is not `trusted`.

    Raises `OperatorError`.
    """
    config = config_of(answers)
    _make_data_dir(config)
    return certificate.certificate_in_use(config)


def _make_data_dir(config: Config) -> None:
    """Made before it is needed by the server; the record says so, for `install` and `uninstall`."""
    places, folder = Places(), Path(config.data_dir)
    if folder.exists():
        return
    try:
        record = read_record(places) or Record()
        write_record(places, replace(record.with_made(str(folder)), complete=False))
        make_folder(folder, 0o700)
    except OSError as error:
        raise OperatorError(f"{error.filename} cannot be made ({error.strerror}); run this as root.") from None
