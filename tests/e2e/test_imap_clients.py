"""IMAP clients of others against the built file: mbsync, OfflineIMAP, getmail, mutt, curl, imaplib and imap_tools.

A mailbox here holds OpenPGP messages, as nothing else may be stored; what clients upload is such, too.
"""

import imaplib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import imap_tools
import pytest

from tests.support.imap_clients import Account, Maildir, name_of, run, run_on_terminal, run_until
from tests.support.mail_client import accept_any_certificate
from tests.support.relay import ServedRelay
from tests.support.tools import require_tool

NO_RATE_LIMIT = "[mail]\nmax_user_send_per_minute = 1000000\nmax_user_send_burst_size = 1000000\n"
Data = TypeVar("Data")
SEEN = frozenset({"\\Seen"})
FLAGGED = frozenset({"\\Flagged"})


@pytest.fixture(scope="module")
def relay(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRelay]:
    """The built file, without a limit on how fast one account sends."""
    data = tmp_path_factory.mktemp("clients") / "data"
    with ServedRelay(pyz, loopback_address, data, settings=NO_RATE_LIMIT) as running:
        yield running


@pytest.fixture
def account(relay: ServedRelay, tmp_path: Path) -> Account:
    """A fresh account; its clients live in `tmp_path`."""
    return Account.new(relay, tmp_path)


# --- mbsync ---------------------------------------------------------------------------------------------------------


def mbsync(account: Account, *options: str) -> list[str]:
    """The command line, with its configuration written."""
    program = require_tool("mbsync")
    config = account.folder / "mbsyncrc"
    config.write_text(
        f"IMAPAccount relay\nHost {account.relay.host}\nPort {account.port}\nUser {account.credentials.address}\n"
        f"Pass {account.credentials.password}\nSSLType IMAPS\nCertificateFile {account.certificate}\n\n"
        f"IMAPStore far\nAccount relay\n\n"
        f"MaildirStore near\nPath {account.folder}/mail/\nInbox {account.folder}/mail/INBOX\n\n"
        f"Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nExpunge Both\nSyncState *\n"
    )
    return [program, "-c", str(config), *options, "all"]


def test_mbsync_syncs_messages_flags_and_deletions_both_ways(account: Account) -> None:
    account.receive(["far-1", "far-2", "far-3"])
    near = Maildir(account.folder / "mail" / "INBOX")
    near.add("near-1", account.message("near-1"))
    run(mbsync(account), account.folder)
    assert sorted(near.files()) == account.names() == ["far-1", "far-2", "far-3", "near-1"]

    near.set_flags("far-1", "FS")
    near.set_flags("far-2", "ST")
    with account.observer() as observer:
        observer.select("INBOX")
        observer.store("3", "+FLAGS", r"\Answered")
        observer.store("4", "+FLAGS", r"\Deleted")
        observer.expunge()
    run(mbsync(account), account.folder)
    assert account.flags_by_name() == [("far-1", SEEN | FLAGGED), ("far-3", frozenset({"\\Answered"}))]
    assert sorted(near.files()) == ["far-1", "far-3"]
    assert (near.flags("far-1"), near.flags("far-3")) == ("FS", "R")


def test_mbsync_killed_in_between_resumes_without_losing_or_doubling_a_message(account: Account) -> None:
    far = [f"far-{number:02}" for number in range(30)]
    near_names = [f"near-{number:02}" for number in range(30)]
    account.receive(far)
    near = Maildir(account.folder / "mail" / "INBOX")
    for name in near_names:
        near.add(name, account.message(name))
    command = mbsync(account, "-Dn")
    assert run_until(command, account.folder, "APPEND", 7), "an upload could not be interrupted"
    assert run_until(command, account.folder, r"APPENDUID", 9), "between two uploads, neither"
    assert run_until(command, account.folder, r"BODY.*\{", 11), "nor a download"
    run(mbsync(account), account.folder)
    assert account.names() == sorted(far + near_names)
    assert sorted(near.files()) == sorted(far + near_names)


# --- OfflineIMAP and getmail ----------------------------------------------------------------------------------------


def offlineimap(account: Account) -> list[str]:
    """The command line, with its configuration written."""
    program = require_tool("offlineimap")
    config = account.folder / "offlineimaprc"
    config.write_text(
        f"[general]\naccounts = all\nmetadata = {account.folder}/metadata\nsocktimeout = 20\n"
        "[Account all]\nlocalrepository = near\nremoterepository = far\n"
        f"[Repository near]\ntype = Maildir\nlocalfolders = {account.folder}/mail\n"
        f"[Repository far]\ntype = IMAP\nremotehost = {account.relay.host}\nremoteport = {account.port}\nssl = yes\n"
        f"sslcacertfile = {account.certificate}\nverifycert = no\n"
        f"remoteuser = {account.credentials.address}\nremotepass = {account.credentials.password}\n"
        'folderfilter = lambda name: name == "INBOX"\n'
    )
    return [program, "-o", "-u", "basic", "-c", str(config)]


