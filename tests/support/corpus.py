"""The messages under `tests/corpus`, each named after what it shows, and the filter's verdict on each."""

from pathlib import Path
from typing import Final

from chatmail.mail.address import Address
from chatmail.mail.envelope import Envelope
from chatmail.mail.message import HeaderBlock, header_length
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.verdict import Verdict
from tests.support.openpgp_samples import RECIPIENT, SENDER

CORPUS: Final = Path(__file__).parents[1] / "corpus"
MESSAGES: Final = {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.eml"))}


def address(text: str) -> Address:
    parsed = Address.parse(text)
    assert parsed is not None
    return parsed


TO_ANOTHER: Final = Envelope(address(SENDER), (address(RECIPIENT),))
TO_ONESELF: Final = Envelope(address(SENDER), (address(SENDER),))


def split(message_bytes: bytes) -> tuple[HeaderBlock, bytes]:
    """The parsed header block and the body."""
    length = header_length(message_bytes)
    assert length is not None
    return HeaderBlock.parse(message_bytes[:length]), message_bytes[length:]


def judge(
    message_bytes: bytes,
    direction: Direction = Direction.SUBMISSION,
    envelope: Envelope = TO_ANOTHER,
    *,
    piece_bytes: int = 0,
) -> Verdict:
    """The gate's verdict; the body is fed in pieces of `piece_bytes`, or whole."""
    headers, body = split(message_bytes)
    gate = EncryptionGate(headers, direction, envelope)
    for start in range(0, len(body), piece_bytes or len(body) or 1):
        gate.feed(body[start : start + (piece_bytes or len(body))])
    return gate.finish()
