"""atheris target: header blocks and what is read from them.

`python tests/fuzz/fuzz_message.py NEW_CORPUS_FOLDER tests/corpus -max_total_time=60 -max_len=2000`
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from tests.support.parser_oracles import check_message


def _target(data: bytes) -> None:
    check_message(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
