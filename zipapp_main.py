"""The first code the built file runs: its `__main__.py`, packed there by `build.py`.

Refuses interpreters the file does not carry extension modules for, chooses a cache folder that only its owner can
write, unpacks the packages into it once (extension modules cannot be loaded from inside a zip) and hands over to what
is there. Whoever can write into the cache chooses what code runs, so the folder and everything above it must belong to
this user or root, and nobody else may write there. An installed file runs from what root unpacked beside it instead.
Standard library only, and syntax that an old Python can still read, so that it gets a sentence instead of a traceback.
It imports nothing of chatmail.
"""

import fcntl
import importlib
import importlib.machinery
import json
import os
import posixpath
import shutil
import stat
import sys
import zipfile
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)
PACKAGES = "site-packages/"


class CannotStart(Exception):
    """One sentence for the operator: what is wrong and what to do."""


def main() -> None:
    """Unpack if needed, then run the entry point."""
    archive = Path(sys.argv[0])
    if sys.argv[1:2] in ([], ["install"]) and sys.stderr.isatty():
        # Reading the packages takes seconds on a small machine, and nobody should wonder whether it was started.
        print("chatmail: starting...", file=sys.stderr)
    try:
        packages = installed_packages(archive) or unpacked_packages(archive)
    except CannotStart as problem:
        sys.exit(f"chatmail: {problem}")
    except zipfile.BadZipFile as problem:
        sys.exit(f"chatmail: {archive} is damaged ({problem}); copy it again.")
    # Not shiv's bootstrap: it would read the archive once more, and keep 4 MiB for as long as the server runs.
    sys.path.insert(0, str(packages))
    importlib.import_module("chatmail.__main__").main()


def main_until_interrupted() -> None:
    """The same; Ctrl-C before there is anybody else to hear it ends it without a traceback."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)


def unpacked_packages(archive: Path) -> Path:
    """The packages in the cache, unpacked by this start or an earlier one. Raises `CannotStart`."""
    with zipfile.ZipFile(archive) as packed:
        check_interpreter(packed.read("architecture").decode())
        build_id = json.loads(packed.read("environment.json").decode())["build_id"]
        folder = cache_root() / f"{archive.resolve().name}_{build_id}"
        unpack(packed, folder)
    # Nobody else can write there, and nobody edits there: what one start compiles, the next ones need not.
    sys.dont_write_bytecode = False
    return folder / PACKAGES


def installed_packages(archive: Path) -> "Path | None":
    """What an installation unpacked beside the file `chatmail-VERSION.pyz`, in `VERSION/`; None if that is not there.

    Only what root alone can write counts, and only what was unpacked from this very build.
    """
    archive = archive.resolve()
    folder = archive.with_name(archive.stem.partition("-")[2] or "none")
    try:
        with zipfile.ZipFile(archive) as packed:
            same_build = (folder / "build_id").read_bytes() == packed.read("environment.json")
        for place in (folder, *folder.parents):
            status = place.stat()
            if status.st_uid != os.stat("/").st_uid or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return None
    except (OSError, KeyError, zipfile.BadZipFile):
        return None
    return folder / PACKAGES if same_build else None


def check_interpreter(architecture: str) -> None:
    """Raise `CannotStart` unless the extension modules inside fit this Python."""
    version = sys.version_info[:2]
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    expected = f".cpython-{version[0]}{version[1]}-{architecture}-linux-gnu.so"
    if not OLDEST <= version <= NEWEST:
        found = "Python {}.{}".format(*version)
    elif suffix != expected:
        found = f"one that loads {suffix}"
    else:
        return
    raise CannotStart(
        "this file runs on CPython 3.{} to 3.{} for Linux on {} with glibc; {} is {}.".format(
            OLDEST[1], NEWEST[1], architecture, sys.executable or "this Python", found
        )
    )


def cache_root() -> Path:
    """The first of the possible cache folders that only its owner can write; made if missing.

    `SHIV_ROOT` if set, and then no other; else `chatmail` in the user's cache folder, by the environment or, where that
    is another user's (`sudo` may keep HOME), by the user database.
    """
    reasons = []
    for folder in candidates():
        try:
            return trusted_folder(folder)
        except CannotStart as problem:
            reasons.append(str(problem))
        except OSError as problem:
            reasons.append(f"{folder}: {problem.strerror}")
    raise CannotStart(
        "no folder to unpack into ({}). Set SHIV_ROOT to a folder that only you can write.".format("; ".join(reasons))
    )


def candidates() -> "list[Path]":
    """Where the cache may be, best first."""
    if os.environ.get("SHIV_ROOT"):
        return [Path(os.environ["SHIV_ROOT"])]
    found = []
    if os.environ.get("XDG_CACHE_HOME"):
        found.append(Path(os.environ["XDG_CACHE_HOME"], "chatmail"))
    if os.environ.get("HOME"):
        found.append(Path(os.environ["HOME"], ".cache", "chatmail"))
    found.append(Path(home_by_user_database(), ".cache", "chatmail"))
    return list(dict.fromkeys(found))


def home_by_user_database() -> str:
    """The home folder of the effective user; a folder that cannot exist where there is no entry."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return "/nonexistent"


