"""atheris target: the OpenPGP packet walk and the armor.

`python tests/fuzz/fuzz_openpgp.py NEW_CORPUS_FOLDER tests/corpus -max_total_time=60 -max_len=2000`
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from tests.support.parser_oracles import check_armor, check_packets


def _target(data: bytes) -> None:
    check_packets(data)
    check_armor(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
