"""The lock files are in step with pyproject.toml, and the script that makes them thinks right."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import build
from requirements.refresh import PYTHONS, SOURCE_PACKAGES, Pin, closure, wanted

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = PROJECT["dependency-groups"]


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    found = re.findall(r"^([\w.-]+)==(\S+)[^\\]*((?:\\\n +--hash=sha256:[0-9a-f]{64} ?)+)$", text, re.MULTILINE)
    assert len(found) == text.count("==")
    return {pin: version for pin, version, _hashes in found}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("runtime.txt", PROJECT["project"]["dependencies"]),
        ("build.txt", GROUPS["build"]),
        ("test.txt", GROUPS["check"] + GROUPS["test"]),
    ],
)
def test_every_dependency_is_locked_in_a_version_it_allows(name: str, texts: list[str]) -> None:
    locked = pins(name)
    for requirement in map(Requirement, texts):
        version = locked.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not locked; run: python3 build.py lock"
        assert requirement.specifier.contains(version), f"{requirement}; run: python3 build.py lock"


def test_the_locks_agree_on_what_they_share() -> None:
    runtime, others = pins("runtime.txt"), pins("build.txt") | pins("test.txt")
    assert {name for name in runtime.keys() & others.keys() if runtime[name] != others[name]} == set()


def test_build_and_refresh_agree_on_what_is_supported() -> None:
    assert (build.PYTHONS, build.SOURCE_PACKAGES) == (PYTHONS, SOURCE_PACKAGES)


def test_a_dependency_for_newer_pythons_only_is_wanted_and_one_for_another_system_is_not() -> None:
    assert wanted(Requirement("a; python_version >= '3.13'").marker)
    assert wanted(Requirement("a; platform_machine == 'aarch64'").marker)
    assert not wanted(Requirement("a; python_version < '3.11'").marker)
    assert not wanted(Requirement("a; sys_platform == 'win32'").marker)


def test_the_closure_follows_extras_and_ends_in_a_circle() -> None:
    known = {
        "a": Pin("a", "1", requires=[Requirement("b[x]"), Requirement("unused; extra == 'y'")]),
        "b": Pin("b", "1", requires=[Requirement("c; extra == 'x'"), Requirement("a")]),
        "c": Pin("c", "1"),
        "unused": Pin("unused", "1"),
    }
    assert closure(known, [Requirement("a")]) == {"a", "b", "c"}


def test_pins_are_selected_with_their_hashes_and_without_markers() -> None:
    one = Pin("one", "1.0", marker='python_version >= "3.13"', hashes={"a" * 64, "b" * 64})
    text = one.render() + Pin("two", "2", hashes={"c" * 64}).render()
    first, second = build.select(text)
    assert first.startswith("one==1.0 ") and first.count("--hash") == 2 and "python_version" not in first
    assert second.startswith("two==2 ")
    assert build.select(text, only=("two",)) == [second]
    assert build.select(text, without=("two",)) == [first]
