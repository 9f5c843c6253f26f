"""SELECT with QRESYNC and the right UIDVALIDITY, which no transcript can know. RFC 7162 §3.2.5."""

import re
from pathlib import Path

import pytest

from chatmail.storage.messages import EXPUNGED_MODSEQS
from tests.support.imap import ImapPeer, ImapServer, imap_server, plain_message


async def left_and_changed(server: ImapServer) -> tuple[ImapPeer, int, int]:
    """A client that knew eight messages, its UIDVALIDITY and MODSEQ, after another took some and flagged one."""
    other = await server.logged_in()
    for _ in range(8):
        await server.deliver(plain_message())
    described = b" ".join(await other.ok("SELECT INBOX"))
    validity, modseq = (int(re.search(name + rb" (\d+)", described)[1]) for name in (b"UIDVALIDITY", b"HIGHESTMODSEQ"))  # type: ignore[index]
    await other.ok("UID STORE 2,5:7 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    await other.ok("UID STORE 8 +FLAGS.SILENT (\\Seen)")
    client = await server.logged_in()
    await client.ok("ENABLE QRESYNC")
    return client, validity, modseq


async def resynchronised(client: ImapPeer, parameters: str) -> list[bytes]:
    """What a SELECT tells beyond the usual."""
    return [
        line
        for line in await client.ok(f"SELECT INBOX (QRESYNC ({parameters}))")
        if b"VANISHED" in line or b"FETCH" in line
    ]


async def test_what_vanished_and_what_changed_is_told(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        client, validity, modseq = await left_and_changed(server)
        flagged = b"* 4 FETCH (UID 8 FLAGS (\\Seen) MODSEQ (%d))" % (modseq + 3)
        assert await resynchronised(client, f"{validity} {modseq}") == [b"* VANISHED (EARLIER) 2,5:7", flagged]
        # Only of the UIDs the client knows; the sequence match data changes nothing.
        assert await resynchronised(client, f"{validity} {modseq} 1:5 (1,3 1,3)") == [b"* VANISHED (EARLIER) 2,5"]
        assert await resynchronised(client, f"{validity} {modseq + 3}") == []
        assert await resynchronised(client, f"{validity + 1} {modseq}") == []


@pytest.mark.parametrize("known", ["", " 1:8"])
async def test_beyond_what_is_remembered_all_that_is_missing_is_named(tmp_path: Path, known: str) -> None:
    async with imap_server(tmp_path / "data") as server:
        client, validity, modseq = await left_and_changed(server)
        await client.ok("SELECT INBOX")
        for number in range(EXPUNGED_MODSEQS):
            await client.ok(f"UID STORE 1 FLAGS.SILENT ($k{number % 2})")
        told = await resynchronised(client, f"{validity} {modseq}{known}")
        assert told[0] == b"* VANISHED (EARLIER) 2,5:7"
