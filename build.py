"""Builds the one file, and runs what a developer runs: `python3 build.py [run|test|check|lock]`.

The built file is a shiv zipapp with the wheels of all supported Pythons laid over each other (extension modules carry
the version in their names). Its bytes depend on the sources and the lock files alone: sorted entries, one time stamp
(`SOURCE_DATE_EPOCH` or a fixed one), fixed permissions. Tools and downloads live under `build/` and are kept.
Imports only the standard library; runs on every Python the built file runs on.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).resolve().parent
WORK: Final = ROOT / "build"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
ARCHITECTURES: Final = ("x86_64", "aarch64")
GLIBC_MINOR: Final = 28
"""Wheels for glibc 2.28 or older are taken: every distribution that has CPython 3.11 has a newer one."""

SOURCE_PACKAGES: Final = ("dkimpy", "pgpy")
"""Published without a wheel; built to one first."""

OWN_PACKAGES: Final = ("chatmail", "installer")
BALLAST_SUFFIXES: Final = (".pyc", ".pyi", ".pyx", ".pxd", ".c", ".h", ".so.debug")
BALLAST_FILES: Final = ("RECORD", "INSTALLER", "REQUESTED", "WHEEL", "direct_url.json", "top_level.txt")
EARLIEST_ZIP_TIME: Final = 315532800
KEPT_UNPACKED: Final = 6
"""Unpacked copies of earlier builds that stay, for what still runs from them."""


def main() -> None:
    """Parse the command line and do one thing."""
    command, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    try:
        if command == "run":
            run_try(rest)
        elif command == "test":
            run_tests(rest)
        elif command == "check":
            check(test_venv())
        elif command == "lock":
            lock()
        else:
            build_from_arguments(sys.argv[1:])
    except subprocess.CalledProcessError as problem:
        sys.exit(f"build.py: `{' '.join(map(str, problem.cmd))[:300]}` failed with exit code {problem.returncode}.")
    except KeyboardInterrupt:
        sys.exit(130)


def build_from_arguments(arguments: list[str]) -> None:
    """`build.py [--arch A] [--output FILE]`."""
    parser = argparse.ArgumentParser(
        prog="build.py",
        description="Without a command: build dist/chatmail.pyz. Commands: run (build and `try`), test, check, lock.",
    )
    parser.add_argument(
        "--arch", choices=ARCHITECTURES, default=platform.machine(), help="CPU architecture to build for"
    )
    parser.add_argument("--output", type=Path, help="the file to write (default: below dist/)")
    options = parser.parse_args(arguments)
    if options.arch not in ARCHITECTURES:
        parser.error(f"no wheels for {options.arch}; choose --arch {' or '.join(ARCHITECTURES)}")
    output = build(options.arch, options.output)
    print(f"{output}  {output.stat().st_size:,} bytes  sha256 {sha256(output.read_bytes())}")


# -- the zipapp ------------------------------------------------------------------------------------------------------


def build(architecture: str, output: Path | None = None) -> Path:
    """Build the zipapp; into `dist/` only if it is not there yet, made from the same sources. Returns its path."""
    name = "chatmail.pyz" if architecture == platform.machine() else f"chatmail-{architecture}.pyz"
    target, stamp = ROOT / "dist" / name, WORK / f"{name}.json"
    with one_at_a_time():
        if output is not None:
            pack(architecture, output.absolute())
            return output
        sources = sources_digest(architecture)
        if target.is_file() and stamp.is_file():
            made = json.loads(stamp.read_text())
            if made == [sources, sha256(target.read_bytes())]:
                return target
        target.parent.mkdir(exist_ok=True)
        pack(architecture, target)
        stamp.write_text(json.dumps([sources, sha256(target.read_bytes())]))
        forget_unpacked()
    return target


def pack(architecture: str, target: Path) -> None:
    """Lay everything together, let shiv make a zipapp of it, and seal that."""
    dependencies = lay_over(architecture, fetch_wheels(architecture))
    own = WORK / "own"
    shutil.rmtree(own, ignore_errors=True)
    for path in own_files():
        copy(path, own / path.relative_to(ROOT))
    raw = WORK / "raw.pyz"
    command: list[str | Path] = [
        tools_venv(),
        "-W",
        "ignore",
        "-m",
        "shiv",
        "--uncompressed",
        "--reproducible",
        "--output-file",
        raw,
    ]
    command += ["--entry-point", "chatmail.__main__:main", "--site-packages", dependencies, "--site-packages", own]
    run(command, SOURCE_DATE_EPOCH=str(build_time()))
    part = target.with_name(target.name + ".part")
    seal(raw, part, architecture)
    part.replace(target)
    raw.unlink()


def seal(raw: Path, target: Path, architecture: str) -> None:
    """Write shiv's zipapp again: sorted, with one time and fixed permissions, and with our first code in front."""
    moment = time.gmtime(build_time())[:6]
    with zipfile.ZipFile(raw) as packed, target.open("wb") as file:
        names = [info.filename for info in packed.infolist() if not info.filename.startswith("_bootstrap/")]
        entries = {name: packed.read(name) for name in names}
        entries["__main__.py"] = (ROOT / "zipapp_main.py").read_bytes()
        entries["architecture"] = architecture.encode()
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w") as sealed:
            for name in sorted(entries):
                info = zipfile.ZipInfo(name, moment)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o100644 << 16
                sealed.writestr(info, entries[name])
    target.chmod(0o755)


