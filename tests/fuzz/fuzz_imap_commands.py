"""atheris target: the grammar of IMAP commands, and modified UTF-7.

`python tests/fuzz/fuzz_imap_commands.py CORPUS_FOLDER -max_total_time=60 -max_len=500`
"""

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))

with atheris.instrument_imports():
    from tests.support.imap_oracles import check_command, check_mailbox_name


def _target(data: bytes) -> None:
    check_command(data)
    check_mailbox_name(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, _target)
    atheris.Fuzz()
