"""Whom the ACME client trusts where nothing is configured."""

from pathlib import Path

import pytest

from chatmail.net.acme import system_roots


def test_the_roots_of_the_system_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "roots.pem"
    file.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert system_roots() == file


def test_a_system_may_keep_them_one_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert system_roots() is None, "a folder without roots is none"
    (tmp_path / "4042bcee.0").touch()
    assert system_roots() == tmp_path
