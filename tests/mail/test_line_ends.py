import pytest

from chatmail.mail.line_ends import LineEnds, is_crooked

FINE = (b"", b"a\r\nb\r\n", b"a")
CROOKED = (b"a\n", b"a\rb", b"a\r", b"\r\r\n", b"\r\n\n", b"a\x00\r\n")


@pytest.mark.parametrize(("data", "is_fine"), [(data, data in FINE) for data in FINE + CROOKED])
def test_a_message_is_judged_the_same_however_it_comes(data: bytes, is_fine: bool) -> None:
    assert is_crooked(data) != is_fine
    for step in (1, 2, 100):
        line_ends = LineEnds()
        for start in range(0, len(data), step):
            line_ends.feed(data[start : start + step])
        assert line_ends.finish() == is_fine
