"""What the running server does on command: the table behind the control socket, built from its services.

The words are those of the command line, which prints what comes back.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from chatmail.services.certificates import CertificateService, CertificateStatus
from chatmail.services.control import Handler, Report


def certificate_commands(certificates: CertificateService) -> dict[str, Handler]:
    """`cert status` and `cert renew`."""

    async def status(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
        return certificate_as_dict(certificates.status())

    async def renew(_arguments: Mapping[str, Any], report: Report) -> Any:  # noqa: ANN401 — JSON
        await certificates.renew(lambda step: report(str(step)))
        return certificate_as_dict(certificates.status())

    return {"cert status": status, "cert renew": renew}


def certificate_as_dict(status: CertificateStatus) -> dict[str, Any]:
    """The status as JSON, times in ISO 8601."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(status).items()}
