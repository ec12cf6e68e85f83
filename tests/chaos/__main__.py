"""Breaks a running aupstream by a plan and proves that nothing came of it: `python -m tests.chaos --seed N`.

Servers, collectors and every agent run as they do in a district, with all their connections through proxies and a
library in every process that can make its clock wrong and its disk full. Four logs grow, with disorder, repeats, late
and broken lines and rotation. Faults come at moments that the seed says. In the end violations, on the topic and in
ClickHouse, are held against an SQL query over the logs' lines, by id and content, and the ledger against the lines.

The plan is printed as it goes, and one JSON object last: `seed`, `faults` by kind, `expected`, `missing`, `extra`,
`different`, `duplicates` and `lines_unaccounted`. Exit code 1 unless the last five are 0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.plan import KINDS, PRELOADED, by_kind, plan
from tests.chaos.run import LINES_A_S, Run
from tests.chaos.shim import compiler


def main() -> int:
    """Run from the command line; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of logs and plan")
    parser.add_argument("--minutes", type=float, default=3.0, help="length of the workload")
    parser.add_argument("--lines-per-s", type=int, default=LINES_A_S)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, help="of faults; all, unless the machine cannot")
    parser.add_argument("--plan", action="store_true", help="print the plan and end")
    parser.add_argument("--keep", type=Path, help="folder for everything, which is kept; must not exist")
    parser.add_argument("--json", action="store_true", help="nothing but the JSON object on standard output")
    given = parser.parse_args()
    cannot = () if compiler() else PRELOADED
    kinds = tuple(kind for kind in given.kinds or KINDS if kind not in cannot)
    faults = plan(given.seed, given.minutes * 60, kinds)
    out = sys.stderr if given.json else sys.stdout

    def say(text: str) -> None:
        out.write(f"{time.strftime('%H:%M:%S')} {text}\n")
        out.flush()

    for kind in cannot:
        say(f"no {kind}: there is no C compiler, or libraries cannot be preloaded here")
    for fault in faults:
        say(f"plan: {fault}")
    if given.plan:
        return 0
    folder = given.keep or Path(tempfile.mkdtemp(prefix="aupstream-chaos-"))
    folder.mkdir(parents=True, exist_ok=given.keep is None)
    run = Run(folder, given.seed, given.minutes * 60, faults, say, given.lines_per_s)
    result = run.go()
    for mistake in result.mistakes:
        say(mistake)
    if result.clean and given.keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        say(f"logs, data and configuration are in {folder}")
    figures = {"seed": given.seed, "faults": by_kind(run.done), **result.figures()}
    sys.stdout.write(f"{json.dumps(figures)}\n")
    return 0 if result.clean else 1


if __name__ == "__main__":
    sys.exit(main())
