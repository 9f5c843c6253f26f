"""atheris target: `python tests/fuzz/fuzz_smtp_data.py CORPUS_FOLDER -max_total_time=60`."""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from chatmail.mail.data_decoder import DataDecoder


def _decode(wire: bytes, step: int) -> tuple[bytes | None, bytes, bool]:
    decoder, decoded = DataDecoder(1 << 20), b""
    for start in range(0, len(wire), step):
        decoded += decoder.feed(wire[start : start + step])
        if decoder.finished:
            return None if decoder.fault else decoded, decoder.rest + wire[start + step :], True
    return None, b"", False


def _target(wire: bytes) -> None:
    """Whole and byte by byte give the same message and the same rest, and no line end of it stands alone."""
    whole = _decode(wire, max(1, len(wire)))
    assert whole == _decode(wire, 1)
    assert not {0x0, 0xA, 0xD} & set((whole[0] or b"").replace(b"\r\n", b""))


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
