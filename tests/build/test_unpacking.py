"""Where the built file unpacks itself: only where nobody else could have put code, whole or not at all."""

import os
import stat
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import zipapp_main
from tests.support.tools import require_root

PROGRAM = "from pathlib import Path\ndef main():\n    print(Path(__file__).resolve().parents[3])\n"
"""Stands for chatmail's, and tells from which cache folder it runs."""


@pytest.fixture
def small_pyz(tmp_path: Path) -> Path:
    """A zipapp with the real first code, and next to nothing behind it."""
    sources = Path(__file__).resolve().parent.parent.parent
    path = tmp_path / "small.pyz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(sources / "zipapp_main.py", "__main__.py")
        packed.writestr("architecture", os.uname().machine)
        packed.writestr("environment.json", '{"build_id": "b1"}')
        packed.writestr("site-packages/chatmail/__main__.py", PROGRAM)
        packed.writestr("site-packages/packed_module.py", "")
        packed.writestr("site-packages/ballast.bin", os.urandom(300_000))
    return path


def start(pyz: Path, root: Path | None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with this cache folder, or without one named; it prints the folder it took."""
    variables = {"PATH": "/usr/bin:/bin", **environment} | ({"SHIV_ROOT": str(root)} if root else {})
    return subprocess.run(
        [sys.executable, str(pyz)], capture_output=True, text=True, timeout=60, env=variables, cwd="/", umask=0o002
    )


def assert_refused(result: subprocess.CompletedProcess[str], reason: str) -> None:
    assert result.returncode == 1
    assert reason in result.stderr
    assert result.stderr.startswith("chatmail: ") and result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_the_cache_is_made_for_its_owner_alone(small_pyz: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    result = start(small_pyz, None, HOME=str(home))
    cache = home / ".cache" / "chatmail"
    assert result.stdout == f"{cache}\n"
    for path in [cache, *cache.rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert (cache / "small.pyz_b1" / "site-packages" / "packed_module.py").is_file()


def test_what_one_start_compiles_the_next_ones_need_not(small_pyz: Path, tmp_path: Path) -> None:
    result = start(small_pyz, tmp_path / "cache", PYTHONDONTWRITEBYTECODE="1")
    assert result.returncode == 0
    compiled = list((tmp_path / "cache").glob("small.pyz_b1/site-packages/chatmail/__pycache__/__main__.*.pyc"))
    assert len(compiled) == 1
    before = compiled[0].stat()
    assert start(small_pyz, tmp_path / "cache").returncode == 0
    after = compiled[0].stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_cache_that_others_could_have_written_is_refused(small_pyz: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    root.mkdir()
    root.chmod(0o777)
    assert_refused(start(small_pyz, root), "others may have written")


def test_a_cache_below_a_folder_that_others_can_write_is_refused(small_pyz: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert_refused(start(small_pyz, shared / "cache"), f"others can write {shared}")
    shared.chmod(0o1777)
    assert start(small_pyz, shared / "cache").returncode == 0


def test_a_cache_of_another_user_is_refused_even_by_root(small_pyz: Path, tmp_path: Path) -> None:
    require_root()
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    os.chown(root, 65534, 65534)
    assert_refused(start(small_pyz, root), "belongs to another user")


def test_a_home_kept_by_sudo_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_root()
    kept, own = tmp_path / "kept", tmp_path / "own"
    kept.mkdir()
    own.mkdir()
    os.chown(kept, 65534, 65534)
    monkeypatch.delenv("SHIV_ROOT", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(kept))
    monkeypatch.setattr(zipapp_main, "home_by_user_database", lambda: str(own))
    assert zipapp_main.cache_root() == own / ".cache" / "chatmail"


def test_a_link_into_a_trusted_folder_is_followed_once(small_pyz: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(real)
    assert start(small_pyz, tmp_path / "link").stdout == f"{real}\n"


def test_a_user_who_can_write_nowhere_gets_a_sentence(small_pyz: Path) -> None:
    assert_refused(start(small_pyz, Path("/proc/cache")), "Set SHIV_ROOT to a folder that only you can write")


def test_starts_at_the_same_moment_unpack_once(small_pyz: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(lambda _: start(small_pyz, root), range(6)))
    assert {(result.returncode, result.stdout) for result in results} == {(0, f"{root}\n")}
    assert sorted(path.name for path in root.iterdir()) == [".small.pyz_b1.lock", "small.pyz_b1"]


def test_what_a_killed_start_left_behind_is_replaced(small_pyz: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    left = root / "small.pyz_b1.partial" / "site-packages"
    left.mkdir(parents=True)
    root.chmod(0o700)
    (left / "half.py").write_text("broken(")
    assert start(small_pyz, root).returncode == 0
    assert not (root / "small.pyz_b1" / "site-packages" / "half.py").exists()
    assert not left.exists()


def test_a_full_disk_gets_a_sentence_and_leaves_nothing(small_pyz: Path, tmp_path: Path) -> None:
    require_root()
    root = tmp_path / "tiny"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k,mode=700", "tmpfs", str(root)], check=True)
    try:
        assert_refused(start(small_pyz, root), "No space left on device")
        assert not (root / "small.pyz_b1.partial").exists()
    finally:
        subprocess.run(["umount", str(root)], check=True)


def test_a_file_cut_short_gets_a_sentence(small_pyz: Path, tmp_path: Path) -> None:
    """The directory at the end is intact, a packed file is not: what a bad disk or copy makes of it."""
    content = bytearray(small_pyz.read_bytes())
    with zipfile.ZipFile(small_pyz) as packed:
        offset = packed.getinfo("site-packages/ballast.bin").header_offset
    content[offset + 1000] ^= 0xFF
    small_pyz.write_bytes(content)
    result = start(small_pyz, tmp_path / "cache")
    assert_refused(result, "is damaged")
