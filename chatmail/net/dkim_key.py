"""The DKIM key of this relay: RSA-2048, made once, kept with mode 600 in the data folder under its selector's name.

RFC 8301 §3.2 asks for 2048 bits; Ed25519 (RFC 8463) is not verified by enough receivers yet.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chatmail.errors import OperatorError
from chatmail.storage.atomic import write_durably

KEY_BITS: Final = 2048


def load_or_make_key(data_dir: Path, selector: str) -> rsa.RSAPrivateKey:
    """The key of `selector`. Raises `OperatorError` in one sentence if it cannot be read or written."""
    path = data_dir / "dkim" / f"{selector}.pem"
    if not data_dir.is_dir():
        raise OperatorError(f"The data folder {data_dir} does not exist yet; install or start the server first.")
    try:
        if path.exists():
            return _read(path)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        key = rsa.generate_private_key(65537, KEY_BITS)
        write_durably(
            path,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        _give_to_owner(data_dir, (path.parent, path))
    except OSError as error:
        raise OperatorError(
            f"The DKIM key {path} cannot be read or written ({error.strerror}); check the owner and the free space."
        ) from None
    return key


def _give_to_owner(data_dir: Path, made: Iterable[Path]) -> None:
    """A key that root's command made is the server's all the same: it belongs to whom the data folder belongs."""
    owner = data_dir.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in made:
            os.chown(path, owner.st_uid, owner.st_gid)


def _read(path: Path) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise OperatorError(f"The file {path} is not an RSA key; restore it from a backup, or remove it for a new one.")
    return key


def public_key_der(key: rsa.RSAPrivateKey) -> bytes:
    """What the DNS record publishes: the DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
