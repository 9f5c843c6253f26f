"""Refresh the lock files beside this script: run it by `python3 build.py lock`, under the oldest supported Python.

In: the dependencies and dependency groups of `pyproject.toml`, resolved together so that every file agrees. Out:
`runtime.txt` (what the zipapp carries), `build.txt` (what builds it), `test.txt` (what checks and tests it): exact
versions with the hash of every file that any supported Python, CPU architecture or glibc would choose. pip evaluates
markers for the Python it runs under, so what only newer ones need is found here and added with its marker.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
ARCHITECTURES: Final = ("x86_64", "aarch64")
GLIBC_MINORS: Final = (28, 34, 40)
"""Projects that publish one wheel per glibc make pip choose by the machine's; these find each of them."""

SOURCE_PACKAGES: Final = ("dkimpy", "pgpy")
"""Published without a wheel."""

HEADER: Final = "# Made by `python3 build.py lock` from pyproject.toml; not edited by hand.\n"


@dataclass(slots=True)
class Pin:
    """One locked package: its exact version, for which Pythons, and the hashes of the files that may stand for it."""

    name: str
    version: str
    marker: str = ""
    hashes: set[str] = field(default_factory=set)
    requires: list[Requirement] = field(default_factory=list)

    def render(self) -> str:
        """Its lines in a requirements file."""
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([head, *(f"--hash=sha256:{digest}" for digest in sorted(self.hashes))]) + "\n"


def report(*arguments: str) -> list[dict[str, Any]]:
    """What pip would install, from its own report."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", str(path), *arguments], check=True)
        items: list[dict[str, Any]] = json.loads(path.read_text())["install"]
    return items


def environments() -> list[dict[str, str]]:
    """The marker environments of everything we support."""
    return [
        {"python_version": python, "python_full_version": f"{python}.9", "platform_machine": machine, "extra": ""}
        for python in PYTHONS
        for machine in ARCHITECTURES
    ]


def wanted(marker: Marker | None) -> bool:
    """Whether any supported environment needs what stands behind `marker`."""
    return marker is None or any(marker.evaluate(environment) for environment in environments())


def resolve(requirements: list[Requirement]) -> dict[str, Pin]:
    """Versions for all of `requirements` and what they need, on every supported Python."""
    markers = {canonicalize_name(one.name): str(one.marker) for one in requirements if one.marker}
    asked = [strip_marker(one) for one in requirements if wanted(one.marker)]
    while True:
        pins = {pin.name: pin for pin in map(pin_of, report("--ignore-requires-python", *map(str, asked)))}
        missing = [
            need for pin in pins.values() for need in pin.requires
            if wanted(need.marker) and canonicalize_name(need.name) not in pins
        ]  # fmt: skip
        if not missing:
            break
        markers |= {canonicalize_name(one.name): str(one.marker) for one in missing}
        asked += [strip_marker(one) for one in missing]
    for name, marker in markers.items():
        if name in pins:
            pins[name].marker = marker
    return pins


def strip_marker(requirement: Requirement) -> Requirement:
    """The same requirement, wanted everywhere."""
    bare = Requirement(str(requirement))
    bare.marker = None
    return bare


def pin_of(item: dict[str, Any]) -> Pin:
    """One entry of pip's report."""
    metadata = item["metadata"]
    pin = Pin(canonicalize_name(metadata["name"]), metadata["version"])
    pin.requires = [Requirement(text) for text in metadata.get("requires_dist", [])]
    if pin.name in SOURCE_PACKAGES:
        pin.hashes.add(item["download_info"]["archive_info"]["hashes"]["sha256"])
    return pin


def add_hashes(pins: dict[str, Pin]) -> None:
    """Ask for every supported machine which file it would take."""
    exact = [f"{pin.name}=={pin.version}" for pin in pins.values() if pin.name not in SOURCE_PACKAGES]
    for python in PYTHONS:
        for architecture in ARCHITECTURES:
            for glibc in GLIBC_MINORS:
                platforms = [f"--platform=manylinux_2_{minor}_{architecture}" for minor in range(glibc, 16, -1)]
                platforms.append(f"--platform=manylinux2014_{architecture}")
                options = ["--no-deps", "--ignore-requires-python", "--only-binary=:all:", "--target=unused"]
                for item in report(*options, *platforms, f"--python-version={python}", *exact):
                    name = canonicalize_name(item["metadata"]["name"])
                    pins[name].hashes.add(item["download_info"]["archive_info"]["hashes"]["sha256"])


def closure(pins: dict[str, Pin], requirements: list[Requirement]) -> set[str]:
    """The names that `requirements` bring in, themselves included."""
    seen: set[tuple[str, str]] = set()
    waiting = [(one.name, extra) for one in requirements for extra in ("", *one.extras)]
    while waiting:
        name, extra = waiting.pop()
        pin = pins.get(canonicalize_name(name))
        if pin is None or (pin.name, extra) in seen:
            continue
        seen.add((pin.name, extra))
        needs = [one for one in pin.requires if needed(one, extra)]
        waiting += [(one.name, wish) for one in needs for wish in ("", *one.extras)]
    return {name for name, _ in seen}


def needed(requirement: Requirement, extra: str) -> bool:
    """Whether a package asked for with `extra` needs `requirement` somewhere."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate(one | {"extra": extra}) for one in environments())


def write(name: str, pins: list[Pin]) -> None:
    """Write one lock file."""
    text = HEADER + "".join(pin.render() for pin in sorted(pins, key=lambda one: one.name))
    Path(__file__).with_name(name).write_text(text, encoding="utf-8")
    print(f"requirements/{name}: {len(pins)} packages")


def main() -> None:
    """Resolve everything together, then write one file per purpose."""
    if sys.version_info[:2] != (3, 11):
        sys.exit(
            "Run `build.py lock` under CPython 3.11, the oldest supported: newer ones pick versions it cannot run."
        )
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = {name: [Requirement(one) for one in texts] for name, texts in project["dependency-groups"].items()}
    runtime = [Requirement(one) for one in project["project"]["dependencies"]]
    testing = groups["check"] + groups["test"]
    pins = resolve(runtime + groups["build"] + testing)
    add_hashes(pins)
    of_runtime, of_build = closure(pins, runtime), closure(pins, groups["build"])
    of_tests = closure(pins, testing) - of_runtime
    write("runtime.txt", [pins[name] for name in of_runtime])
    write("build.txt", [pins[name] for name in of_build])
    write("test.txt", [pins[name] for name in of_tests])


if __name__ == "__main__":
    main()
