"""A log that was read live is read on where a file has more of it: what was rotated away before it was read, say.

Where live reading ended, the ledger says, and hashes of the lines before. The file's lines up to there are read once
more for nothing but these hashes and what a normaliser has to know of them (a header, say). Going on is a reading of
its own, in a timeline of its own, like that of a longer copy (`infra.replay.longer`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from infra.cli.output import talk
from infra.cli.store import Store
from infra.replay.beginnings import TIMELINE
from schemas.errors import InputError, StateError
from schemas.kinds import LEDGER
from streams.collector import Collector
from streams.config import CollectorSettings, SourceConfig
from streams.memory import MemorySink
from streams.normalisers.registry import make
from streams.positions import PositionFile, Positions
from streams.sources.abstract import Source, SourceChunk
from streams.sources.make import make_source

LIVE_TIMELINE = f"{TIMELINE}live-"
_LEDGER = """
SELECT chunk, end_offset, lines, sha256 FROM ledger_now
WHERE source = %(source)s AND timeline = '' AND generation = %(generation)s ORDER BY chunk
"""


def live_end(store: Store, folder: Path, source: SourceConfig, generation: str) -> Mapping[str, Any] | None:
    """State from which a file is read on; None where its content was not read live, or has no more.

    Args:
        store: ClickHouse.
        folder: Of positions.
        source: The file.
        generation: Its content.

    Returns:
        As a reading that has ended is kept.

    Raises:
        InputError: the content is still followed; or the file is not what was read, or its lines are joined.
        ServerError: ClickHouse does not answer.
    """
    told = store.rows(_LEDGER, {"source": source.name, "generation": generation}) if generation else []
    if not told:
        return None
    end = int(told[-1]["end_offset"])
    talk(f"{source.path} is compared with what was read live, up to byte {end}")
    beginning = _Beginning(make_source(replace(source, mode="once")), generation, end)
    state, ledger = _read(source, beginning)
    if not beginning.more:
        return None
    _refuse_followed(folder, source, generation, end)
    if make(source.type, source.normaliser_settings(datetime.now(UTC).date())).joins:
        raise InputError(
            f"it was read live up to byte {end}, and lines of type {source.type} are joined: the next ones cannot be "
            "told from those before",
            where=source.path,
            hint=f"cut off its first {end} bytes and give the rest as a file of its own",
        )
    for row in told:
        mine = ledger.get(int(row["chunk"]), {})
        if any(mine.get(name) != row[name] for name in ("end_offset", "lines", "sha256")):
            raise InputError(
                f"its content {generation} was read live up to byte {end}, and this file is another one before that: "
                f"its lines up to byte {row['end_offset']} are not those that were read",
                where=source.path,
                hint="nothing was sent; give a copy that begins with what was read, or only the lines that are new",
            )
    return state


def _read(source: SourceConfig, beginning: _Beginning) -> tuple[Mapping[str, Any], Mapping[int, Mapping[str, Any]]]:
    """State at the end of a reading of which nothing is sent, and its ledger by chunk."""
    wanted, kept, sink = replace(source, mode="once", timeline=LIVE_TIMELINE), _Kept(), MemorySink(1)
    settings = CollectorSettings(epoch=-1, today=datetime.now(UTC).date())
    collector = Collector(wanted, beginning, sink, settings, positions=kept)
    ledger: dict[int, Mapping[str, Any]] = {}
    try:
        while not collector.done:
            collector.step(time.time_ns() // 1_000)
            for message in sink.take():
                if message.topic == LEDGER:
                    record = json.loads(message.value)
                    ledger[int(record["chunk"])] = record
    finally:
        collector.close()
    return kept.state, ledger


def _refuse_followed(folder: Path, source: SourceConfig, generation: str, end: int) -> None:
    """Raise where the collector is in this very content."""
    try:
        state = PositionFile(folder, source.name).load()
    except StateError:
        return
    if state is not None and not state["finished"] and state["intake"]["generation"] == generation:
        raise InputError(
            f"this log is being read (live), and is at byte {end} or behind it",
            where=source.path,
            hint="nothing was sent; `aupstream status` says whether what is missing is still to come",
        )


class _Kept(Positions):
    """Keeps a state in memory."""

    def __init__(self) -> None:
        self.state: Mapping[str, Any] = {}

    def load(self) -> None:
        """Nothing was kept before."""

    def save(self, state: Mapping[str, Any]) -> None:
        """See `Positions`."""
        self.state = state


class _Beginning(Source):
    """The lines of a content before a place.

    Args:
        inner: The file.
        generation: Its content.
        end: The place.
    """

    def __init__(self, inner: Source, generation: str, end: int) -> None:
        self._inner, self._generation, self._end = inner, generation, end
        self._ended = self.more = False

    def seek(self, generation: str, offset: int) -> bool:
        """See `Source`."""
        return self._inner.seek(generation, offset)

    def read(self, max_lines: int, now_us: int) -> SourceChunk | None:
        """See `Source`."""
        if self._ended:
            return None
        chunk = self._inner.read(max_lines, now_us)
        if chunk is None:
            self._ended = self._inner.ended
            return None
        count = int(np.searchsorted(chunk.offsets, self._end))
        if count < len(chunk.lines):
            self._ended, self.more = True, chunk.generation == self._generation
        return chunk.part(0, count) if count else None

    @property
    def ended(self) -> bool:
        """See `Source`."""
        return self._ended

    @property
    def busy(self) -> bool:
        """See `Source`."""
        return self._inner.busy

    def close(self) -> None:
        """See `Source`."""
        self._inner.close()
