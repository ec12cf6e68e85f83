"""How many matched rows a second correlate judges on one core: `python -m tests.benchmarks.bench_correlate`.

Each kind alone, over rows of 2,000 keys (or one hot key) that are nearly in order; once with the rows made already,
once with the detections frame taken apart as well.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import argparse
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import polars as pl

from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.feeding import DETECTION_SCHEMA
from agents.engine.rows import rows_of
from agents.rules.model import Rule, Threshold
from agents.rules.own import Concurrent, Quota, Spike, Travel
from schemas.headers import FOREVER
from schemas.kinds import EventKind

ROWS = 100_000
PORTION = 5_000
STEP_US = 20_000  # fifty matched rows a second
LATENESS_US = 30_000_000
SUMMARY = json.dumps({"source_ip": "10.20.30.40", "url_domain": "games.example", "user_name": "user1234"})


@dataclass(frozen=True)
class Case:
    """One measurement: what the rule asks, and what the rows are like."""

    rule: Mapping[str, Any]
    keys: int = 2_000
    values: int = 10
    bases: str = "a"


_MUCH = (Threshold("much", 1e12),)
CASES: Mapping[str, Case] = {
    "event_count": Case({"kind": "event_count", "thresholds": (Threshold("many", 50),)}),
    "event_count_open": Case({"kind": "event_count", "thresholds": (Threshold("many", 5),)}),
    "value_count": Case({"kind": "value_count", "value_field": "v", "thresholds": (Threshold("many", 50),)}),
    "value_count_hot_10": Case(
        {"kind": "value_count", "value_field": "v", "thresholds": (Threshold("many", 11),)}, keys=1
    ),
    "value_count_hot_20000": Case(
        {"kind": "value_count", "value_field": "v", "thresholds": (Threshold("many", 25_000),)}, keys=1, values=20_000
    ),
    "value_count_hot_20000_open": Case(
        {"kind": "value_count", "value_field": "v", "thresholds": (Threshold("many", 100),)}, keys=1, values=20_000
    ),
    "value_sum": Case({"kind": "value_sum", "value_field": "n", "thresholds": _MUCH}),
    "value_avg": Case({"kind": "value_avg", "value_field": "n", "thresholds": _MUCH}),
    "value_median": Case({"kind": "value_median", "value_field": "n", "thresholds": _MUCH}),
    "temporal": Case({"kind": "temporal", "bases": ("a", "b")}, bases="aaaaaaaaac"),
    "temporal_ordered": Case({"kind": "temporal_ordered", "bases": ("a", "b")}, bases="aaaaaaaaac"),
    "sequence": Case({"kind": "sequence", "bases": ("a", "b"), "counts": (8, 1)}, bases="aaaaaaaaac"),
    "tumbling": Case({"kind": "event_count", "window": "tumbling", "thresholds": (Threshold("many", 50),)}),
    "quota": Case({"kind": "value_sum", "value_field": "n", "own": Quota("day"), "thresholds": _MUCH}),
    "spike": Case({"kind": "spike", "own": Spike("", 5, 3, Fraction(3)), "thresholds": (Threshold("many", 50),)}),
    "concurrent": Case({"kind": "concurrent", "own": Concurrent(), "thresholds": (Threshold("places", 9),)}),
    "travel": Case({"kind": "travel", "own": Travel(150, 1e6), "thresholds": (Threshold("km-per-h", 1e6),)}),
}


def rule_of(case: Case) -> Rule:
    """The rule of a case, five minutes long unless it says otherwise."""
    fixed: dict[str, Any] = {"bases": ("a",), "timespan_us": 300_000_000, "group_by": ("user_name",)}
    return Rule(
        id="r", version="v", title="t", description="d", clause=1, severity="low",
        kinds=frozenset({EventKind.PROXY}), **(fixed | dict(case.rule)),
    )  # fmt: skip


def frames_of(case: Case, rows: int) -> list[pl.DataFrame]:
    """Detections in portions, shuffled within each."""
    rng = random.Random(7)
    made = []
    for start in range(0, rows, PORTION):
        numbers = list(range(start, min(start + PORTION, rows)))
        rng.shuffle(numbers)
        made.append(pl.DataFrame([_row(case, n, rng) for n in numbers], schema=DETECTION_SCHEMA, orient="row"))
    return made


def _row(case: Case, n: int, rng: random.Random) -> dict[str, Any]:
    return {
        "rule_id": "r", "rule_version": "v", "base": rng.choice(case.bases),
        "group_key": f'{{"user_name":"user{rng.randrange(case.keys)}"}}',
        "timestamp": 1_772_000_000_000_000 + n * STEP_US, "event_id": f"{n:032x}", "late": False,
        "values": _values(case, rng),
        "number": float(rng.randrange(1_000)) if case.rule.get("value_field") == "n" else None, "facts": [],
        "log_source": "proxy", "log_generation": "0" * 16, "log_offset": n * 100, "log_sub": 0, "log_hash": f"{n:032x}",
        "summary": SUMMARY, "row": n % PORTION,
    }  # fmt: skip


def _values(case: Case, rng: random.Random) -> list[str]:
    if case.rule["kind"] == "concurrent":
        return [f"site{rng.randrange(8)}", ""]
    if case.rule["kind"] == "travel":
        return [str(40 + rng.randrange(2)), "-105.0", f"192.0.{rng.randrange(4)}.1"]
    return [f"value{rng.randrange(case.values)}"] if case.rule.get("value_field") == "v" else []


def judge(rule: Rule, portions: Sequence[Any], newest: Sequence[int]) -> int:
    """Judge everything; how many records came out."""
    bucket, records = Bucket({rule.id: rule}, Judge()), 0
    for portion, t in zip(portions, newest, strict=True):
        rows = rows_of(portion) if isinstance(portion, pl.DataFrame) else portion
        records += len(bucket.take(rows))
        records += len(bucket.advance({rule.id: RuleTime(t - LATENESS_US)}))
    return records + len(bucket.advance({rule.id: RuleTime(FOREVER)}))


def measure(name: str, rows: int, rounds: int) -> dict[str, Any]:
    """Rows a second of processor time, medians."""
    case = CASES[name]
    rule, frames = rule_of(case), frames_of(case, rows)
    newest = [int(f["timestamp"].dt.timestamp("us").max()) for f in frames]  # type: ignore[arg-type]
    made = [list(rows_of(f)) for f in frames]
    figures: dict[str, Any] = {"records": judge(rule, made, newest)}
    for label, portions in (("rows_per_s", made), ("with_frames_per_s", frames)):
        rates = []
        for _ in range(rounds):
            started = time.process_time()
            judge(rule, portions, newest)
            rates.append(rows / (time.process_time() - started))
        figures[label] = round(statistics.median(rates))
    return figures


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    asked = parser.parse_args()
    print(json.dumps({name: measure(name, asked.rows, asked.rounds) for name in asked.cases}, indent=1))


if __name__ == "__main__":
    main()
