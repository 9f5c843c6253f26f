"""`python -m tests.hostile --pyz dist/chatmail.pyz`: the built file under each attack, with an honest client beside it.

The server's address must be one of 127.0.0.0/8; the honest client comes from the next one, attackers from the sixteen
that begin four further on.
"""

import argparse
import resource
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from tests.bench.report import Report
from tests.hostile.catalogue import ATTACKS
from tests.hostile.outcome import Outcome, details, row, table, write
from tests.hostile.run import run


def main() -> int:
    """Run; the exit code is 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--pyz", type=Path, required=True, help="the built file")
    parser.add_argument("--host", default="127.0.0.1", help="where the server listens (default: %(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of connections, and of the time")
    parser.add_argument("--only", nargs="+", choices=ATTACKS, metavar="NAME", help=f"of {', '.join(ATTACKS)}")
    parser.add_argument("--json", type=Path, help="also write what was seen to this file")
    options = parser.parse_args()
    # Whoever ends this ends what it started.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    outcomes: list[Outcome] = []
    try:
        with TemporaryDirectory(prefix="chatmail-hostile-") as folder:
            for name in options.only or ATTACKS:
                attack = ATTACKS[name]
                outcome = uvloop.run(run(attack, options.pyz.resolve(), options.host, Path(folder), options.share))
                outcomes.append(outcome)
                print(details(outcome), f"  {' | '.join(row(outcome)[1:])}", sep="\n", flush=True)
    finally:
        print("\n" + table(outcomes))
        if options.json:
            write(outcomes, Report.of_this_machine().about, options.json)
    return 1 if any(outcome.missed for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
