"""Gathers what the DNS records need beyond the configuration: addresses, the DKIM key, our account at the authority."""

import json
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from chatmail.config import Config
from chatmail.dns.records import RelayFacts
from chatmail.net.addresses import public_addresses
from chatmail.net.dkim_key import load_or_make_key, public_key_der

_KNOWN_CAA_IDENTITIES: Final = {
    "acme-v02.api.letsencrypt.org": "letsencrypt.org",
    "acme-staging-v02.api.letsencrypt.org": "letsencrypt.org",
    "dv.acme-v02.api.pki.goog": "pki.goog",
    "acme.zerossl.com": "sectigo.com",
}
"""What authorities call themselves in CAA records, before they have told us so in their directory."""


def relay_facts(config: Config) -> RelayFacts:
    """Read the facts; makes the DKIM key if there is none yet. Raises `OperatorError`."""
    identity, account = _authority(config)
    return RelayFacts(
        addresses=public_addresses(),
        dkim_public_key=public_key_der(load_or_make_key(Path(config.data_dir), config.federation.dkim_selector)),
        caa_identity=identity,
        acme_account_uri=account,
    )


def _authority(config: Config) -> tuple[str, str]:
    """How CAA records name the authority, and our account there."""
    host = urlsplit(config.tls.acme_directory).hostname or ""
    identity, account = _KNOWN_CAA_IDENTITIES.get(host, ""), ""
    try:
        kept = json.loads((Path(config.data_dir) / "tls" / "acme-account.json").read_text())
        if kept["directory"] == config.tls.acme_directory:
            identity, account = str(kept.get("caa") or identity), str(kept["uri"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return identity, account
