"""The page on the certificate."""

from typing import Literal
from urllib.parse import urlsplit

TITLE = "A certificate, so that nobody listens in"
LEAD = "It proves to apps and other servers that they talk to {domain}. The key stays on this machine."
_Mode = Literal["acme", "self-signed", "files"]
_MODES: tuple[tuple[_Mode, str, str], ...] = (
    ("acme", "From {authority}", "Free, and renewed by itself. Ports 443 and 80 must be reachable."),
    ("self-signed", "Self-signed", "Made here at once. Delta Chat takes it from the QR code; others do not."),
    ("files", "Your own files", "You have a certificate already and renew it yourself."),
)  # fmt: skip
EMAIL = "Your mail address"
EMAIL_HINT = (
    "{authority} may write to it when something is wrong. May be empty. By going on you accept its terms{terms}"
)
TERMS = {"Let's Encrypt": "https://letsencrypt.org/repository/"}
"""Where the terms of an authority are, by its name."""
CERT_FILE = "Certificate chain"
KEY_FILE = "Private key"
FILES_HINT = "Full paths of two PEM files that the user “chatmail” may read, such as /etc/ssl/chat/fullchain.pem."
OBTAIN = "Get it"
MAKE = "Make it"
CHECK = "Check it"
FOUND = "There is one already for {names}, valid until {until}. You can go on, or choose another."
ANOTHER = "Choose another"
OBTAINED = "Here it is: for {names}, valid until {until}."
MADE = "Made: self-signed, for {names}."
FILES_FINE = "The files are fine: for {names}, valid until {until}."
FAILED_AT = "It failed at: {step}."
FAILED = "It failed."
WORKING = "This takes half a minute or less…"
CHECKING_FILES = "Looking at the files…"
AGAIN = "Try again"
SKIP_TITLE = "Go on without the certificate?"
SKIP_QUESTION = "The server will start with one of its own making and keep trying to get a real one."
SKIP_CONSEQUENCES = ("Until then apps and other servers cannot connect safely; `chatmail cert status` says how it is.",)
SKIP_YES = "Go on without"
SKIP_NO = "Stay here"


def authority(directory: str) -> str:
    """The name of a certificate authority, by the address of its ACME directory."""
    host = urlsplit(directory).hostname or directory
    return "Let's Encrypt" if host.endswith("letsencrypt.org") else host


def modes(directory: str) -> list[tuple[_Mode, str, str]]:
    """The three ways: key, name and a sentence each."""
    name = f"a certificate authority ({authority(directory)})"
    return [(mode, title.format(authority=name), sentence) for mode, title, sentence in _MODES]


def email_hint(directory: str) -> str:
    """What the mail address is for, and what going on means."""
    name = authority(directory)
    terms = TERMS.get(name)
    return EMAIL_HINT.format(authority=name, terms=f": {terms}" if terms else ".")
