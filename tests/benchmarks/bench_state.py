"""What a million live keys cost: `python -m tests.benchmarks.bench_state`.

One rule over 32 buckets, as a worker has them, every key with one row (or a few) inside its window. Memory is the
resident memory of the process beyond what it had before the first row; the saved state is MessagePack, as on the state
topic.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import psutil

from agents.delivery.correlate import BUCKETS, bucket_of
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.keystore import HOT_KEYS
from agents.engine.rows import KeyedRow, Row
from agents.rules.model import Rule, Threshold
from schemas.kinds import EventKind

START = 1_772_000_000_000_000
HOUR = 3_600_000_000
PORTION = 20_000


def rule_of(kind: str) -> Rule:
    """A rule whose window holds all that comes."""
    return Rule(
        id="r", version="v", title="t", description="d", clause=1, severity="low", kind=kind, bases=("a",),
        kinds=frozenset({EventKind.PROXY}), group_by=("user_name",), timespan_us=1_000 * HOUR,
        thresholds=(Threshold("many", 1e9),), value_field="v" if kind == "value_count" else None,
    )  # fmt: skip


def rows(count: int, keys: int, values: int) -> Iterator[KeyedRow]:
    """Rows as detect makes them, their summaries of usual length."""
    for n in range(count):
        key = n % keys
        summary = json.dumps(
            {"http_request_method": "GET", "source_ip": f"10.{key >> 16 & 255}.{key >> 8 & 255}.{key & 255}",
             "url_domain": f"host{n % 977}.games.example", "url_path": f"/play/{n}", "user_name": f"user{key}"}
        )  # fmt: skip
        value = (f"value{n % values}",) if values else ()
        row = Row(START + n * 100, f"{n:032x}", "a", value, None, "proxy", "0" * 16, n * 100, f"{n:032x}", summary, ())
        yield KeyedRow("r", f'{{"user_name":"user{key}"}}', late=False, row=row, input_row=0)


def measure(kind: str, count: int, keys: int, values: int) -> dict[str, Any]:
    """Fill 32 buckets, save them, load them."""
    rule = rule_of(kind)

    def new() -> list[Bucket]:
        return [Bucket({"r": rule}, Judge(), hot_keys=HOT_KEYS // BUCKETS) for _ in range(BUCKETS)]

    buckets, process = new(), psutil.Process()
    gc.collect()
    before, started = process.memory_info().rss, time.process_time()
    waiting: list[list[KeyedRow]] = [[] for _ in range(BUCKETS)]
    for n, row in enumerate(rows(count, keys, values), start=1):
        waiting[bucket_of("r", row.group_key)].append(row)
        if n % PORTION == 0 or n == count:
            for number, bucket in enumerate(buckets):
                bucket.take(waiting[number])
                bucket.advance({"r": RuleTime(row.row.t + 1)})
                waiting[number] = []
    filled = time.process_time()
    gc.collect()
    live = process.memory_info().rss - before
    saved = [msgspec.msgpack.encode(bucket.save()) for bucket in buckets]
    written = time.process_time()
    size = sum(map(len, saved))
    buckets = new()
    for bucket, part in zip(buckets, saved, strict=True):
        bucket.load(msgspec.msgpack.decode(part))
    return {
        "keys": keys, "rows": count, "live_mb": round(live / 1e6), "bytes_per_key": round(live / keys),
        "saved_bytes_per_key": round(size / keys), "fill_s": round(filled - started, 1),
        "save_s": round(written - filled, 2), "load_s": round(time.process_time() - written, 2),
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
