"""atheris target: `python tests/fuzz/fuzz_smtp_conversation.py CORPUS_FOLDER -max_total_time=60`."""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports(include=["chatmail"]):
    from tests.support.smtp_wire import converse


def _target(wire: bytes) -> None:
    """Any bytes are answered by replies, never by a bug; no message holds a line end that stands alone."""
    replies, messages = converse([wire])
    assert all(reply[:3].isdigit() and not reply.startswith("421 4.3.0") for reply in replies)
    assert all(not {0x0, 0xA, 0xD} & set(message.replace(b"\r\n", b"")) for message in messages)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
