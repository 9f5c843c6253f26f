"""A store that holds messages no gate of today would have let in, or that came as bounces, which nobody looks into."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from chatmail.login import hash_password
from chatmail.mail.address import Address
from chatmail.storage.store import LocalDelivery, Store

HEAD: Final = b"From: <mailer-daemon@example.org>\r\nTo: <hostile@example.org>\r\nSubject: [...]\r\n"
LARGE_BYTES: Final = 30_000_000


def _nested(depth: int) -> bytes:
    """Multiparts within multiparts."""
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number) for number in range(depth)
    )
    return opened + b"Content-Type: text/plain\r\n\r\ndeep\r\n"


def _messages_in_messages(depth: int) -> bytes:
    """RFC 822 in RFC 822."""
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + b"Subject: deep\r\n\r\ntext\r\n"


def _many_parts(size_bytes: int) -> bytes:
    """Nothing but parts."""
    part = b"--b\r\n\r\n"
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * (size_bytes // len(part))


def _near_misses(size_bytes: int) -> bytes:
    """As many open boundaries as are looked for, and lines that nearly are one of them."""
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="a%d"\r\n\r\n--a%d\r\n' % (number, number) for number in range(60)
    )
    return opened + b"\r\n" + b"--a\n" * (size_bytes // 4)


def _long_boundaries(size_bytes: int) -> bytes:
    """The same with long ones that differ at their ends."""
    common = b"a" * 60
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="%b%d"\r\n\r\n--%b%d\r\n' % (common, number, common, number)
        for number in range(60)
    )
    line = b"--" + common + b"\n"
    return opened + b"\r\n" + line * (size_bytes // len(line))


def _many_addresses(size_bytes: int) -> bytes:
    """A message within, to everybody; and one whose addresses are all comments and quotes."""
    plain = b"To: " + b"a@b.example, " * (size_bytes // 13) + b"c@d.example\r\n"
    crooked = b"To: " + b'"((\\"' * (size_bytes // 5) + b"\r\n"
    inner = b"Content-Type: message/rfc822\r\n\r\n"
    parts = b"".join(b"--b\r\n%b%bSubject: x\r\n\r\ntext\r\n" % (inner, each) for each in (plain, crooked))
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"


def _many_parameters(size_bytes: int) -> bytes:
    """Parameters of one part, well formed and not."""
    good = b"Content-Type: text/plain" + b"; a=b" * (size_bytes // 5) + b"\r\n"
    bad = b"Content-Type: text/plain" + b';a="' * (size_bytes // 4) + b"\r\n"
    blank = b"Content-Type: text/plain;" + b" " * size_bytes + b"x\r\n"
    fold = b"Content-Disposition: x" + b"\r\n ;" * (size_bytes // 4) + b"\r\n"
    parts = b"".join(b"--b\r\n%b\r\ntext\r\n" % each for each in (good, bad, blank, fold))
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"


def _large_text(size_bytes: int) -> bytes:
    """Text to be searched, in base64."""
    return b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUFB\r\n" * (size_bytes // 6)


MESSAGES: Final = (
    _nested(1000),
    _messages_in_messages(1000),
    _many_parts(LARGE_BYTES),
    _near_misses(LARGE_BYTES),
    _long_boundaries(LARGE_BYTES),
    _many_addresses(240_000),
    _many_parameters(200_000),
    _large_text(LARGE_BYTES),
)
"""Each is what follows `HEAD`: more of the header, and the body."""


async def fill(data_dir: Path, address: str, password: str) -> None:
    """Make a data folder whose only account, `address`, has them all."""
    localpart, _, domain = address.partition("@")
    owner = Address(localpart, domain)
    store = await Store.open(data_dir, max_mailbox_size_bytes=1 << 40)
    try:
        await store.accounts.create(owner, hash_password(password), date.today())
        for rest in MESSAGES:
            message = HEAD + rest
            split = message.index(b"\r\n\r\n") + 4
            body = store.stage(message[:split])
            for start in range(split, len(message), 1 << 20):
                body.write(message[start : start + (1 << 20)])
            await store.deliver([LocalDelivery(body, (owner,))], datetime.now(UTC))
    finally:
        await store.close()
