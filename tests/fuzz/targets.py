"""Every parser of foreign bytes: what must hold for any input, and how long the inputs are to be.

A check takes bytes and raises only if the project has a bug: the input parses or raises the documented error, and the
whole is read as byte by byte.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.support import (
    config_oracles,
    dkim_oracles,
    imap_message_oracles,
    imap_oracles,
    parser_oracles,
    wire_oracles,
)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. `max_bytes` keeps inputs short, for what is found in long ones is found in short ones first."""

    check: Callable[[bytes], None]
    max_bytes: int


TARGETS: Final[dict[str, Target]] = {
    "client_hello": Target(wire_oracles.check_client_hello, 600),
    "config": Target(config_oracles.check_config, 400),
    "dkim": Target(dkim_oracles.check_dkim, 1000),
    "gate": Target(parser_oracles.check_gate, 2000),
    "headers": Target(parser_oracles.check_message, 1000),
    "imap_commands": Target(imap_oracles.check_command, 400),
    "imap_conversation": Target(imap_oracles.check_conversation, 1500),
    "imap_deflate": Target(imap_oracles.check_deflate, 300),
    "imap_fragments": Target(imap_oracles.check_fragments, 600),
    "imap_names": Target(imap_oracles.check_mailbox_name, 60),
    "imap_search": Target(imap_message_oracles.check_search, 1000),
    "imap_structure": Target(imap_message_oracles.check_structure, 1500),
    "openpgp_armor": Target(parser_oracles.check_armor, 1500),
    "openpgp_packets": Target(parser_oracles.check_packets, 1500),
    "smtp_conversation": Target(wire_oracles.check_smtp_conversation, 1000),
    "smtp_data": Target(wire_oracles.check_smtp_data, 300),
    "smtp_path": Target(wire_oracles.check_smtp_path, 300),
}
