"""The DKIM key on the disk."""

from pathlib import Path

import pytest

from chatmail.errors import OperatorError
from chatmail.net.dkim_key import load_or_make_key, public_key_der


def test_it_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    made = load_or_make_key(tmp_path, "chatmail")
    assert public_key_der(load_or_make_key(tmp_path, "chatmail")) == public_key_der(made)
    assert (tmp_path / "dkim" / "chatmail.pem").stat().st_mode & 0o777 == 0o600


def test_before_the_first_start_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="does not exist yet; install or start the server first"):
        load_or_make_key(tmp_path / "not-there", "chatmail")


def test_a_file_that_is_no_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "dkim").mkdir()
    (tmp_path / "dkim" / "chatmail.pem").write_text("not a key")
    with pytest.raises(OperatorError, match="is not an RSA key; restore it"):
        load_or_make_key(tmp_path, "chatmail")
    assert (tmp_path / "dkim" / "chatmail.pem").read_text() == "not a key"
