"""ClientHellos: real ones as OpenSSL sends them, and made-up ones for what no library would send."""

import ssl
from collections.abc import Sequence


def real_hello(server_name: str | None, alpn: Sequence[str] = ()) -> bytes:
    """The first flight of a TLS client of this Python."""
    context = ssl.create_default_context()
    if server_name is None:
        context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def vector(length_size: int, content: bytes) -> bytes:
    """`content` after its length."""
    return len(content).to_bytes(length_size) + content


def alpn_extension(*names: bytes) -> bytes:
    """RFC 7301 §3.1."""
    return b"\0\x10" + vector(2, vector(2, b"".join(vector(1, name) for name in names)))


def server_name_extension(name: bytes, name_type: int = 0) -> bytes:
    """RFC 6066 §3."""
    return b"\0\0" + vector(2, vector(2, bytes((name_type,)) + vector(2, name)))


def hello_body(*extensions: bytes) -> bytes:
    """Version, random, no session, one cipher suite, no compression, `extensions`."""
    fixed = b"\3\3" + bytes(32) + vector(1, b"") + vector(2, b"\x13\1") + vector(1, b"\0")
    return fixed + vector(2, b"".join(extensions))


def handshake_message(body: bytes, kind: int = 1) -> bytes:
    """RFC 8446 §4."""
    return bytes((kind,)) + vector(3, body)


def records(handshake: bytes, fragment_bytes: int = 2**14) -> bytes:
    """RFC 8446 §5.1: `handshake` in records of at most `fragment_bytes`."""
    pieces = [handshake[start : start + fragment_bytes] for start in range(0, len(handshake), fragment_bytes)]
    return b"".join(b"\x16\3\1" + vector(2, piece) for piece in pieces)


def made_hello(*extensions: bytes, fragment_bytes: int = 2**14) -> bytes:
    """A whole ClientHello with exactly these extensions."""
    return records(handshake_message(hello_body(*extensions)), fragment_bytes)
