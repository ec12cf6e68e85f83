"""A small world for collectors: two tiny log formats, a reader with marks, and a way to run a collector by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from agents.delivery.reader import Reader, only_new
from schemas.codec import decode_batch
from schemas.kinds import DEAD_LETTERS, LEDGER, EventKind
from schemas.registry import polars_schema
from streams.abstract import Message
from streams.collector import Collector
from streams.config import CollectorSettings, SourceConfig
from streams.memory import MemorySink
from streams.normalisers.abstract import (
    COLLECTOR_COLUMNS,
    LineChunk,
    Normalised,
    Normaliser,
    NormaliserSettings,
    Reject,
)
from streams.positions import PositionFile
from streams.sources.make import make_source

SECOND = 1_000_000
SETTINGS = CollectorSettings(epoch=7, today=date(2026, 5, 4), save_every_us=0, read_lines=4)


def event_frame(kind: EventKind, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A frame as a normaliser gives it."""
    schema = {n: t for n, t in polars_schema(kind.value).items() if n not in COLLECTOR_COLUMNS}
    schema["line"] = pl.UInt32()
    plain = {n: (pl.Int64() if n.startswith("timestamp") else t) for n, t in schema.items()}
    defaults: dict[str, Any] = {
        n: [] if isinstance(t, pl.List) else False if n == "email_complete" else None for n, t in schema.items()
    }
    columns = {n: [row.get(n, defaults[n]) for row in rows] for n in schema}
    return pl.DataFrame(columns, schema=plain).cast({n: t for n, t in schema.items() if n.startswith("timestamp")})


class TinyNormaliser(Normaliser):
    """`SECONDS ev`: an event; `SECONDS rep N`: N events; `# …`: ignored; anything else: rejected."""

    kind = EventKind.LOGIN
    type_name = "tiny"

    def __init__(self, settings: NormaliserSettings) -> None:
        del settings

    def normalise(self, chunk: LineChunk) -> Normalised:
        rows: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        ignored: list[tuple[int, str]] = []
        for i, line in enumerate(chunk.lines):
            words = line.split()
            if line.startswith(b"#"):
                ignored.append((i, "comment"))
            elif len(words) >= 2 and words[0].lstrip(b"-").isdigit():
                count = int(words[2]) if words[1] == b"rep" else 1
                base = {"timestamp": int(words[0]) * SECOND, "event_dataset": "tiny", "line": i}
                rows += [{**base, "log_sub": n} for n in range(count)]
            elif line == b"boom":
                raise RuntimeError("a fault of the normaliser")
            else:
                rejects.append(Reject(i, "unparsable", "not ours", line))
        return Normalised(event_frame(self.kind, rows), rejects, ignored)


class JoiningNormaliser(Normaliser):
    """`SECONDS ID more` opens or goes on, `SECONDS ID end` completes; what is open at the end is flushed."""

    kind = EventKind.MAIL
    type_name = "joining"
    joins = True

    def __init__(self, settings: NormaliserSettings) -> None:
        del settings
        self._open: dict[str, list[int]] = {}

    def normalise(self, chunk: LineChunk) -> Normalised:
        rows: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        for i, (line, offset) in enumerate(zip(chunk.lines, chunk.offsets, strict=True)):
            words = line.decode("utf-8", "replace").split()
            if len(words) != 3 or not words[0].isdigit():
                rejects.append(Reject(i, "unparsable", "not ours", line))
                continue
            self._open.setdefault(words[1], []).append(offset)
            self._last = int(words[0]) * SECOND
            if words[2] == "end":
                rows.append(self._row(words[1], self._last, line=i, sub=0))
        return Normalised(event_frame(self.kind, rows), rejects)

    def _row(self, name: str, time: int, *, line: int, sub: int) -> dict[str, Any]:
        offsets = self._open.pop(name)
        joined = offsets if len(offsets) > 1 or sub or line < 0 else []
        row = {"timestamp": time, "event_dataset": "joining", "log_sub": sub, "line": max(line, 0)}
        return {**row, "email_local_id": name, "log_offsets": joined, "timestamp_first": time}

    def finish(self) -> Normalised | None:
        if not self._open:
            return None
        rows = [self._row(name, self._last, line=-1, sub=i) for i, name in enumerate(sorted(self._open))]
        return Normalised(event_frame(self.kind, rows))

    def save(self) -> bytes:
        return json.dumps({"open": self._open, "last": getattr(self, "_last", 0)}).encode()

    def load(self, state: bytes) -> None:
        said = json.loads(state)
        self._open, self._last = said["open"], said["last"]

    @property
    def open_lines(self) -> int:
        return sum(map(len, self._open.values()))


