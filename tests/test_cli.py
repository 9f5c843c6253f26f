"""What an operator meets on the command line: help, exit codes, and one sentence for every fault."""

import json
import socket
import sqlite3
import subprocess
import tomllib
from pathlib import Path

import pytest

from chatmail import __version__
from chatmail.config import parse_config
from tests.support.command import ROOT, chatmail, chatmail_command, on_full_disk, run, without_privileges

OFF = "smtp = 0\nsubmission = 0\nsubmissions = 0\nimap = 0\nimaps = 0\nhttp = 0\n"


@pytest.fixture
def config_file(tmp_path: Path, free_loopback_address: str) -> Path:
    """A configuration that starts: one HTTPS listener on an address of its own."""
    path = tmp_path / "chatmail.toml"
    path.write_text(
        f'mail_domain = "_chat.test"\ndata_dir = "{tmp_path}/data"\n'
        f'[listen]\naddresses = ["{free_loopback_address}"]\n{OFF}https = 8443\n'
    )
    return path


def change(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_without_a_subcommand_there_is_help() -> None:
    done = chatmail()
    assert (done.code, done.err) == (0, "")
    assert all(word in done.out for word in ("serve", "try", "config"))


def test_the_version_is_printed() -> None:
    assert chatmail("--version").out == f"chatmail {__version__}\n"


def test_a_wrong_command_line_ends_with_2() -> None:
    done = chatmail("serv")
    assert done.code == 2 and not done.out and "No such command" in done.err


def test_config_check_accepts_what_serve_would(config_file: Path) -> None:
    done = chatmail("config", "check", "--config", config_file)
    assert (done.code, done.out, done.err) == (0, f"{config_file} is a valid configuration for _chat.test.\n", "")
    told = json.loads(chatmail("config", "check", "--json", "--config", config_file).out)
    assert told == {"file": str(config_file), "mail_domain": "_chat.test"}


def test_config_show_prints_every_key_in_effect_as_toml_and_as_json(config_file: Path) -> None:
    shown = chatmail("config", "show", "--config", config_file).out
    assert parse_config(shown) == parse_config(config_file.read_text())
    assert json.loads(chatmail("config", "show", "--json", "--config", config_file).out) == tomllib.loads(shown)


def test_a_reader_that_goes_away_is_no_fault(config_file: Path) -> None:
    command = chatmail_command("config", "show", "--config", config_file)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[mail]\nmax_mesage_size = 1\n", "Unknown key max_mesage_size in [mail]; the nearest known key there is"),
        ("[mail]\nmax_recipients = 0\n", "max_recipients in [mail] must be a whole number from 1"),
        ("x", "is not valid TOML"),
    ],
)
def test_a_faulty_configuration_is_one_sentence_that_names_the_file(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "chatmail.toml"
    path.write_text(f'mail_domain = "x.org"\n{text}')
    refusal = chatmail("serve", "--config", path).refusal()
    assert refusal.startswith(f"{path}: ") and says in refusal


def test_a_configuration_that_is_missing_unreadable_or_no_text(tmp_path: Path) -> None:
    path = tmp_path / "chatmail.toml"
    assert f"{path} does not exist" in chatmail("serve", "--config", path).refusal()
    path.write_bytes(b"mail_domain = \xff")
    assert "is not UTF-8 text" in chatmail("serve", "--config", path).refusal()
    path.chmod(0)
    refused = run(without_privileges(chatmail_command("serve", "--config", path)))
    assert "cannot be read (Permission denied)" in refused.refusal()


def test_a_port_in_use(config_file: Path, free_loopback_address: str) -> None:
    with socket.create_server((free_loopback_address, 8443)):
        refusal = chatmail("serve", "--config", config_file).refusal()
    assert refusal.startswith("Port 8443 (https) is already in use by ") and "(pid " in refusal


def test_a_port_without_permission(config_file: Path) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 443:
        pytest.skip("on this machine everybody may open port 443")
    command = chatmail_command("serve", "--config", change(config_file, "8443", "443"))
    assert "Port 443 (https) may not be opened by this user" in run(without_privileges(command)).refusal()


def test_a_data_folder_without_permission(config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    command = chatmail_command("serve", "--config", change(config_file, "/data", "/locked/data"))
    assert "may not be written by this user" in run(without_privileges(command)).refusal()


def test_a_certificate_that_is_missing_unreadable_or_of_another_key(config_file: Path, tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    files = f'[tls]\nmode = "files"\ncert_file = "{cert}"\nkey_file = "{key}"\n'
    command = chatmail_command("serve", "--config", change(config_file, "[listen]", f"{files}[listen]"))
    assert f"The file {cert} does not exist" in run(command).refusal()
    cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert "cannot be used" in run(command).refusal()
    key.chmod(0)
    assert f"The file {key} may not be read by this user" in run(without_privileges(command)).refusal()


def test_a_data_folder_of_a_newer_version(config_file: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "chatmail.sqlite") as database:
        database.execute("PRAGMA user_version = 9999")
    database.close()
    assert "written by a newer chatmail" in chatmail("serve", "--config", config_file).refusal()


def test_a_full_disk(config_file: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = chatmail_command("serve", "--config", change(config_file, "/data", "/disk/data"))
    assert f"The disk of {disk}/data is full" in run(on_full_disk(command, disk, "16k")).refusal()


def test_try_refuses_an_address_that_is_not_of_this_machine(tmp_path: Path) -> None:
    refusal = chatmail("try", "--host", "192.0.2.1", XDG_DATA_HOME=str(tmp_path)).refusal()
    assert refusal.startswith("192.0.2.1 is not an address of this machine")


def test_serve_loads_nothing_it_does_not_run() -> None:
    probe = (
        "import sys, chatmail.cli, chatmail.supervisor\n"
        "print([name for name in ('textual', 'acme', 'pgpy', 'josepy', 'segno', 'installer') if name in sys.modules])"
    )
    done = run([*chatmail_command()[:1], "-c", probe])
    assert done.out == "[]\n", done.err
