"""`aupstream normalise`: a log's events as JSON lines, with the numbers of the lines they are made of.

The normaliser is given line numbers in place of offsets, so that it is the one that remembers which lines an event is
made of; memory is bounded as its own. Ids are made from the real offsets, as collectors make them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from infra.cli.configuration import DEFAULT, choose
from infra.cli.output import flush, iso, write
from infra.cli.reading import chunks, need_stdin, zone_of
from infra.cli.types import list_types
from infra.cli.writing import write_avro
from infra.config import Config
from schemas.errors import ConfigError, InputError
from schemas.ids import event_ids
from streams.config import SourceConfig
from streams.normalisers import registry
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser
from streams.normalisers.guess import MAX_LINES, guess
from streams.rows import Ints, places
from streams.sources.abstract import Source, SourceChunk
from streams.sources.make import make_source

_ABOUT_LINES = ("line", "log_sub", "log_offsets")  # told as source_line and source_lines, or part of the id
_encode = msgspec.json.Encoder(enc_hook=str).encode
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line.

    Attributes:
        file: Log, or - for standard input.
        source: Type, format, configured source, or auto.
        config: Configuration file.
        timezone: Zone of times that carry none.
        year: Year of the first line.
        avro: Where events go in place of standard output.
    """

    file: str | None
    source: str | None
    config: Path | None
    timezone: str | None
    year: int | None
    avro: Path | None


def listing(config: Path | None, *, as_json: bool) -> None:
    """Print the types, with those of the configuration that is named or lies here.

    Raises:
        AupstreamError: the configuration is wrong.
    """
    list_types(_configuration(config), as_json=as_json)


def run(asked: Asked) -> None:
    """Read a log to its end.

    Raises:
        ConfigError: type, zone or options are wrong, or something is not said.
        InputError: the log is missing, unreadable, damaged, or of no known type.
    """
    if asked.source is None:
        hint = "name a type, or write --source auto; `aupstream normalise --list` names them all"
        raise ConfigError("it is not said what kind of log it is", where="--source", hint=hint)
    if asked.file is None:
        raise ConfigError("no log is named", where="FILE", hint="name a file, or - for standard input")
    if asked.file == "-":
        need_stdin()
    config = replace(_source(asked), path=asked.file, mode="once")
    if config.type != AUTO:
        registry.make(config.type, config.normaliser_settings(datetime.now(UTC).date()))
    source = make_source(config)
    try:
        read = chunks(source)
        if config.type == AUTO:
            name, read = _guessed(read, asked.file)
            config = replace(config, name=name, type=name)
        _read_all(config, read, source, asked.avro)
        if source.damage is not None:
            raise source.damage
    finally:
        source.close()


def _read_all(config: SourceConfig, read: Iterator[SourceChunk | None], source: Source, avro: Path | None) -> None:
    settings = config.normaliser_settings(datetime.now(UTC).date())
    if avro is None:
        _Printer(config.name, registry.make(config.type, settings)).print_all(read)
    else:
        write_avro(config, read, source, avro)


def _source(asked: Asked) -> SourceConfig:
    """What `--source` means: a source or a format of the configuration, else a type."""
    name = asked.source or ""
    configured = _configuration(asked.config)
    found: SourceConfig | None = None
    if configured is not None:
        found = next((s for s in configured.collectors() if s.name == name), None)
        if found is None and name in configured.formats:
            zone = zone_of(asked.timezone or configured.district.timezone)
            found = SourceConfig(name=name, type=name, timezone=zone, format=configured.formats[name])
    found = found or SourceConfig(name=name, type=name)
    if asked.timezone is not None or found.format is None:
        found = replace(found, timezone=zone_of(asked.timezone) if asked.timezone else found.timezone)
    return found if asked.year is None else replace(found, year=asked.year)


def _configuration(file: Path | None) -> Config | None:
    """The one that was named or lies here; standard error is for JSON lines, so that nothing is said of it."""
    return choose(file, quiet=True).config if file is not None or Path(DEFAULT).is_file() else None


