"""One target under atheris: `python -m tests.fuzz.worker TARGET CORPUS_FOLDER [libFuzzer options]`."""

import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["chatmail"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].check)
    atheris.Fuzz()
