"""The built file itself: starts on every Python it promises, without network or pip, and is built the same twice."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tools import lacking, require_root, require_tool

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
COLD_START_SECONDS = 1.5
"""Goal for a start once the file has been unpacked."""


def find_python(version: str) -> str | None:
    """An interpreter of that version: this one, one of pyenv's, or one on the PATH."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(pyenv[-1]) if pyenv else shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")


def bare_environment() -> dict[str, str]:
    """What is left of the environment on a machine where nothing is set up."""
    return {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "SHIV_ROOT": os.environ["SHIV_ROOT"]}


def unpacked_packages(pyz: Path) -> Path:
    """Where its packages are after a start."""
    with zipfile.ZipFile(pyz) as packed:
        build_id = json.loads(packed.read("environment.json"))["build_id"]
    return Path(os.environ["SHIV_ROOT"], f"{pyz.resolve().name}_{build_id}", "site-packages")


def start(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = bare_environment()
    return subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment, cwd="/")


@pytest.mark.parametrize("version", PYTHONS)
def test_it_starts_and_checks_a_configuration_on_every_supported_python(
    pyz: Path, tmp_path: Path, version: str
) -> None:
    python = find_python(version)
    if python is None:
        # Not `lacking`: no Debian release carries all four.
        pytest.skip(f"no CPython {version} here")
    config = tmp_path / "chatmail.toml"
    config.write_text('mail_domain = "_chat.example"\n[tls]\nmode = "self-signed"\n')
    version_line = start([python, "-I", "-S", str(pyz), "--version"])
    assert (version_line.returncode, version_line.stderr) == (0, "")
    assert re.search(r"\d+\.\d+", version_line.stdout)
    checked = start([python, "-I", "-S", str(pyz), "config", "check", "--config", str(config)])
    assert checked.returncode == 0, checked.stderr
    imports = "import aiohttp._http_parser, cffi, cryptography.hazmat.bindings._rust, pgpy, segno, textual, uvloop"
    script = tmp_path / "imports.py"
    script.write_text(imports)
    environment = bare_environment() | {"PYTHONPATH": str(unpacked_packages(pyz))}
    subprocess.run([python, "-W", "ignore", str(script)], check=True, env=environment, cwd="/")


def test_it_starts_without_any_network_device(pyz: Path) -> None:
    require_root()
    unshare = require_tool("unshare")
    assert start([unshare, "-n", sys.executable, "-I", "-S", str(pyz), "--version"]).returncode == 0


def test_it_starts_quickly_once_unpacked(pyz: Path) -> None:
    command = [sys.executable, str(pyz), "--version"]
    start(command)

    def timed() -> float:
        began = time.perf_counter()
        assert start(command).returncode == 0
        return time.perf_counter() - began

    assert min(timed() for _ in range(5)) < COLD_START_SECONDS


def extension_modules(pyz: Path) -> Iterator[tuple[str, int]]:
    """Name and ELF machine number of every extension module inside."""
    with zipfile.ZipFile(pyz) as packed:
        for name in packed.namelist():
            if ".so" in Path(name).suffixes:
                header = packed.read(name)[:20]
                assert header[:4] == b"\x7fELF", name
                yield name, int.from_bytes(header[18:20], "little")


def assert_all_pythons(pyz: Path, architecture: str) -> None:
    """Every extension module is there for all supported Pythons, and for one CPU only."""
    found: dict[str, set[str]] = {}
    for name, machine in extension_modules(pyz):
        assert machine == ELF_MACHINES[architecture], name
        stem, tag = re.fullmatch(r"(.+?)\.(cpython-3\d+|abi3)\b.*\.so", name).groups()  # type: ignore[union-attr]
        found.setdefault(stem, set()).add(tag)
    wanted = {f"cpython-{version.replace('.', '')}" for version in PYTHONS}
    assert found
    # mypyc names its shared part by a hash that differs between versions.
    gaps = {stem: tags for stem, tags in found.items() if "abi3" not in tags and not tags >= wanted}
    assert not {stem for stem in gaps if not stem.endswith("__mypyc")}


def test_every_extension_module_is_there_for_all_pythons(pyz: Path) -> None:
    assert_all_pythons(pyz, platform.machine())


def test_it_carries_no_tests_no_bytecode_and_no_traces_of_its_building(pyz: Path) -> None:
    with zipfile.ZipFile(pyz) as packed:
        names, entries = packed.namelist(), packed.infolist()
    assert names == sorted(names)
    assert len({(entry.date_time, entry.external_attr) for entry in entries}) == 1
    assert not [name for name in names if re.search(r"\.pyc$|__pycache__|/tests?/|direct_url|RECORD$", name)]
    assert {"site-packages/chatmail/__init__.py", "site-packages/installer/__init__.py"} <= set(names)
    data = {path.relative_to(ROOT) for path in (ROOT / "chatmail" / "web").rglob("*.*") if path.suffix != ".pyc"}
    assert {f"site-packages/{path}" for path in data} <= set(names)


def build(*arguments: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "build.py"), *arguments], check=True, stdout=subprocess.DEVNULL)


def test_the_same_sources_give_the_same_bytes(pyz: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pyz"
    build("--output", str(again))
    # Another run may have built from newer sources since; then both builds are made here.
    first = pyz.read_bytes()
    if first != again.read_bytes():
        build()
        first = (ROOT / "dist" / "chatmail.pyz").read_bytes()
    assert first == again.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_clean_clone_in_another_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    git = require_tool("git")
    built: list[bytes] = []
    for name in ("one", "a-longer-name"):
        clone = tmp_path / name
        subprocess.run([git, "clone", "-q", str(ROOT), str(clone)], check=True)
        subprocess.run([sys.executable, str(clone / "build.py")], check=True, cwd="/", umask=0o077 if built else 0o022)
        built.append((clone / "dist" / "chatmail.pyz").read_bytes())
    assert built[0] == built[1]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_builds_for_the_other_architecture(tmp_path: Path) -> None:
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    output = tmp_path / "other.pyz"
    build("--arch", other, "--output", str(output))
    assert_all_pythons(output, other)
    refused = start([sys.executable, str(output), "--version"])
    assert refused.returncode == 1
    assert f"for Linux on {other}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_older_python_gets_a_sentence(pyz: Path) -> None:
    old = find_python("3.9") or find_python("3.10")
    if old is None:
        lacking("a Python older than 3.11")
    refused = start([old, str(pyz), "--version"])
    assert refused.returncode == 1
    assert refused.stderr.startswith("chatmail: this file runs on CPython 3.11 to 3.14")
    assert refused.stderr.count("\n") == 1
