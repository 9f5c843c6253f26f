"""What fuzzing begins with: a file of `corpora/` for each target, an input a line, spelled as Python spells bytes."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "corpora"
MAX_INPUTS: Final = 60
"""Of one target: enough to reach most branches, few enough to be run by every test run."""


def read_corpus(name: str) -> list[bytes]:
    """The inputs kept for a target; none if there is no file yet."""
    path = FOLDER / f"{name}.txt"
    lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def add_to_corpus(name: str, inputs: set[bytes]) -> None:
    """Keep all that is there, and of `inputs` the shortest until there are `MAX_INPUTS`."""
    kept = read_corpus(name)
    new = sorted(inputs.difference(kept), key=lambda data: (len(data), data))
    kept += new[: max(MAX_INPUTS - len(kept), 0)]
    lines = [data.decode("latin-1").encode("unicode_escape").decode("ascii") + "\n" for data in kept]
    (FOLDER / f"{name}.txt").write_text("".join(lines), encoding="ascii")
