"""What a million live keys cost: `python -m tests.benchmarks.bench_state`.

One rule over 32 buckets, as a worker has them, every key with one row (or a few) inside its window. Memory is the
resident memory of the process beyond what it had before the first row; the saved state is MessagePack, as on the state
topic. `checkpoints` are what a worker writes: first everything, then after a row each of some keys; bytes are before
compression, seconds are of the processor, without the writing.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import psutil

from agents.delivery.checkpoints import Checkpoints, restored
from agents.delivery.correlate import BUCKETS, bucket_of
from agents.delivery.snapshots import META, unpack
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.keystore import HOT_KEYS
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import Rule, Threshold
from schemas.kinds import EventKind

START = 1_772_000_000_000_000
HOUR = 3_600_000_000
PORTION = 20_000
CHANGED = (1_000, 10_000, 100_000)  # keys with a row since the checkpoint before


def rule_of(kind: str) -> Rule:
    """A rule whose window holds all that comes."""
    return Rule(
        id="r", version="v", title="t", description="d", clause=1, severity="low", kind=kind, bases=("a",),
        kinds=frozenset({EventKind.PROXY}), group_by=("user_name",), timespan_us=1_000 * HOUR,
        thresholds=(Threshold("many", 1e9),), value_field="v" if kind == "value_count" else None,
    )  # fmt: skip


def rows(numbers: Iterable[int], keys: int, values: int) -> Iterator[KeyedRow]:
    """Rows as detect makes them, their summaries of usual length; a row's number gives its key and its time."""
    for n in numbers:
        key = n % keys
        summary = json.dumps(
            {"http_request_method": "GET", "source_ip": f"10.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}",
             "url_domain": f"host{n % 977}.games.example", "url_path": f"/play/{n}", "user_name": f"user{key}"}
        )  # fmt: skip
        value = (f"value{n % values}",) if values else ()
        row = Row(START + n * 100, f"{n:032x}", "a", value, None, "proxy", "0" * 16, n * 100, f"{n:032x}", summary, ())
        yield KeyedRow("r", f'{{"user_name":"user{key}"}}', late=False, row=row, input_row=0)


def feed(buckets: list[Bucket], given: Iterable[KeyedRow]) -> None:
    """Apply rows, in order of time, in portions."""
    rest = iter(given)
    while portion := list(islice(rest, PORTION)):
        shares: list[list[KeyedRow]] = [[] for _ in buckets]
        for row in portion:
            shares[bucket_of("r", row.group_key)].append(row)
        for bucket, share in zip(buckets, shares, strict=True):
            bucket.take(share)
            bucket.advance({"r": RuleTime(portion[-1].row.t + 1)})


def checkpoint(checkpoints: Checkpoints) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Figures of a checkpoint, and its parts."""
    started = time.process_time()
    parts = checkpoints.parts([0] * BUCKETS)
    return {
        "bytes": checkpoints.bytes, "s": round(time.process_time() - started, 3), "whole": checkpoints.whole,
        "changes": checkpoints.changes,
    }, parts  # fmt: skip


def measure(kind: str, count: int, keys: int, values: int) -> dict[str, Any]:
    """Fill 32 buckets, save them and what changes in them, load them."""
    rule, process = rule_of(kind), psutil.Process()

    def new() -> list[Bucket]:
        return [Bucket({"r": rule}, Judge(), hot_keys=HOT_KEYS // BUCKETS) for _ in range(BUCKETS)]

    def used() -> int:
        gc.collect()
        return process.memory_info().rss

    buckets, before, started = new(), used(), time.process_time()
    feed(buckets, rows(range(count), keys, values))
    filled, live = time.process_time(), used() - before
    checkpoints, at, topic = Checkpoints(buckets), count, dict[str, bytes]()
    figures: list[dict[str, Any]] = []
    for changed in (0, *(n for n in CHANGED if n <= keys)):
        feed(buckets, rows(sorted(random.Random(0).sample(range(at, at + keys), changed)), keys, values))
        at += keys if changed else 0
        made, parts = checkpoint(checkpoints)
        topic |= parts
        figures.append({"changed_keys": changed or keys, **made})
    after, size, written = used() - before - sum(map(len, topic.values())), figures[0]["bytes"], time.process_time()
    buckets = new()
    for part in restored(topic, unpack(topic[META]), BUCKETS):
        buckets[part.number].load(part.state)
    return {
        "keys": keys, "rows": count, "live_mb": round(live / 1e6), "bytes_per_key": round(live / keys),
        "saved_bytes_per_key": round(size / keys), "fill_s": round(filled - started, 1), "checkpoints": figures,
        "live_after_checkpoints_mb": round(after / 1e6), "load_s": round(time.process_time() - written, 2),
        "keys_after": sum(b.keys for b in buckets),
    }  # fmt: skip


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    asked = parser.parse_args()
    hot = measure("value_count", asked.keys, 1, asked.keys)
    print(json.dumps({"many_keys": measure("event_count", asked.keys, asked.keys, 0), "one_hot_key": hot}, indent=1))


if __name__ == "__main__":
    main()
