"""atheris target: fragments and connection of IMAP, whole and octet by octet.

`python tests/fuzz/fuzz_imap_conversation.py CORPUS_FOLDER -max_total_time=60 -max_len=3000`
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from tests.support.imap_oracles import check_conversation


def _target(data: bytes) -> None:
    check_conversation(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