def build_time() -> int:
    """The one time in the archive, in Unix seconds."""
    return max(EARLIEST_ZIP_TIME, int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST_ZIP_TIME)))


def own_files() -> list[Path]:
    """The project's own files that go into the zipapp."""
    found = [path for package in OWN_PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    return sorted(path for path in found if path.suffix != ".pyc" and not path.name.startswith("."))


def sources_digest(architecture: str) -> str:
    """A digest of everything that the zipapp's bytes depend on."""
    locks = [ROOT / "requirements" / name for name in ("runtime.txt", "build.txt")]
    digest = hashlib.sha256(f"{architecture} {build_time()}".encode())
    for path in [Path(__file__), ROOT / "zipapp_main.py", *locks, *own_files()]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def fetch_wheels(architecture: str) -> Path:
    """A folder with the wheels of the lock file for every supported Python, downloaded if they are not there yet."""
    pins = locked("runtime.txt")
    folder = WORK / "wheels" / f"{architecture}-{sha256(pins.encode())[:16]}"
    if not folder.is_dir():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        platforms = [f"--platform=manylinux_2_{minor}_{architecture}" for minor in range(GLIBC_MINOR, 4, -1)]
        platforms += [f"--platform=manylinux{year}_{architecture}" for year in ("2014", "2010", "1")]
        for python in PYTHONS:
            options = ["--only-binary=:all:", "--ignore-requires-python", f"--python-version={python}", *platforms]
            pip("download", *options, "--dest", part, requirements=select(pins, without=SOURCE_PACKAGES))
        options = ["--no-build-isolation", "--no-binary=:all:", "--wheel-dir"]
        pip("wheel", *options, part, requirements=select(pins, only=SOURCE_PACKAGES))
        part.rename(folder)
        forget(folder.parent.glob(f"{architecture}-*"), keep=folder)
    return folder


def lay_over(architecture: str, wheels: Path) -> Path:
    """Unpack all wheels into one folder, without ballast; two that disagree on a file are an error."""
    folder = WORK / f"site-{wheels.name}-{sha256(Path(__file__).read_bytes())[:16]}"
    if folder.is_dir():
        return folder
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                inside = installed_path(name)
                if inside is not None and not is_ballast(inside):
                    place_file(part / inside, packed.read(name))
    part.rename(folder)
    forget(WORK.glob(f"site-{architecture}-*"), keep=folder)
    return folder


def place_file(place: Path, content: bytes) -> None:
    """Write one file of a wheel; another wheel may have brought the same one, but not a different one."""
    if place.exists() and place.read_bytes() != content:
        sys.exit(f"build.py: the wheels of different Pythons disagree on {place}.")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def installed_path(name: str) -> PurePosixPath | None:
    """Where an entry of a wheel goes; `None` for folders, scripts, headers and data."""
    path = PurePosixPath(name)
    if name.endswith("/"):
        return None
    if path.parts[0].endswith(".data"):
        return PurePosixPath(*path.parts[2:]) if path.parts[1] in ("purelib", "platlib") else None
    return path


def is_ballast(path: PurePosixPath) -> bool:
    """Whether the file is of no use at run time: tests, sources of extension modules, installation records."""
    records = path.parts[0].endswith(".dist-info") and path.name in BALLAST_FILES and len(path.parts) == 2
    tests = any(part in ("tests", "test") for part in path.parts[:-1])
    return records or tests or path.suffix in BALLAST_SUFFIXES


def forget(folders: Iterable[Path], keep: Path) -> None:
    """Remove what earlier builds left."""
    for folder in folders:
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)


def forget_unpacked() -> None:
    """Remove the unpacked copies of old builds below `build/`."""
    copies = [path for path in unpacked_folder().glob("*_*") if path.is_dir()]
    for path in sorted(copies, key=lambda one: one.stat().st_mtime)[:-KEPT_UNPACKED]:
        shutil.rmtree(path, ignore_errors=True)


# -- tools -----------------------------------------------------------------------------------------------------------