def trusted_folder(folder: Path) -> Path:
    """`folder`, made if missing, without symbolic links. Raises `CannotStart` where another user could write."""
    before = os.umask(0o077)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    finally:
        os.umask(before)
    real = folder.resolve()
    if real.stat().st_uid != os.geteuid():
        raise CannotStart(f"{real} belongs to another user")
    if real.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CannotStart(f"others may have written into {real}; remove it")
    for place in real.parents:
        check_parent(place)
    if os.statvfs(real).f_flag & os.ST_NOEXEC:
        raise CannotStart(f"{real} is mounted noexec")
    return real


def check_parent(place: Path) -> None:
    """Raise `CannotStart` where someone else could put another folder in the place of what lies in `place`."""
    status = place.stat()
    # Whoever owns / may do anything anyway; inside a user namespace that need not be user 0.
    if status.st_uid not in (os.geteuid(), os.stat("/").st_uid):
        raise CannotStart(f"{place} belongs to another user")
    if status.st_mode & stat.S_ISVTX:
        return
    shared = status.st_mode & stat.S_IWGRP and not is_private_group(status.st_gid)
    if shared or status.st_mode & stat.S_IWOTH:
        raise CannotStart(f"others can write {place}")


def is_private_group(group_id: int) -> bool:
    """Whether the group is this user's own (some systems give each user one, and a umask of 002)."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(group_id)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}


def unpack(packed: zipfile.ZipFile, folder: Path) -> None:
    """Put the packages into `folder`, whole or not at all; starts at the same moment wait for each other."""
    if folder.exists():
        return
    before = os.umask(0o077)
    try:
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                if sys.stderr.isatty():
                    print("chatmail: unpacking, once; this takes some seconds...", file=sys.stderr)
                extract(packed, folder.with_name(f"{folder.name}.partial"))
                folder.with_name(f"{folder.name}.partial").rename(folder)
    except OSError as problem:
        raise CannotStart(f"cannot unpack into {folder.parent}: {problem.strerror}.") from None
    finally:
        os.umask(before)


def extract(packed: zipfile.ZipFile, folder: Path) -> None:
    """Write the packages below `folder` and to the disk; on a full disk nothing is left behind."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        names = [name for name in packed.namelist() if name.startswith(PACKAGES)]
        packed.extractall(folder, names)
        # Made here, for the owner alone: what starts with another umask compile goes into them.
        for package in {posixpath.dirname(name) for name in names if name.endswith(".py")}:
            (folder / package / "__pycache__").mkdir()
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # Without it a power cut could leave the final name with empty files behind it, for good.
    os.sync()


if __name__ == "__main__":
    main_until_interrupted()
