"""What a flood does in which every event matches every rule: `python -m tests.benchmarks.bench_flood`.

Batches of 5,000 events through the engine, each of which matches all of 142 rules: once rules with a window, once rules
that make a violation of every match. Printed is, batch by batch, how many seconds of processor time it took and how
much memory the process held after it and at its peak so far: it is slow, and must neither stop nor grow. For
comparison, the same batches where nothing matches. One JSON object.
"""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars is imported

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.detect import Detector
from agents.engine.episodes import Judge
from agents.engine.rows import rows_of
from agents.rules.loader import parse_rules
from agents.worker import COLLECT
from schemas.codec import decode, encode
from schemas.kinds import EventKind
from tests.benchmarks.bench_codec import proxy_frame

ROWS = 5_000
STEP_US = 20_000_000 // ROWS  # a batch is twenty seconds long
START_US = 1_772_000_000_000_000
LATENESS_US = 30_000_000
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 2**20
WINDOWS = """title: rule {number}
name: rule-{number}
level: low
correlation:
  type: event_count
  rules: [match-{number}]
  group-by: [source_ip]
  timespan: 1m
  condition: {{gte: 1000000}}
"""
MATCH = """title: match {number}
name: match-{number}
level: low
logsource: {{category: proxy}}
detection: {{selection: {{proxy_category: c{number}}}, condition: selection}}
"""
MODES = ("windows", "alone", "quiet")


def rules_text(mode: str, rules: int) -> str:
    """Rules that match every event; in the mode `quiet` others that match none."""
    documents = []
    for number in range(rules):
        match = MATCH.format(number=number)
        if mode != "quiet":  # each with a condition of its own, so that nothing is shared
            match = match.replace(f"proxy_category: c{number}", f"http_response_bytes|gte: -{number + 1}")
        documents += [match, WINDOWS.format(number=number)] if mode == "windows" else [match]
    return "---\n".join(documents)


def batch(number: int) -> pl.DataFrame:
    """Events of 5,000 addresses."""
    times = [START_US + (number * ROWS + row) * STEP_US for row in range(ROWS)]
    return proxy_frame(ROWS, 1).with_columns(
        timestamp=pl.Series(times).cast(pl.Datetime("us", "UTC")),
        event_id=pl.Series([f"{number * ROWS + row:032x}" for row in range(ROWS)]),
        source_ip=pl.Series([f"10.0.{row % 20}.{row // 20}" for row in range(ROWS)]),
    )


def measure(mode: str, rules: int, batches: int) -> dict[str, Any]:
    """One mode in this process, from its start."""
    gc.set_threshold(*COLLECT)
    ruleset = parse_rules(rules_text(mode, rules))
    detector = Detector(ruleset, District.of("Bench", "UTC", [], []), Inventory.none())
    bucket = Bucket({rule.id: rule for rule in ruleset.rules}, Judge())
    columns = detector.columns(EventKind.PROXY)
    series: dict[str, list[float]] = {"seconds": [], "resident_mib": [], "peak_mib": []}
    out = 0
    for number in range(batches):
        value = encode("proxy", batch(number))
        started = time.process_time()
        matched = detector.match(decode("proxy", value, columns), EventKind.PROXY)
        for rows in detector.portions(matched, "immediate"):
            out += len(bucket.take(rows_of(rows)))  # sent, and forgotten
        now = START_US + (number + 1) * ROWS * STEP_US - LATENESS_US
        out += len(bucket.advance({rule.id: RuleTime(now) for rule in ruleset.rules}))
        series["seconds"].append(round(time.process_time() - started, 2))
        series["resident_mib"].append(round(int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / MIB))
        series["peak_mib"].append(round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    return {"rows": detector.counters.detections, "waiting": bucket.pending, "records": out, **series}


def main() -> None:
    """Each mode in a process of its own, so that its memory is its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=142)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    options = parser.parse_args()
    if len(options.modes) == 1:
        print(json.dumps(measure(options.modes[0], options.rules, options.batches)))
        return
    figures = {}
    for mode in options.modes:
        command = [sys.executable, "-m", "tests.benchmarks.bench_flood", "--modes", mode]
        command += ["--rules", str(options.rules), "--batches", str(options.batches)]
        figures[mode] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