def _guessed(read: Iterator[SourceChunk | None], file: str) -> tuple[str, Iterator[SourceChunk | None]]:
    """The type of the first lines, and all chunks from the first on."""
    first: list[SourceChunk] = []
    lines: list[bytes] = []
    for chunk in read:
        if chunk is None and lines:
            break  # a log that grows slowly: what is there must do
        if chunk is not None:
            first.append(chunk)
            lines += chunk.lines[:MAX_LINES]
        if len(lines) >= MAX_LINES:
            break
    found = guess(lines[:MAX_LINES])
    if not found.type_name:
        hint = "name its type with --source; `aupstream normalise --list` names them all"
        raise InputError("the first lines are of no known type", where=file, hint=hint)
    said: dict[str, Any] = {"source": found.type_name, "share": found.share}
    if found.next_type:
        said |= {"next": found.next_type, "next_share": found.next_share}
    _aside(said)

    def both() -> Iterator[SourceChunk | None]:
        yield from first
        yield from read

    return found.type_name, both()


class _Printer:
    """Prints what becomes of lines.

    Args:
        name: Source name, for the ids.
        normaliser: Without state.
    """

    def __init__(self, name: str, normaliser: Normaliser) -> None:
        self._name, self._normaliser = name, normaliser
        self._kind = normaliser.kind.value
        self._lines = 0  # so far
        self._generation, self._end = "", 0

    def print_all(self, read: Iterator[SourceChunk | None]) -> None:
        """Print everything; open joins last, as they are."""
        for chunk in read:
            if chunk is not None:
                self._take(chunk)
        rest = self._normaliser.finish()
        if rest is not None and rest.events.height:
            self._print(rest.events, np.full(rest.events.height, self._end, np.int64), None)
        flush()

    def _take(self, chunk: SourceChunk) -> None:
        before, count = self._lines, len(chunk.lines)
        self._lines += count
        self._generation, self._end = chunk.generation, chunk.end_offset
        made = self._normaliser.normalise(LineChunk(chunk.lines, range(before + 1, before + count + 1)))
        if made.events.height:
            index = made.events["line"].to_numpy().astype(np.int64)
            self._print(made.events, chunk.offsets[index], index + before + 1)
        self._print_aside(made, before)
        flush()

    def _print(self, events: pl.DataFrame, offsets: Ints, completed: Ints | None) -> None:
        """Print events.

        Args:
            events: As the normaliser gave them.
            offsets: Where the line that completed each starts.
            completed: Number of that line; None: no line did, the newest one of each counts.
        """
        offsets, subs = places(offsets, events["log_sub"].to_numpy().astype(np.int64))
        ids = event_ids(self._name, self._generation, offsets, subs)
        own = [[int(n)] for n in completed] if completed is not None else [[] for _ in ids]
        lines = events["log_offsets"].to_list() if "log_offsets" in events.columns else own
        fields = events.drop(*(c for c in _ABOUT_LINES if c in events.columns))
        made: list[dict[str, Any]] = []
        for i, row in enumerate(fields.iter_rows(named=True)):
            of = sorted(lines[i] or own[i])
            event = {
                "kind": self._kind,
                "event_id": ids[i],
                "source_line": own[i][0] if own[i] else of[-1],
                "source_lines": of,
                "fields": {k: _plain(v) for k, v in row.items() if v is not None},
            }
            made.append(event)
        if completed is None:
            made.sort(key=lambda e: int(e["source_line"]))
        write(b"".join([_encode(event) + b"\n" for event in made]))

    def _print_aside(self, made: Normalised, before: int) -> None:
        """Lines that are no events, in their order."""
        said: list[tuple[int, dict[str, Any]]] = [
            (r.line, {"dead_letter": r.raw.decode("utf-8", "backslashreplace"), "reason": r.reason})
            for r in made.rejects
        ]
        said += [(line, {"ignored": True, "reason": reason}) for line, reason in made.ignored]
        for line, what in sorted(said, key=lambda s: s[0]):
            _aside({"line": before + line + 1, **what})


def _plain(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value


def _aside(value: dict[str, Any]) -> None:
    """A JSON line on standard error."""
    sys.stderr.buffer.write(_encode(value) + b"\n")
    sys.stderr.flush()
