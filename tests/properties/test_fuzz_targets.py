"""The fuzz targets without atheris: what is kept of their corpora, and fresh mutations of it on every run."""

import random

import pytest

from tests.fuzz.corpora import read_corpus
from tests.fuzz.targets import TARGETS

MUTATIONS = 250
_TOKENS = (b"\r\n", b"\n", b" ", b"(", b")", b'"', b"\\", b"{3}\r\n", b"{3+}\r\n", b"\0", b"\xff", b"<", b">", b"--a")


def check(name: str, data: bytes) -> None:
    try:
        TARGETS[name].check(data)
    except Exception as error:
        raise AssertionError(f"{name} fails on {data!r}") from error


def mutated(data: bytes, other: bytes) -> bytes:
    """One to four changes: octets replaced, tokens inserted, pieces cut out or taken from another input."""
    for _ in range(random.randint(1, 4)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.randint(0, 8))
        match random.randrange(4):
            case 0:
                new = random.randbytes(end - start)
            case 1:
                new = random.choice(_TOKENS) + data[start:end]
            case 2:
                new = b""
            case _:
                place = random.randint(0, len(other))
                new = other[place : place + random.randint(1, 60)]
        data = data[:start] + new + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_and_its_mutations_hold(name: str) -> None:
    corpus = read_corpus(name)
    assert corpus, "a target has inputs to begin with"
    for data in corpus:
        check(name, data)
    for _ in range(MUTATIONS):
        check(name, mutated(random.choice(corpus), random.choice(corpus))[: TARGETS[name].max_bytes])
