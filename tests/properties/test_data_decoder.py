"""Whatever a peer sends after DATA: cutting it differently changes nothing, and what was dot-stuffed comes back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chatmail.mail.data_decoder import DataDecoder, DataFault

PIECES = st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\0", b"a", b"bc", b"\r\n.\r\n", b"\r\n..", b"\n.\n"])
WIRE = st.one_of(st.lists(PIECES, max_size=30).map(b"".join), st.binary(max_size=60))
LINE = st.text("ab. ", max_size=6).map(str.encode)


def run(wire: bytes, cuts: list[int]) -> tuple[bytes, bytes, bool, DataFault | None]:
    decoder = DataDecoder(1 << 30)
    decoded, edges = b"", sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    for start, stop in pairwise(edges):
        if decoder.finished:
            return decoded, decoder.rest + wire[start:], True, decoder.fault
        decoded += decoder.feed(wire[start:stop])
    return decoded, decoder.rest, decoder.finished, decoder.fault


@given(WIRE, st.lists(st.integers(0, 150), max_size=10))
def test_cutting_the_stream_differently_changes_nothing(wire: bytes, cuts: list[int]) -> None:
    whole = run(wire, [])
    for pieces in (run(wire, cuts), run(wire, list(range(len(wire))))):
        if whole[2]:
            assert pieces[1:] == whole[1:]
            if whole[3] is None:
                assert pieces[0] == whole[0]
        else:
            assert not pieces[2]


@given(st.lists(LINE, max_size=20), st.binary(max_size=20), st.lists(st.integers(0, 150), max_size=10))
def test_a_stuffed_message_comes_back_as_it_was(lines: list[bytes], rest: bytes, cuts: list[int]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert run(stuffed + b".\r\n" + rest, cuts) == (message, rest, True, None)


@given(WIRE)
def test_an_accepted_message_has_only_whole_line_ends(wire: bytes) -> None:
    decoded, _, finished, fault = run(wire, [])
    if finished and fault is None:
        bare = decoded.replace(b"\r\n", b"")
        assert not {b"\r"[0], b"\n"[0], 0} & set(bare)
        assert decoded == b"" or decoded.endswith(b"\r\n")
