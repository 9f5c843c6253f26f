"""What GETMETADATA tells about the server, and which device tokens SETMETADATA may add. RFC 5464.

`shared_metadata(config, now)` answers all entries of the mailbox name `""`; an entry without a value is not there.
Device tokens are opaque: they are counted and measured, never parsed.
"""

import base64
import hmac
import re
from datetime import datetime
from typing import Final

from chatmail.config import DAY, Config, MetadataConfig

DEVICE_TOKEN_ENTRY: Final = "/private/devicetoken"
"""Written on INBOX by clients that want push notifications; reading it gives all tokens joined by blanks."""
MAX_DEVICE_TOKEN_BYTES: Final = 4096
MAX_DEVICE_TOKENS: Final = 20
"""Per account; a person has a handful of devices."""
TURN_CREDENTIAL_LIFETIME_SECONDS: Final = 5 * DAY
"""Clients ask again when less than 12 hours are left."""

_DEVICE_TOKEN = re.compile(rb"[\x21-\x7e]{1,%d}" % MAX_DEVICE_TOKEN_BYTES)


def shared_metadata(config: Config, now: datetime) -> dict[str, str]:
    """The server entries by name; `now` (aware UTC) begins the life of TURN credentials."""
    metadata = config.metadata
    entries = {
        "/shared/comment": metadata.comment,
        "/shared/admin": _admin(config),
        "/shared/vendor/deltachat/irohrelay": metadata.irohrelay,
        "/shared/vendor/deltachat/maxsmtprecipients": str(config.mail.max_recipients),
        "/shared/vendor/deltachat/appversions": metadata.appversions,
        "/shared/vendor/deltachat/turn": turn_credentials(metadata, now),
    }
    return {name: value for name, value in entries.items() if value}


def _admin(config: Config) -> str:
    """A URI, which is what RFC 5464 §6.2.1 wants: a bare mail address, or the one on the privacy page, becomes one."""
    admin = config.metadata.admin or config.privacy.mail
    return f"mailto:{admin}" if "@" in admin and ":" not in admin else admin


def turn_credentials(metadata: MetadataConfig, now: datetime) -> str:
    """`host:port:expiry:password`, or nothing without a TURN server.

    The user name is the expiry (Unix seconds), the password base64(HMAC-SHA1(secret, user name)): the form every TURN
    server with a shared secret checks, SHA-1 included.
    """
    if not metadata.turn_host or not metadata.turn_secret:
        return ""
    expiry = str(int(now.timestamp()) + TURN_CREDENTIAL_LIFETIME_SECONDS)
    digest = hmac.digest(metadata.turn_secret.encode(), expiry.encode(), "sha1")
    return f"{metadata.turn_host}:{metadata.turn_port}:{expiry}:{base64.b64encode(digest).decode()}"


def parse_device_token(value: bytes) -> str | None:
    """The token, or None if it is empty, too long or not printable ASCII without blanks."""
    return value.decode("ascii") if _DEVICE_TOKEN.fullmatch(value) else None