MAKERS = {"tiny": TinyNormaliser, "joining": JoiningNormaliser}


@dataclass
class World:
    """What readers of the topics see: every row once, in order, and the ledger."""

    rows: dict[tuple[str, int], list[pl.DataFrame]] = field(default_factory=dict)
    readers: dict[tuple[str, int], Reader] = field(default_factory=dict)
    ledger: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    progress: dict[int, list[int]] = field(default_factory=dict)
    repeats: int = 0

    def take(self, messages: Sequence[Message]) -> None:
        """Read messages as every agent does."""
        for message in messages:
            if message.topic == LEDGER:
                self._record(json.loads(message.value))
            elif message.headers is not None:
                self._batch(message)

    def _record(self, record: dict[str, Any]) -> None:
        key = (record["generation"], record["chunk"])
        known = self.ledger.get(key)
        if known is not None and known["version"] == record["version"]:
            assert known == record
        if known is None or record["version"] > known["version"]:
            self.ledger[key] = record

    def _batch(self, message: Message) -> None:
        headers = message.headers
        assert headers is not None
        place = (message.topic, message.partition)
        reader = self.readers.setdefault(place, Reader())
        reader.check(headers, f"{place}")
        mark = reader.mark(headers)
        if message.topic != DEAD_LETTERS:
            self.progress.setdefault(message.partition, []).append(headers.progress)
        if headers.kind == "marker":
            return
        frame = decode_batch(headers, message.value, f"{place}")
        new = only_new(frame, mark)
        self.repeats += frame.height - new.height
        self._hold_to_promise(message, new)
        reader.advance(headers)
        self.rows.setdefault(place, []).append(new)

    def _hold_to_promise(self, message: Message, new: pl.DataFrame) -> None:
        """No row is older than what its partition was told before, unless it says so itself."""
        if message.topic == DEAD_LETTERS or new.is_empty():
            return
        told = max(self.progress[message.partition][:-1], default=None)
        fair = new.filter(~pl.col("late") & ~pl.col("time_suspect"))
        if told is not None and not fair.is_empty():
            assert int(fair["timestamp"].to_physical().min()) >= told  # type: ignore[arg-type]

    def table(self, topic: str) -> pl.DataFrame:
        """All rows of a topic in position order; generations in order of name."""
        parts = [f for (t, _), frames in self.rows.items() if t == topic for f in frames if not f.is_empty()]
        if not parts:
            return pl.DataFrame()
        return pl.concat(parts).sort("log_generation", "log_offset", "log_sub")

    def events(self, kind: EventKind) -> pl.DataFrame:
        return self.table(kind.topic)

    def totals(self) -> dict[str, int]:
        """The ledger's sums."""
        names = ("lines", "in_events", "events", "dead_letters", "open_joins", "late", "time_suspect")
        out = dict.fromkeys(names, 0)
        ignored = 0
        for record in self.ledger.values():
            for name in out:
                out[name] += record[name]
            ignored += sum(record["ignored"].values())
        return {**out, "ignored": ignored}


def assert_conserved(world: World, lines: int) -> None:
    totals = world.totals()
    assert totals["lines"] == lines
    parts = totals["in_events"] + totals["dead_letters"] + totals["ignored"] + totals["open_joins"]
    assert totals["lines"] == parts


def config(path: Path, **changes: Any) -> SourceConfig:
    """A tiny log."""
    given = {
        "name": "tiny-log",
        "type": "tiny",
        "path": str(path),
        "block_bytes": 64,
        "batch_rows": 3,
        "lateness_s": 10,
    }
    return SourceConfig(**{**given, **changes})


def collector(
    made: SourceConfig, sink: MemorySink, state: Path | None = None, settings: CollectorSettings = SETTINGS
) -> Collector:
    source = make_source(made)
    positions = PositionFile(state, made.name) if state is not None else None
    return Collector(made, source, sink, settings, positions=positions, make=MAKERS[made.type])


def run_to_end(made: SourceConfig, *, partitions: int = 3, settings: CollectorSettings = SETTINGS) -> World:
    """Read a log once without a break."""
    sink, world = MemorySink(partitions), World()
    running = collector(made, sink, settings=settings)
    while not running.done:
        running.step(0)
        world.take(sink.take())
    return world
