"""Events that are there already, to be judged again: container files, JSON lines, Kafka ranges, ClickHouse."""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import polars as pl

from agents.rules.examples import frame_of
from agents.sinks.avro_columns import clickhouse_columns
from infra.cli.configuration import Chosen
from infra.cli.eventlines import AT_ONCE, frames_of, rows_of
from infra.cli.kafkarange import Range, range_of
from infra.cli.output import Bar
from infra.cli.standing import since
from infra.cli.store import Store, dsn_of
from infra.cli.unsealing import Unsealer
from schemas.containerfile import frames as container_frames
from schemas.errors import ConfigError, InputError
from schemas.kinds import EventKind
from streams.sources.packed import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS, KAFKA, CLICKHOUSE = "events:", "kafka:", "clickhouse:"
_AVRO = b"Obj\x01"
_PACKED = (b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd")  # first bytes of gzip, bzip2 and zstd


def _opened(path: Path, head: bytes) -> IO[bytes]:
    """Unpacked content, by the first bytes."""
    if head.startswith(_PACKED[0]):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return cast("IO[bytes]", (bz2 if head.startswith(_PACKED[1]) else zstd).open(path, "rb"))


def is_events(text: str) -> bool:
    """True for what names events rather than a log; `kafka://` stands in the place of a file and is a log."""
    return text.startswith((EVENTS, CLICKHOUSE)) or (text.startswith(KAFKA) and not text.startswith("kafka://"))


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file of events, packed or not."""

    path: Path

    @property
    def name(self) -> str:
        """For people."""
        return str(self.path)

    def check(self) -> None:
        """Say at once where it cannot be read.

        Raises:
            InputError: it cannot.
        """
        try:
            with self.path.open("rb") as file:
                file.read(1)
        except OSError as error:
            hint = "name an Avro container or a file of JSON lines"
            raise InputError(f"it cannot be read: {error.strerror}", where=str(self.path), hint=hint) from error

    def frames(self, bar: Bar) -> Iterator[tuple[EventKind, pl.DataFrame]]:
        """Its events, a portion at a time.

        Raises:
            InputError: it is damaged, or holds no events.
        """
        with self._plain() as path:
            bar.expect(path.stat().st_size)
            with path.open("rb") as file:
                avro = file.read(len(_AVRO)) == _AVRO
            if avro:
                for schema, frame in container_frames(path, bar):
                    yield self._kind(schema), frame
            else:
                with path.open("r", encoding="utf-8", errors="backslashreplace") as lines:
                    yield from frames_of(rows_of(_counted(lines, bar), str(self.path)))

    @contextmanager
    def _plain(self) -> Iterator[Path]:
        """The file; a packed one unpacked beside the others of the system that are thrown away."""
        with self.path.open("rb") as file:
            head = file.read(4)
        if not head.startswith(_PACKED):
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="aupstream-events-") as folder:
            plain = Path(folder) / "events"
            try:
                with _opened(self.path, head) as packed, plain.open("wb") as out:
                    shutil.copyfileobj(packed, out, io.DEFAULT_BUFFER_SIZE * 16)
            except (OSError, EOFError, ValueError, zlib.error, zstd.ZstdError) as error:
                hint = "copy it again"
                raise InputError(f"packed content is damaged: {error}", where=str(self.path), hint=hint) from error
            yield plain

    def _kind(self, schema: str) -> EventKind:
        try:
            return EventKind(schema)
        except ValueError:
            known = ", ".join(k.value for k in EventKind)
            hint = f"events are {known}"
            raise InputError(f"it holds {schema}, no events", where=str(self.path), hint=hint) from None


@dataclass(frozen=True, slots=True)
class EventTables:
    """The tables of events in ClickHouse.

    Attributes:
        dsn: Where.
        start: Only events from then on.
        end: Only events before.
        unsealer: Gives them their names back.
    """

    dsn: str
    start: datetime | None
    end: datetime | None
    unsealer: Unsealer

    @property
    def name(self) -> str:
        """For people."""
        return "clickhouse"

    def check(self) -> None:
        """Nothing can be said before the server is asked."""

    def frames(self, bar: Bar) -> Iterator[tuple[EventKind, pl.DataFrame]]:
        """Events of every kind, in the order of their logs.

        Raises:
            ServerError: ClickHouse does not answer.
        """
        store = Store(self.dsn)
        try:
            bar.expect(sum(self._count(store, kind) for kind in EventKind))
            for kind in EventKind:
                for frame in self._of_kind(store, kind):
                    yield kind, frame
                    bar(frame.height)
        finally:
            store.close()
            self.unsealer.close()

    def _where(self) -> tuple[str, dict[str, object]]:
        tests, values = ["1"], dict[str, object]()
        for name, sign, when in (("start", ">=", self.start), ("end", "<", self.end)):
            if when is not None:
                tests.append(f"timestamp {sign} fromUnixTimestamp64Micro(%({name})s, 'UTC')")
                values[name] = int(when.timestamp()) * 1_000_000 + when.microsecond
        return " AND ".join(tests), values

    def _count(self, store: Store, kind: EventKind) -> int:
        where, values = self._where()
        query = f"SELECT count() AS n FROM events_{kind.value} FINAL WHERE {where}"  # noqa: S608 - our names
        return int(store.rows(query, values or None)[0]["n"])

    def _of_kind(self, store: Store, kind: EventKind) -> Iterator[pl.DataFrame]:
        where, values = self._where()
        columns = ", ".join(clickhouse_columns(kind.value))
        query = (
            f"SELECT {columns} FROM events_{kind.value} FINAL WHERE {where} "  # noqa: S608 - our names
            "ORDER BY log_source, log_generation, log_offset, log_sub"
        )
        names, rows = store.stream(query, values or None)
        held: list[dict[str, object]] = []
        for row in rows:
            held.append(dict(zip(names, row, strict=True)))
            if len(held) >= AT_ONCE:
                yield frame_of(kind, self.unsealer.rows(held))
                held = []
        if held:
            yield frame_of(kind, self.unsealer.rows(held))


def _counted(lines: Iterable[str], bar: Bar) -> Iterator[str]:
    for line in lines:
        yield line
        bar(len(line))


EventSource = EventFile | EventTables | Range


def event_sources(texts: Iterable[str], chosen: Chosen, start: str | None, end: str | None) -> list[EventSource]:
    """What `events:FILE`, `kafka:TOPIC@FROM..TO` and `clickhouse:` of the command line mean.

    Raises:
        ConfigError: one cannot be read.
        ServerError: a server of the data folder is asked for and does not run.
    """
    now = datetime.now(UTC)
    times = [since(text, now).astimezone(UTC) if text else None for text in (start, end)]
    made: list[EventSource] = []
    for text in texts:
        if text.startswith(EVENTS):
            if not (name := text.removeprefix(EVENTS)):
                raise ConfigError("this names no file", where=text, hint="write events:FILE")
            made.append(EventFile(Path(name)))
        elif text.startswith(KAFKA):
            made.append(range_of(text.removeprefix(KAFKA), chosen))
        elif text != CLICKHOUSE:
            hint = "write clickhouse: alone; the server is that of the configuration"
            raise ConfigError("this names no tables of events", where=text, hint=hint)
        else:
            made.append(EventTables(dsn_of(chosen), times[0], times[1], Unsealer(chosen)))
    if any(times) and CLICKHOUSE not in texts:
        raise ConfigError("--from and --to are for clickhouse:", where="backtest", hint="leave them out")
    return made
