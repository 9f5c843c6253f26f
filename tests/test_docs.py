"""The documentation says what the code does: commands, keys, dependencies, and every command block is run somewhere."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from chatmail.cli import program
from chatmail.config import parse_config
from tests.support import configuration_page

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

RUN_BY = {
    "python3 build.py run": ("tests/build/test_commands.py", '"run"'),
    "python3 build.py run --host 192.0.2.7": ("tests/build/test_commands.py", '"--host"'),
    "python3 build.py test": (".ci/run", "python3 build.py test"),
    "python3 build.py": ("tests/conftest.py", "build.py"),
    "python3 build.py --arch aarch64": ("tests/build/test_zipapp.py", '"--arch"'),
    "python3 build.py check": ("build.py", "check(python)"),
    "python3 build.py test -m slow": ("tests/build/test_zipapp.py", "pytest.mark.slow"),
    "python3 build.py test -m machines": ("tests/machines/test_unattended.py", "pytest.mark.machines"),
    "python3 build.py lock": ("tests/build/test_locks.py", "requirements.refresh"),
    "build/test/bin/python -m tests.fuzz --seconds 1800": ("tests/fuzz/__main__.py", '"--seconds"'),
    "build/test/bin/python -m tests.stress --pyz dist/chatmail.pyz --minutes 5": (
        "tests/stress/__main__.py",
        '"--minutes"',
    ),
    "build/test/bin/python -m tests.hostile --pyz dist/chatmail.pyz": ("tests/hostile/__main__.py", '"--pyz"'),
    "build/test/bin/python -m tests.bench.bench_expiry_wire --pyz dist/chatmail.pyz": (
        "tests/bench/bench_expiry_wire.py",
        '"--pyz"',
    ),
    "build/test/bin/python -m tests.bench --pyz dist/chatmail.pyz": ("tests/bench/__main__.py", '"--pyz"'),
}
"""Every command block of the README, the file that runs it (or, for what needs hours or a registry, defines it), and
words of that file that prove it."""


def commands_of_readme() -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


def test_every_command_block_of_the_readme_is_run_somewhere() -> None:
    assert sorted(commands_of_readme()) == sorted(RUN_BY)
    for command, (file, words) in RUN_BY.items():
        assert words in (ROOT / file).read_text(encoding="utf-8"), f"{file} no longer runs `{command}`"


def test_ci_runs_the_test_command_of_the_readme_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    commands = [shlex.split(line) for line in lines if line and not line.startswith("#")]
    assert commands == [["set", "-eu"], ["cd", "$(dirname $0)/.."], ["exec", "python3", "build.py", "test"]]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def subcommands(group: click.Group, prefix: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from subcommands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


@pytest.mark.parametrize("name", list(subcommands(program)))
def test_every_subcommand_is_in_the_readme(name: str) -> None:
    assert f"`chatmail.pyz {name}" in README


def test_the_configuration_page_is_made_from_the_code_as_it_is() -> None:
    assert configuration_page.PAGE.read_text(encoding="utf-8") == configuration_page.render(), (
        "run: python3 -m tests.support.configuration_page"
    )


def test_the_configuration_in_the_readme_can_be_used() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert [parse_config(block).mail_domain for block in blocks] == ["chat.example.org"]


def dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    texts = project["project"]["dependencies"] + [
        one for group in project["dependency-groups"].values() for one in group
    ]
    return {re.match(r"[\w-]+", text)[0] for text in texts}  # type: ignore[index]


def test_the_table_of_dependencies_is_complete() -> None:
    table = README.partition("### Dependencies")[2]
    listed = {name for row in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE) for name in row.split(", ")}
    assert listed - {"package"} - {"---"} == dependencies()


def test_links_between_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_debian_package_is_there_for_a_tool_that_a_test_asks_for() -> None:
    lines = (ROOT / "tests" / "debian-packages.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(None, 2) for line in lines if line and not line.startswith("#")]
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    asked = {name for text in sources for name in re.findall(r'require_tool\("([\w.-]+)"\)', text)}
    assert all(len(row) == 3 for row in rows), "a package, its tools, and the reason"
    assert {tool for _package, tools, _reason in rows for tool in tools.split(",")} == asked


def test_every_advertised_imap_capability_has_a_row_and_a_dialogue_that_shows_it() -> None:
    table = README.split("### RFC support", 1)[1].split("## Not yet", 1)[0]
    rows = re.findall(r"^\| ([^|]+) \| \d+ \| `([^`]+)` \| `([^`]+)` \|$", table, re.MULTILINE)
    for _names, file, words in rows:
        assert words in (ROOT / "tests" / "dialogues" / file).read_text(encoding="utf-8"), f"{file} lacks {words}"
    source = (ROOT / "chatmail" / "services" / "imap_session_login.py").read_text(encoding="utf-8")
    lists = "".join(re.findall(r"^_(?:ALWAYS|AFTER_LOGIN): Final = \((.*?)\)$", source, re.MULTILINE | re.DOTALL))
    advertised = set(re.findall(r'"([^"]+)"', lists)) | {"LITERAL-", "AUTH=PLAIN", "APPENDLIMIT", "COMPRESS=DEFLATE"}
    assert len(advertised) > 20
    assert advertised == {name for names, _file, _words in rows for name in names.split(", ")}
