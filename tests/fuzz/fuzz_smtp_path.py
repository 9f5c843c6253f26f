"""atheris target: `python tests/fuzz/fuzz_smtp_path.py CORPUS_FOLDER -max_total_time=60`."""

import sys
from contextlib import suppress
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from chatmail.mail.smtp_path import PathError, parse_mail, parse_rcpt


def _target(wire: bytes) -> None:
    """Parses or raises `PathError`; what was parsed is parsed again from its own writing."""
    text = wire.decode(errors="replace")
    for mail_argument in (text, f"FROM:<{text}", f"FROM:<a@b> {text}"):
        with suppress(PathError):
            address = parse_mail(mail_argument).address
            assert address is None or parse_mail(f"FROM:<{address}> SMTPUTF8").address == address
    with suppress(PathError):
        address = parse_rcpt(f"TO:<{text}", smtp_utf8=True)
        assert parse_rcpt(f"TO:<{address}>", smtp_utf8=True) == address


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
