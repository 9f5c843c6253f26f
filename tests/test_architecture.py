"""The layers, as seen by a running interpreter, and what the static import contracts cannot say."""

import subprocess
import sys
from itertools import groupby
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PURE_MODULES = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for place in (
        "errors.py",
        "config.py",
        "config_values.py",
        "config_text.py",
        "tls_hello.py",
        "mail",
        "policy",
        "imap",
        "dns",
    )
    for path in [ROOT / "chatmail" / place, *(ROOT / "chatmail" / place).rglob("*.py")]
    if path.is_file()
)
NEVER_PURE = ("asyncio", "socket", "sqlite3", "ssl", "subprocess", "aiohttp", "aiosmtpd", "uvloop")
"""Modules that a pure one must not load, not even through others."""

NOT_FOR_SERVING = ("textual", "acme", "pgpy", "dns", "installer")
"""What only the installer, certificate orders, names and self-tests need; `serve` starts faster and smaller without."""

SERVICE_OF_FILE = {"web_folder": "http", "submission": "smtp", "mx": "smtp"}
"""Files in `services/` that belong to a service by another name; else the part before the first `_` names it."""


def loaded_by(modules: list[str]) -> set[str]:
    """Top-level names in `sys.modules` of a fresh interpreter that imported these."""
    # email.utils loads socket for the sake of make_msgid, which nobody here calls.
    code = f"import sys, email.utils\nbefore = set(sys.modules)\nimport {', '.join(modules)}\n"
    code += "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split())


def test_pure_modules_load_no_socket_task_or_database() -> None:
    assert len(PURE_MODULES) > 20
    assert not loaded_by(PURE_MODULES) & set(NEVER_PURE)


@pytest.mark.parametrize("door", ["chatmail.supervisor", "chatmail.cli"])
def test_serving_loads_neither_the_installer_nor_what_only_it_needs(door: str) -> None:
    assert not loaded_by([door]) & set(NOT_FOR_SERVING)


def test_the_package_itself_imports_nothing() -> None:
    assert loaded_by(["chatmail"]) == {"chatmail"}


def service_of(module: str) -> str:
    name = module.rpartition(".")[2]
    return SERVICE_OF_FILE.get(name, name.partition("_")[0])


def test_no_service_imports_another() -> None:
    graph = grimp.build_graph("chatmail", cache_dir=None)
    files = sorted(graph.find_children("chatmail.services"), key=service_of)
    services = {service: set(group) for service, group in groupby(files, key=service_of)}
    assert len(services) > 2
    for service, own in services.items():
        for file in own:
            imported = graph.find_modules_directly_imported_by(file) & set(files)
            assert imported <= own, f"{service} imports another service in {file}"


def test_every_file_says_what_it_is_and_stays_readable() -> None:
    for path in [*ROOT.glob("*.py"), *(ROOT / "chatmail").rglob("*.py"), *(ROOT / "installer").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(('"""', 'r"""')), f"{path} has no module docstring"
        assert text.count("\n") <= 450, f"{path} is too long to read in one go: split it by reasons to change"
