"""atheris target: `python tests/fuzz/fuzz_tls_hello.py CORPUS_FOLDER -max_total_time=60`."""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from chatmail.tls_hello import BadClientHello, NeedMore, NotTls, read_client_hello


def _target(data: bytes) -> None:
    """Raises nothing but what is documented, and always asks for more than there is."""
    for candidate in (data, b"\x16\3\1" + len(data[:16000]).to_bytes(2) + data[:16000]):
        try:
            answer = read_client_hello(candidate)
        except (NotTls, BadClientHello):
            continue
        assert not isinstance(answer, NeedMore) or answer.at_least_bytes > len(candidate)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