def run_try(arguments: list[str]) -> None:
    """Build if needed, then become `chatmail.pyz try`."""
    pyz = build(platform.machine())
    os.environ["SHIV_ROOT"] = str(unpacked_folder())
    os.execv(sys.executable, [sys.executable, str(pyz), "try", *arguments])


def run_tests(arguments: list[str]) -> None:
    """Set up what the tests need, check, build, test; exits with pytest's code."""
    install_debian_packages()
    python = test_venv()
    check(python)
    build(platform.machine())
    os.chdir(ROOT)
    # Long proofs (-m slow, -m machines) each want the whole machine. A file's tests stay together: they share servers.
    side_by_side = [] if "-m" in arguments else ["-n", "logical", "--dist", "loadfile", "--no-loadscope-reorder"]
    os.execv(python, [str(python), "-m", "pytest", *side_by_side, *arguments])


def check(python: Path) -> None:
    """Format, lint, types and import contracts; all of them run, then the first failure counts."""
    steps = ("ruff format --check .", "ruff check .", "mypy", "lint-imports")
    failed = []
    for step in steps:
        print(f"-- {step}", flush=True)
        tool, *arguments = step.split()
        if subprocess.run([python.with_name(tool), *arguments], cwd=ROOT).returncode:
            failed.append(tool)
    if failed:
        sys.exit(f"build.py: check failed: {', '.join(failed)}.")


def lock() -> None:
    """Resolve the dependencies of pyproject.toml anew and write the lock files."""
    run([tools_venv(), ROOT / "requirements" / "refresh.py"])


def install_debian_packages() -> None:
    """Install what `tests/debian-packages.txt` lists and is missing, where that is possible (root on Debian)."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    lines = (ROOT / "tests" / "debian-packages.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    missing = [name for name in wanted if not is_installed(name)]
    if missing:
        run(["apt-get", "update", "-q"])
        options = ["install", "-y", "-q", "--no-install-recommends"]
        run(["apt-get", *options, *missing], DEBIAN_FRONTEND="noninteractive")


def is_installed(package: str) -> bool:
    """Whether dpkg knows the package as installed."""
    status = subprocess.run(["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True)
    return status.stdout == "install ok installed"


def tools_venv() -> Path:
    """The interpreter of the venv that has the build tools."""
    return venv(WORK / "tools", ["build.txt"])


def test_venv() -> Path:
    """The interpreter of the venv that has the dependencies, the checkers and the test tools."""
    with one_at_a_time():
        return venv(WORK / "test", ["build.txt", "runtime.txt", "test.txt"])


def venv(folder: Path, locks: list[str]) -> Path:
    """Make a venv with the locked packages, or find it made; returns its interpreter."""
    python, stamp = folder / "bin" / "python", folder / "made-from"
    made_from = sha256("".join([sys.version, sys.base_prefix, *map(locked, locks)]).encode())
    if stamp.is_file() and stamp.read_text() == made_from:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", folder]).returncode:
        sys.exit("build.py: this Python cannot make a venv; on Debian: apt-get install python3-venv.")
    for name in locks:
        options = ["--no-deps", "--require-hashes", "--no-build-isolation", "--disable-pip-version-check", "-qq"]
        run([python, "-m", "pip", "install", *options, "-r", ROOT / "requirements" / name])
    stamp.write_text(made_from)
    return python


def pip(command: str, *arguments: str | Path, requirements: Iterable[str]) -> None:
    """Run the build tools' pip on exactly the given pins."""
    listed = WORK / "pins.txt"
    listed.write_text("\n".join(requirements) + "\n", encoding="utf-8")
    options: list[str | Path] = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "-qq", "-r", listed]
    run([tools_venv(), "-m", "pip", command, *options, *arguments])


def locked(name: str) -> str:
    """The text of a lock file."""
    return (ROOT / "requirements" / name).read_text(encoding="utf-8")


def select(pins: str, only: tuple[str, ...] = (), without: tuple[str, ...] = ()) -> list[str]:
    """The pins of some packages, without markers: the zipapp carries what any supported Python needs."""
    whole = re.findall(r"^([\w.-]+)(==[^\s;]+)[^\\\n]*((?:\\\n[^\\\n]*)+)", pins, re.MULTILINE)
    chosen = [one for one in whole if one[0] not in without and (not only or one[0] in only)]
    return [f"{name}{version} {hashes}" for name, version, hashes in chosen]


def unpacked_folder() -> Path:
    """Where the built file unpacks itself when it is run from here."""
    return WORK / "unpacked"


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock of `build/`: two of us at once would write the same files."""
    WORK.mkdir(exist_ok=True)
    with (WORK / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run(command: Sequence[str | Path], **environment: str) -> None:
    """Run a command in the project's folder; raises `CalledProcessError`."""
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)


def copy(source: Path, target: Path) -> None:
    """Copy one file, making its folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    main()
