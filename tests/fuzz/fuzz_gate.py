"""atheris target: the encryption gate on whole messages and on bodies.

`python tests/fuzz/fuzz_gate.py NEW_CORPUS_FOLDER tests/corpus -max_total_time=60 -max_len=2000`
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from tests.support.parser_oracles import check_gate


def _target(data: bytes) -> None:
    check_gate(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