def test_offlineimap_syncs_messages_flags_and_deletions_both_ways(account: Account) -> None:
    account.receive(["far-1", "far-2"])
    near = Maildir(account.folder / "mail" / "INBOX")
    near.add("near-1", account.message("near-1"))
    run(offlineimap(account), account.folder)
    assert sorted(near.files()) == account.names() == ["far-1", "far-2", "near-1"]

    near.set_flags("far-1", "FS")
    near.files()["far-2"].unlink()
    with account.observer() as observer:
        observer.select("INBOX")
        observer.store("3", "+FLAGS", r"\Seen")
    run(offlineimap(account), account.folder)
    assert account.flags_by_name() == [("far-1", SEEN | FLAGGED), ("near-1", SEEN)]
    assert near.flags("near-1") == "S"


def test_getmail_fetches_everything_and_deletes_it_from_the_server(account: Account) -> None:
    account.receive([f"far-{number}" for number in range(5)])
    near = Maildir(account.folder / "near")
    config = account.folder / "getmailrc"
    config.write_text(
        f"[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = {account.relay.host}\nport = {account.port}\n"
        f"username = {account.credentials.address}\npassword = {account.credentials.password}\n"
        # Its own Maildir delivery refuses to run as root, which a shell does not.
        "[destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n"
        f"arguments = ('-c', 'cat >$(mktemp {near.path}/new/XXXXXX)')\n[options]\ndelete = true\nread_all = true\n"
    )
    run([require_tool("getmail"), "--getmaildir", str(account.folder), "--rcfile", str(config)], account.folder)
    assert sorted(near.files()) == [f"far-{number}" for number in range(5)]
    assert account.names() == []


# --- mutt -----------------------------------------------------------------------------------------------------------


def mutt(account: Account, name: str, keys: str) -> list[str]:
    """The command line of mutt or neomutt that presses `keys` on INBOX and quits."""
    program = require_tool("neomutt") if name == "neomutt" else require_tool("mutt")
    config = account.folder / "muttrc"
    config.write_text(
        f"set imap_user = '{account.credentials.address}'\nset imap_pass = '{account.credentials.password}'\n"
        f"set folder = 'imaps://{account.relay.host}:{account.port}/'\nset spoolfile = '+INBOX'\n"
        f"set certificate_file = '{account.certificate}'\nset ssl_verify_host = no\nset ssl_force_tls = yes\n"
        f"set imap_idle = yes\nset imap_condstore = yes\nset imap_qresync = yes\n"
        f"set header_cache = '{account.folder}/cache'\n"
        "set confirmcreate = no\nset confirmappend = no\nset delete = yes\nset quit = yes\nset wait_key = no\n"
        f"set mark_old = no\npush '{keys}<sync-mailbox><quit>'\n"
    )
    return [program, "-n", "-F", str(config)]


@pytest.mark.parametrize("name", ["mutt", "neomutt"])
def test_mutt_flags_files_and_deletes_messages(account: Account, name: str) -> None:
    account.receive([f"far-{number}" for number in range(1, 5)])
    keys = (
        "<delete-pattern>~i far-1@<enter>"
        "<tag-pattern>~i far-2@<enter><tag-prefix><flag-message>"
        "<untag-pattern>~A<enter><limit>~i far-3@<enter><copy-message>=Archive<enter><limit>~A<enter>"
        "<delete-pattern>~i far-4@<enter><undelete-pattern>~i far-4@<enter>"
    )
    run_on_terminal(mutt(account, name, keys), account.folder)
    assert [flags for named, flags in account.flags_by_name() if named == "far-2"] == [FLAGGED]
    assert account.names() == ["far-2", "far-3", "far-4"]
    assert account.names("Archive") == ["far-3"]

    with account.observer() as observer:
        observer.select("INBOX")
        observer.store("3", "+FLAGS", r"\Deleted")
        observer.expunge()
    run_on_terminal(mutt(account, name, "<delete-pattern>~i far-2@<enter>"), account.folder)
    assert account.names() == ["far-3"]


# --- curl -----------------------------------------------------------------------------------------------------------


def curl(account: Account, path: str, *options: str) -> str:
    """What curl prints."""
    user = f"{account.credentials.address}:{account.credentials.password}"
    url = f"imaps://{account.relay.host}:{account.port}/{path}"
    certificate = ["--cacert", str(account.certificate), "--insecure"]
    return run([require_tool("curl"), "-sS", *certificate, "--user", user, *options, url], account.folder)


