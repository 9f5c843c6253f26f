"""`python -m tests.fuzz --seconds N [TARGET …]`: the targets one after the other under atheris, N seconds in all.

Inputs that fail are kept in `build/fuzz`; with `--keep` the corpora of the tree take in what was found to reach new
branches. Exit codes: 0 nothing was found, 1 something was, 2 the command line is wrong or atheris is not there.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.corpora import add_to_corpus, read_corpus
from tests.fuzz.targets import TARGETS

ROOT: Final = Path(__file__).parents[2]
FAILURES: Final = ROOT / "build" / "fuzz"
_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERED: Final = re.compile(r"cov: (\d+)")
_SLOWEST_SECONDS: Final = 20
_MAX_MEMORY_MIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one target."""

    name: str
    seconds: int
    executions: int
    covered: int
    is_clean: bool
    log: str

    def __str__(self) -> str:
        """One row of the table."""
        found = "-" if self.is_clean else "FAILED"
        return f"{self.name:20}{self.seconds:>9}{self.executions:>14,}{self.covered:>10,}  {found}"


def _fuzz(name: str, seconds: int, *, keep: bool) -> Run:
    with tempfile.TemporaryDirectory(prefix="chatmail-fuzz-") as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, data in enumerate(read_corpus(name)):
            (corpus / str(number)).write_bytes(data)
        done = _worker(
            name,
            str(corpus),
            f"-max_total_time={seconds}",
            f"-max_len={TARGETS[name].max_bytes}",
            f"-timeout={_SLOWEST_SECONDS}",
            f"-rss_limit_mb={_MAX_MEMORY_MIB}",
            "-print_final_stats=1",
            f"-artifact_prefix={FAILURES / name}-",
        )
        if keep:
            add_to_corpus(name, {path.read_bytes() for path in corpus.iterdir()})
    executions = _EXECUTIONS.search(done.stdout)
    covered = _COVERED.findall(done.stdout)
    return Run(
        name,
        seconds,
        int(executions[1]) if executions else 0,
        int(covered[-1]) if covered else 0,
        done.returncode == 0,
        done.stdout,
    )


def _worker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.worker", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, required=True, help="for all targets together")
    parser.add_argument("--keep", action="store_true", help="take what reaches new branches into the corpora")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(TARGETS)}; default: all")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"there is no target {unknown[0]}; the targets are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed; run: build/test/bin/python -m pip install atheris", file=sys.stderr)
        return 2
    FAILURES.mkdir(parents=True, exist_ok=True)
    print(f"{'target':20}{'seconds':>9}{'executions':>14}{'branches':>10}  found", flush=True)
    failed = []
    for name in names:
        run = _fuzz(name, max(options.seconds // len(names), 1), keep=options.keep)
        print(run, flush=True)
        if not run.is_clean:
            failed.append(run)
            (FAILURES / f"{name}.log").write_text(run.log, encoding="utf-8")
    for run in failed:
        print(f"{run.name}: the traceback is in {FAILURES / run.name}.log, the input beside it", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
