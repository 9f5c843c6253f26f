"""atheris target: `python tests/fuzz/fuzz_dkim.py CORPUS_FOLDER -max_total_time=60`."""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from tests.support.dkim_oracles import check_dkim


if __name__ == "__main__":
    atheris.Setup(sys.argv, check_dkim)
    atheris.Fuzz()