def test_curl_uploads_searches_reads_and_deletes(account: Account) -> None:
    message = account.folder / "message.eml"
    message.write_bytes(account.message("by-curl"))
    curl(account, "INBOX", "--upload-file", str(message))
    assert "SEARCH 1" in curl(account, "INBOX", "--request", "SEARCH ALL")
    read = curl(account, "INBOX;MAILINDEX=1")
    assert read.splitlines() == message.read_text().splitlines()
    assert "Message-ID: <by-curl@" in curl(account, "INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(Message-ID)")
    assert "INBOX" in curl(account, "")
    curl(account, "INBOX", "--request", "STORE 1 +FLAGS (\\Deleted)")
    curl(account, "INBOX", "--request", "EXPUNGE")
    assert account.names() == []


# --- imaplib --------------------------------------------------------------------------------------------------------


def data(answer: tuple[str, Data]) -> Data:
    """What came with an OK."""
    assert answer[0] == "OK", answer
    return answer[1]


def test_imaplib_uses_every_command_it_knows(account: Account) -> None:
    with account.observer() as client:
        data(client.create("Archive"))
        data(client.subscribe("Archive"))
        assert "Archive" in repr(data(client.lsub()))
        data(client.append("Archive", r"(\Flagged)", imaplib.Time2Internaldate(1_700_000_000), account.message("one")))
        data(client.append("Archive", "", "", account.message("two")))
        assert data(client.select("Archive")) == [b"2"]
        assert data(client.search(None, "FLAGGED")) == [b"1"]
        assert data(client.search("UTF-8", "SUBJECT", '"[...]"')) == [b"1 2"]
        assert data(client.uid("SEARCH", "HEADER Message-ID two@")) == [b"2"]
        data(client.copy("2", "INBOX"))
        data(client.store("2", "+FLAGS", r"(\Deleted $Label)"))
        assert data(client.expunge()) == [b"2"]
        data(client.close())
        data(client.rename("Archive", "Kept/2023"))
        assert "MESSAGES 1" in repr(data(client.status("Kept/2023", "(MESSAGES UIDNEXT)")))
        assert data(client.getquotaroot("INBOX"))
        assert data(client.namespace())
        data(client.select("Kept/2023", readonly=True))
        assert client.store("1", "+FLAGS", r"\Seen")[0] == "NO"
        data(client.unselect())
        data(client.delete("Kept/2023"))
        assert data(client.noop())
    assert account.names() == ["two"]


def test_imaplib_logs_in_by_authenticate_and_enables_extensions(account: Account) -> None:
    with imaplib.IMAP4(account.relay.host, account.relay.port(143)) as client:
        data(client.starttls(accept_any_certificate()))
        token = f"\0{account.credentials.address}\0{account.credentials.password}".encode()
        data(client.authenticate("PLAIN", lambda _: token))
        assert "CONDSTORE" in repr(data(client.capability()))
        data(client.enable("CONDSTORE"))
        data(client.select("INBOX"))


# --- imap_tools -----------------------------------------------------------------------------------------------------


@pytest.fixture
def box(account: Account) -> Iterator[imap_tools.BaseMailBox]:
    """imap_tools, logged in, with INBOX."""
    mailbox = imap_tools.MailBox(account.relay.host, account.port, ssl_context=accept_any_certificate())
    with mailbox.login(account.credentials.address, account.credentials.password) as logged_in:
        yield logged_in


def test_imap_tools_fetches_flags_moves_and_deletes(account: Account, box: imap_tools.BaseMailBox) -> None:
    account.receive(["one", "two", "three"])
    messages = list(box.fetch(imap_tools.AND(seen=False), mark_seen=False, bulk=True))
    assert [name_of(message.obj.as_bytes()) for message in messages] == ["one", "two", "three"]
    uids = [message.uid for message in messages if message.uid]
    assert {message.obj.get_content_type() for message in messages} == {"multipart/encrypted"}
    box.flag(uids[:2], imap_tools.MailMessageFlags.FLAGGED, True)
    assert box.uids(imap_tools.AND(flagged=True)) == uids[:2]
    box.folder.create("Käse/Alt")
    box.move(uids[0], "Käse/Alt")
    box.copy(uids[1], "Käse/Alt")
    box.delete(uids[1])
    assert account.names() == ["three"]
    assert [folder.name for folder in box.folder.list("", "K*")] == ["Käse", "Käse/Alt"]
    assert box.folder.status("Käse/Alt")["MESSAGES"] == 2
    box.append(account.message("four"), "INBOX", flag_set=[imap_tools.MailMessageFlags.SEEN])
    assert dict(account.flags_by_name())["four"] == SEEN
    box.folder.rename("Käse/Alt", "Käse/Älter")
    box.folder.delete("Käse/Älter")
    assert not box.folder.exists("Käse/Älter")


def test_imap_tools_hears_of_new_mail_in_idle(account: Account, box: imap_tools.BaseMailBox) -> None:
    box.idle.start()  # type: ignore[no-untyped-call]
    account.receive(["new"])
    assert b"* 1 EXISTS" in box.idle.poll(timeout=20)
    box.idle.stop()  # type: ignore[no-untyped-call]
    assert box.numbers() == ["1"]
