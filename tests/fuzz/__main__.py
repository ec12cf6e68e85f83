"""The long run: `python -m tests.fuzz --lines 1000000 --seed 1 --json`.

Prints a line a format as it goes and one JSON object last; exit code 1 where anything was found.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from streams.normalisers.registry import types
from tests.fuzz.run import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000, help="damaged lines over all formats together")
    parser.add_argument("--seed", default="1", help="the same seed gives the same lines")
    parser.add_argument("--type", action="append", help="only this format; repeatable")
    parser.add_argument("--json", action="store_true", help="only the JSON object")
    asked = parser.parse_args()
    names = asked.type or list(types())
    started, faults, lines = time.monotonic(), [], 0
    slowest: dict[str, float] = {}
    for name in names:
        outcome = fuzz(name, max(1, asked.lines // len(names)), asked.seed)
        faults += outcome.faults
        lines += outcome.lines
        slowest[name] = round(outcome.slowest_us, 1)
        if not asked.json:
            said = ", ".join(f"{count} {fate}" for fate, count in outcome.fates.items())
            sys.stderr.write(f"{name}: {outcome.lines} lines: {said}; {outcome.slowest_us:.0f} us a line at most\n")
    result = {
        "seed": asked.seed, "formats": len(names), "lines": lines, "faults": faults,
        "seconds": round(time.monotonic() - started), "slowest_us_a_line": max(slowest.items(), key=lambda s: s[1]),
    }  # fmt: skip
    sys.stdout.write(json.dumps(result) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
