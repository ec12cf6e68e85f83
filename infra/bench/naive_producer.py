"""The naive pipeline's first process: `python -m infra.bench.naive_producer CONFIG KAFKA RESULT`.

Logs through the same normalisers, then one JSON record a message by kafka-python, batched by it. Writes one JSON object
to RESULT when all is acknowledged: `began` (Unix time before the first line was read) and `events` by kind.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaProducer

from infra.bench.naive_names import topic_of
from infra.config import load
from schemas.kinds import EventKind
from streams.config import SourceConfig
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser
from streams.normalisers.registry import make

CHUNK_BYTES = 1 << 20
_KEY = {EventKind.DHCP: "source_mac", EventKind.MAIL: "email_from_address", EventKind.LOGIN: "user_name"}


def records(source: SourceConfig, normaliser: Normaliser) -> Iterator[list[dict[str, Any]]]:
    """A log's events as plain values, without the empty ones; a list for every chunk of lines."""
    offset, rest = 0, b""
    with Path(source.path).open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            offsets = []
            for line in lines:
                offsets.append(offset)
                offset += len(line) + 1
            if lines:
                yield _plain(source, normaliser.normalise(LineChunk(lines, offsets)), offsets)
    last = normaliser.finish()
    if last is not None:
        yield _plain(source, last, [offset])


def _plain(source: SourceConfig, made: Normalised, offsets: list[int]) -> list[dict[str, Any]]:
    out = []
    for row in made.events.to_dicts():
        at = offsets[row.pop("line")]
        event = {name: value for name, value in row.items() if value is not None}
        event["event_id"] = f"{source.name}:{at}:{event['log_sub']}"
        event["log_source"], event["log_offset"] = source.name, at
        out.append(event)
    return out


def produce(config_file: Path, bootstrap: str) -> dict[str, Any]:
    """Send all of a configuration's logs, taking turns."""
    config = load(config_file)
    encode, today = msgspec.json.Encoder().encode, datetime.now(UTC).date()
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=1 << 18, acks="all")
    counts: Counter[str] = Counter()
    failed: list[BaseException] = []
    began = time.time()
    running = []
    for source in config.collectors():
        normaliser = make(source.type, source.normaliser_settings(today))
        running.append((normaliser.kind, records(source, normaliser)))
    while running:
        for turn in list(running):
            kind, chunks = turn
            events = next(chunks, None)
            if events is None:
                running.remove(turn)
                continue
            topic, key = topic_of(kind), _KEY.get(kind)
            for event in events:
                name = str(event.get(key) or "").encode() if key else None
                producer.send(topic, encode(event), key=name).add_errback(failed.append)
            counts[kind.value] += len(events)
    producer.flush()
    producer.close()
    if failed:
        raise failed[0]
    return {"began": began, "events": dict(counts)}


if __name__ == "__main__":
    made = json.dumps(produce(Path(sys.argv[1]), sys.argv[2]))
    part = Path(sys.argv[3] + ".part")
    part.write_text(made)
    part.replace(sys.argv[3])
