"""What one core does, without servers: `python -m infra.bench.cores CONFIG ROUNDS` prints one JSON object.

A process of its own, so that Polars has one thread and nothing else is in its memory. Rates are of processor time,
medians over the rounds.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from agents.build import district_of, inventory_of, judge_of
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.detect import Detector
from agents.engine.identity import FactIndex, facts_of
from agents.engine.rows import rows_of
from agents.rules.loader import load_rules
from infra.config import Config, load
from schemas.codec import decode_batch, encode
from schemas.headers import FOREVER
from schemas.kinds import EventKind
from streams.abstract import Message
from streams.collector import Collector
from streams.config import CollectorSettings, SourceConfig
from streams.memory import MemorySink
from streams.normalisers.abstract import LineChunk
from streams.normalisers.registry import make
from streams.runner import collect_garbage_seldom
from streams.sources.make import make_source

CHUNK_LINES = 5_000
_KIND_OF = {kind.topic: kind for kind in EventKind}
_LANES = ("immediate", "attributed")


def timed(work: Callable[[], int], rounds: int) -> float:
    """Things a second of processor time; `work` does it once and says how many."""
    rates = []
    for _ in range(rounds):
        started = time.process_time()
        count = work()
        rates.append(count / max(time.process_time() - started, 1e-9))
    return statistics.median(rates)


def parse(sources: Sequence[SourceConfig], rounds: int) -> dict[str, Any]:
    """Normalisers alone, on lines in memory."""
    now = datetime.now(UTC).date()
    rates: dict[str, float] = {}
    lines_of: dict[str, int] = {}
    for source in sources:
        chunks = _chunks(Path(source.path))

        def once(source: SourceConfig = source, chunks: list[LineChunk] = chunks) -> int:
            normaliser = make(source.type, source.normaliser_settings(now))
            for chunk in chunks:
                normaliser.normalise(chunk)
            return sum(len(chunk.lines) for chunk in chunks)

        count = lines_of.get(source.type, 0)
        more = sum(len(chunk.lines) for chunk in chunks)
        rate = timed(once, rounds)
        # Two logs of one type: their rates are weighed by their lines.
        rates[source.type] = (count + more) / (count / rates.get(source.type, 1.0) + more / rate) if count else rate
        lines_of[source.type] = count + more
    seconds = sum(lines_of[name] / rate for name, rate in rates.items())
    return {
        "parse_lines_per_s": round(sum(lines_of.values()) / seconds),
        "parse_lines_per_s_by_type": {name: round(rate) for name, rate in sorted(rates.items())},
    }


def _chunks(path: Path) -> list[LineChunk]:
    content = path.read_bytes().split(b"\n")
    if content[-1] == b"":
        content.pop()
    chunks, offset = [], 0
    for start in range(0, len(content), CHUNK_LINES):
        lines = content[start : start + CHUNK_LINES]
        offsets = []
        for line in lines:
            offsets.append(offset)
            offset += len(line) + 1
        chunks.append(LineChunk(lines, offsets))
    return chunks


def collected(sources: Sequence[SourceConfig], partitions: int) -> tuple[int, list[Message]]:
    """Lines read, and all messages, as collectors send them."""
    sink, now = MemorySink(partitions), datetime.now(UTC)
    settings = CollectorSettings(epoch=0, today=now.date())
    running = [Collector(source, make_source(source), sink, settings) for source in sources]
    collectors = list(running)
    messages: list[Message] = []
    try:
        while running:
            for collector in running:
                collector.step(round(now.timestamp() * 1e6))
                messages += sink.take()
            running = [c for c in running if not c.done]
    finally:
        for collector in running:
            collector.close()
    del collectors
    ledger = [json.loads(m.value) for m in messages if m.headers is None]
    newest = {(r["source"], r["generation"], r["chunk"]): r["lines"] for r in ledger}
    return sum(newest.values()), messages


def batches(messages: Sequence[Message]) -> list[Message]:
    """Those with events in them."""
    return [m for m in messages if m.topic in _KIND_OF and m.headers is not None and m.headers.kind == "batch"]


def frame_of(message: Message) -> pl.DataFrame:
    """Rows of a batch."""
    assert message.headers is not None
    return decode_batch(message.headers, message.value, message.topic)


def encoding(messages: Sequence[Message], rounds: int) -> dict[str, Any]:
    """Frames to containers."""
    frames = [(_KIND_OF[m.topic].value, frame_of(m)) for m in messages]

    def once() -> int:
        for name, frame in frames:
            encode(name, frame)
        return sum(frame.height for _, frame in frames)

    return {"encode_events_per_s": round(timed(once, rounds))}


def detecting(config: Config, messages: Sequence[Message], rounds: int) -> tuple[dict[str, Any], list[pl.DataFrame]]:
    """Containers to detections, as the agent does it; and those detections."""
    rules = load_rules(config.rules.paths) if config.rules.paths else load_rules()
    detector = Detector(rules, district_of(config.district), inventory_of(config.district))
    facts = FactIndex()
    for message in messages:
        facts.add(facts_of(frame_of(message), _KIND_OF[message.topic]))
    found: list[pl.DataFrame] = []
    rates: dict[str, float] = {}
    counts: dict[str, int] = {}
    for kind in EventKind:
        mine = [m for m in messages if m.topic == kind.topic]

        def once(mine: list[Message] = mine, kind: EventKind = kind) -> int:
            rows = 0
            for message in mine:
                frame = frame_of(message)
                rows += frame.height
                matched = detector.match(frame, kind)
                for lane in _LANES:
                    detections = detector.rows(matched, lane, facts)
                    if detections.height:
                        encode("detection", detections)
                        found.append(detections)
            return rows

        if mine:
            once()  # compiles what is compiled at the first call
            found[:] = [f for f in found if f.height]
            kept = len(found)
            rates[kind.value] = timed(once, rounds)
            del found[kept:]
            counts[kind.value] = sum(m.headers.count for m in mine if m.headers is not None)
    seconds = sum(counts[name] / rate for name, rate in rates.items())
    figures = {
        "detect_events_per_s": round(sum(counts.values()) / seconds),
        "detect_events_per_s_by_kind": {name: round(rate) for name, rate in rates.items()},
    }
    return figures, found


def correlating(config: Config, found: Sequence[pl.DataFrame], rounds: int) -> dict[str, Any]:
    """Detection rows to violations."""
    rules = {r.id: r for r in (load_rules(config.rules.paths) if config.rules.paths else load_rules()).rules}
    district = district_of(config.district)
    judge = judge_of(config.district, district)
    present = inventory_of(config.district).present

    def once() -> int:
        bucket = Bucket(rules, judge, inventory=present)
        for frame in found:
            bucket.take(rows_of(frame))
        bucket.advance({name: RuleTime(FOREVER, None) for name in rules})
        return sum(frame.height for frame in found)

    return {"correlate_rows_per_s": round(timed(once, rounds))}


def measure(config_file: Path, rounds: int) -> dict[str, Any]:
    """All figures of one core."""
    config = load(config_file)
    sources = config.collectors()
    figures = parse(sources, rounds)
    messages: list[Message] = []

    def collect() -> int:
        lines, messages[:] = collected(sources, config.kafka.event_partitions)
        return lines

    figures["collect_lines_per_s"] = round(timed(collect, max(1, rounds // 2)))
    events = batches(messages)
    figures |= encoding(events, rounds)
    detect, found = detecting(config, events, rounds)
    return figures | detect | correlating(config, found, rounds)


if __name__ == "__main__":
    collect_garbage_seldom()  # as the collectors' process does
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))) + "\n")
