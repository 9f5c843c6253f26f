"""The configuration file as text: first written with a comment for every key asked, later changed line by line.

Pure. What an operator wrote by hand stays: `with_answers` touches only the lines of keys whose value differs.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from chatmail.config import Config, parse_config
from chatmail.config_values import size_text
from chatmail.installation.answers import Answers

_HEAD: Final = """\
# The configuration of this chatmail server. After a change: chatmail config check && systemctl restart chatmail
# What is not here has its default; `chatmail config show` prints every key with the value in effect.
"""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One key that the installer asks for: where it stands, which answer it is, and the comment above it."""

    section: str
    key: str
    answer: str
    comment: str


_ASKED: Final = (
    _Asked("", "mail_domain", "mail_domain", "What stands behind the @ of every address. It cannot be changed later."),
    _Asked("tls", "mode", "tls_mode", '"acme" obtains certificates, "self-signed" makes one, "files" uses yours.'),
    _Asked("tls", "cert_file", "cert_file", 'The certificate chain (PEM) for mode = "files".'),
    _Asked("tls", "key_file", "key_file", "The private key (PEM) that belongs to it."),
    _Asked("tls", "acme_directory", "acme_directory", "The certificate authority."),
    _Asked("tls", "acme_email", "acme_email", "Where the certificate authority may write to; may be empty."),
    _Asked("tls", "acme_ca_file", "acme_ca_file", "What to trust when talking to the authority; empty: the system's."),
    _Asked("accounts", "registration", "registration", '"open", "invite" or "closed" to new accounts.'),
    _Asked(
        "accounts",
        "delete_inactive_users_after",
        "delete_inactive_users_after",
        "Accounts without a login for so many days are removed.",
    ),
    _Asked("mail", "max_mailbox_size", "max_mailbox_size", "How much an account may store."),
    _Asked("mail", "delete_mails_after", "delete_mails_after", "Messages are removed after so many days."),
    _Asked("mail", "delete_large_after", "delete_large_after", "Messages above 200,000 bytes go after so many days."),
    _Asked("dns", "resolvers", "resolvers", "Who answers DNS questions; empty: the system's resolvers."),
    _Asked("metadata", "admin", "admin", 'How to reach you, such as "mailto:admin@example.org"; clients show it.'),
)
_ONLY_IF_CHANGED: Final = ("cert_file", "key_file", "acme_directory", "acme_ca_file", "resolvers")
"""Keys that a first file leaves out while they have their default."""
_SECTION = re.compile(r"\s*\[([A-Za-z0-9_.-]+)\]\s*(#.*)?")


def new_config_text(answers: Answers) -> str:
    """A first configuration file. Raises `ConfigError` where the answers cannot be together."""
    blocks, section = [_HEAD], ""
    for asked in _ASKED:
        value = _value(answers, asked)
        if asked.key in _ONLY_IF_CHANGED and value == _value(Answers(answers.mail_domain), asked):
            continue
        if asked.section != section:
            section = asked.section
            blocks.append(f"\n[{section}]\n")
        blocks.append(f"# {asked.comment}\n{asked.key} = {value}\n")
    text = "".join(blocks)
    parse_config(text)
    return text


def with_answers(text: str, answers: Answers) -> str:
    """An existing file with the answers in it, everything else as it was; the same text if nothing differs.

    Raises `ConfigError` if either cannot be used.
    """
    existing, wanted = parse_config(text), parse_config(new_config_text(answers))
    for asked in _ASKED:
        if _of(existing, asked) != _of(wanted, asked):
            text = _with_line(text, asked.section, asked.key, _value(answers, asked))
    parse_config(text)
    return text


def answers_of(config: Config) -> Answers:
    """The answers that an existing configuration amounts to."""
    found: dict[str, Any] = {asked.answer: _of(config, asked) for asked in _ASKED}
    return Answers(**found)


def _of(config: Config, asked: _Asked) -> object:
    return getattr(getattr(config, asked.section) if asked.section else config, asked.key)


def _value(answers: Answers, asked: _Asked) -> str:
    """As TOML; sizes in the way people write them."""
    value = getattr(answers, asked.answer)
    if asked.key == "max_mailbox_size":
        value = size_text(value)
    # Texts, numbers and lists of texts are written in TOML as in JSON.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _with_line(text: str, section: str, key: str, value: str) -> str:
    """`key = value` in `section`, in the place of the line that is there, else at the end of the section."""
    lines, at, insert_at = text.splitlines(), "", 0 if not section else None
    for number, line in enumerate(lines):
        if found := _SECTION.fullmatch(line):
            at = found[1]
        if at == section:
            if re.match(rf"\s*{re.escape(key)}\s*=", line):
                lines[number] = f"{key} = {value}"
                return "\n".join(lines) + "\n"
            if line.strip():
                insert_at = number + 1
    if insert_at is None:
        lines += ["", f"[{section}]"]
        insert_at = len(lines)
    lines.insert(insert_at, f"{key} = {value}")
    return "\n".join(lines) + "\n"
