"""Any bytes either parse, or are not enough, or raise the documented errors; what was built is read back."""

from hypothesis import given
from hypothesis import strategies as st

from chatmail.tls_hello import BadClientHello, ClientHello, NeedMore, NotTls, read_client_hello
from tests.support.client_hello import (
    alpn_extension,
    handshake_message,
    made_hello,
    real_hello,
    records,
    server_name_extension,
)

_names = st.from_regex(r"[a-z0-9_-]{1,20}(\.[a-z0-9-]{1,20}){0,4}", fullmatch=True)
_protocols = st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=8)
_SAMPLE = real_hello("chat.example.org", ["imap"])


def _outcome(data: bytes) -> object:
    try:
        return read_client_hello(data)
    except (NotTls, BadClientHello) as error:
        return type(error)


@given(_names, _protocols, st.integers(min_value=60, max_value=2**14))
def test_what_was_built_is_read_back(name: str, protocols: list[bytes], fragment_bytes: int) -> None:
    hello = made_hello(server_name_extension(name.encode()), alpn_extension(*protocols), fragment_bytes=fragment_bytes)
    assert read_client_hello(hello) == ClientHello(name, tuple(one.decode("latin-1") for one in protocols))


@given(st.binary(max_size=300))
def test_any_bytes_have_a_documented_outcome(data: bytes) -> None:
    for candidate in (data, records(data), records(handshake_message(data)), records(b"\1" + data)):
        _outcome(candidate)


@given(st.integers(min_value=0, max_value=len(_SAMPLE) - 1), st.integers(min_value=0, max_value=255))
def test_byte_by_byte_comes_to_the_same_as_all_at_once(position: int, octet: int) -> None:
    data = _SAMPLE[:position] + bytes((octet,)) + _SAMPLE[position + 1 :]
    whole = _outcome(data)
    for end in range(len(data)):
        partial = _outcome(data[:end])
        if isinstance(partial, NeedMore):
            assert partial.at_least_bytes > end
        else:
            assert partial == whole
            return
