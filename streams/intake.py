"""Lines to stamped rows: normaliser, places, hashes, stamps, and what the ledger is told of them.

Everything here is deterministic but for `close`, whose outcomes must be kept (`decisions`) before its rows are sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from schemas.errors import StateError
from streams.config import SourceConfig, is_wide
from streams.ledger import Ledger, Outcome
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, Reject
from streams.rows import Ints, Rows, dead_letters, hash_column, located, places
from streams.sources.abstract import SourceChunk
from streams.stamps import Stamps, StampState, stamp

_NOTHING: Ints = np.empty(0, np.int64)
_NO_FLAGS: npt.NDArray[np.bool_] = np.empty(0, np.bool_)


@dataclass(frozen=True, slots=True)
class _Unstamped:
    """Rows of one generation whose stamps are not decided.

    Attributes:
        generation: Their content.
        base: Stream offset of its first byte.
        frame: All columns but the stamps.
        offsets: Place of each row.
        subs: Index of each row at its place.
        times: Microseconds UTC.
        lines: Stream offset of the line that completed each; -1 where another row of the same line comes behind, or
            the line is no part of the event.
    """

    generation: str
    base: int
    frame: pl.DataFrame
    offsets: Ints
    subs: Ints
    times: Ints
    lines: Ints

    def __len__(self) -> int:
        return len(self.times)

    def part(self, start: int, stop: int) -> _Unstamped:
        return _Unstamped(
            self.generation,
            self.base,
            self.frame.slice(start, stop - start),
            self.offsets[start:stop],
            self.subs[start:stop],
            self.times[start:stop],
            self.lines[start:stop],
        )

    def members(self) -> tuple[Ints, Ints]:
        """Stream offsets of all lines in the rows, and for each row the one that it is counted at."""
        counted = np.where(self.lines >= 0, self.lines, self.base + self.offsets)
        if "log_offsets" not in self.frame.columns:
            return self.lines[self.lines >= 0], counted
        joined = self.frame["log_offsets"]
        last = joined.list.max().fill_null(-(2**62)).to_numpy()
        counted = np.where(last > -(2**62), last + self.base, counted)
        held = joined.explode().drop_nulls().to_numpy().astype(np.int64) + self.base
        alone = self.lines[(self.lines >= 0) & (last == -(2**62))]
        return np.concatenate([alone, held]), counted


@dataclass(slots=True)
class Made:
    """What came of some lines.

    Attributes:
        events: Rows of events, one part a generation.
        rejected: Dead letters, one part a generation.
        late: Rows stamped late.
        suspect: Rows stamped suspect.
        ignored: Lines ignored, with the reason.
        reasons: Why lines were rejected.
    """

    events: list[Rows] = field(default_factory=list)
    rejected: list[Rows] = field(default_factory=list)
    late: int = 0
    suspect: int = 0
    ignored: Sequence[tuple[int, str]] = ()
    reasons: Sequence[str] = ()


class JoinFaultError(StateError):
    """A normaliser that joins lines failed in the middle of several: what it keeps cannot be trusted any more."""


class Intake:
    """One source's lines on their way to rows.

    Args:
        config: The source.
        normaliser: Of its type, with the state that belongs to `state`.
        ledger: Told what becomes of every line.
        careful: So many lines are given to a normaliser that joins one by one: after a `JoinFaultError`, so that the
            line that it fails on is found. That line is a dead letter; what else came of it is not known.
    """

    def __init__(self, config: SourceConfig, normaliser: Normaliser, ledger: Ledger, careful: int = 0) -> None:
        self._careful = careful
        self.stamps = StampState()
        self.decisions: dict[tuple[str, int, int], bool] = {}
        self.generation = ""
        self.offset = 0  # behind the last line taken
        self.lines = 0  # lines taken so far
        self._config, self._normaliser, self._ledger = config, normaliser, ledger
        self._base = 0
        self._last_line = 0  # stream offset of the last line taken
        self._held: list[_Unstamped] = []
        name = config.encoding.lower().replace("_", "-")
        self._transcode = name not in ("utf-8", "utf8") and not is_wide(name)  # UTF-16 comes decoded

    @property
    def held(self) -> int:
        """Rows that wait for their stamps: at most a handful between two calls."""
        return sum(map(len, self._held))

    def take(self, chunk: SourceChunk) -> Made:
        """Take the next lines."""
        if chunk.generation != self.generation:
            self._base += self.offset
            self.generation, self.offset = chunk.generation, 0
        self._ledger.read(chunk.generation, self._base, chunk.lines, chunk.offsets, chunk.end_offset)
        self.offset = chunk.end_offset
        self.lines += len(chunk.lines)
        stream = chunk.offsets + self._base
        self._last_line = int(stream[-1])
        lines = self._transcoded(chunk.lines) if self._transcode else chunk.lines
        normalised = self._normalise(LineChunk(lines, stream.tolist()))
        made = Made(ignored=normalised.ignored, reasons=[r.reason for r in normalised.rejects])
        if normalised.rejects:
            made.rejected.append(self._rejected(normalised.rejects, chunk))
        self._decide_lines(normalised, stream)
        if normalised.events.height:
            index = normalised.events["line"].to_numpy().astype(np.int64)
            hashes = _hashes(chunk.lines, index)
            self._hold(normalised.events, chunk.offsets[index], stream[index], hashes)
        return self._release(made, None)

    def finish(self) -> Made:
        """The content has ended: complete what is open. Positions of these events are behind the last line."""
        made = Made()
        normalised = self._normaliser.finish()
        if normalised is not None and normalised.events.height:
            count = normalised.events.height
            offsets = np.full(count, self.offset, np.int64)
            line = np.full(count, self._last_line, np.int64)
            self._hold(normalised.events, offsets, line, hash_column([b""] * count))
        return self._release(made, None)

    def close(self, now_us: int) -> Made:
        """Nothing comes for now: decide the rows that wait. New outcomes are in `decisions`."""
        return self._release(Made(), now_us)

    def _normalise(self, chunk: LineChunk) -> Normalised:
        """Normalise, and survive a fault of the normaliser where that is possible without counting a line twice."""
        if self._careful > 0 and self._normaliser.joins:
            self._careful -= len(chunk.lines)
            return self._one_by_one(chunk)
        try:
            return self._normaliser.normalise(chunk)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BaseException as error:
            if self._normaliser.joins:
                raise JoinFaultError(
                    f"the normaliser failed: {error!r}",
                    where=f"{self._config.name}: {self.generation}:{chunk.offsets[0] - self._base}",
                    hint="the lines are read again one by one, and the one that it is becomes a dead letter; "
                    "this is a fault of the normaliser: please report it with these lines",
                ) from error
            return self._one_by_one(chunk)

    def _one_by_one(self, chunk: LineChunk) -> Normalised:
        """Lines on which the normaliser fails become dead letters, the others go their way."""
        frames: list[pl.DataFrame] = []
        rejects: list[Reject] = []
        ignored: list[tuple[int, str]] = []
        for i, (line, offset) in enumerate(zip(chunk.lines, chunk.offsets, strict=True)):
            try:
                one = self._normaliser.normalise(LineChunk([line], [offset]))
            except (KeyboardInterrupt, SystemExit, MemoryError):
                raise
            except BaseException as error:  # noqa: BLE001 - Polars' panics are no Exceptions
                rejects.append(Reject(i, "normaliser_error", type(error).__name__, line))
                continue
            frames.append(one.events.with_columns(pl.lit(i, pl.UInt32).alias("line")))
            rejects += [Reject(i, r.reason, r.detail, r.raw, r.masked, r.timestamp) for r in one.rejects]
            ignored += [(i, reason) for _, reason in one.ignored]
        events = pl.concat(frames) if frames else pl.DataFrame({"line": []}, {"line": pl.UInt32})
        return Normalised(events, rejects, ignored)

    def _transcoded(self, lines: Sequence[bytes]) -> list[bytes]:
        return [line.decode(self._config.encoding, "backslashreplace").encode() for line in lines]

    def _rejected(self, rejects: Sequence[Reject], chunk: SourceChunk) -> Rows:
        index = [r.line for r in rejects]
        return dead_letters(
            rejects,
            [chunk.lines[i] for i in index],
            chunk.offsets[index],
            [chunk.long_lines.get(i, len(chunk.lines[i])) for i in index],
            (self._config.name, self._config.type, chunk.generation),
            self._config.max_line_bytes,
        )

    def _decide_lines(self, normalised: Normalised, stream: Ints) -> None:
        """Tell the ledger of lines that are no events."""
        if not normalised.rejects and not normalised.ignored:
            return
        rejected = stream[[r.line for r in normalised.rejects]] if normalised.rejects else _NOTHING
        ignored = [(int(stream[i]), reason) for i, reason in normalised.ignored]
        self._ledger.decide(Outcome(_NOTHING, _NO_FLAGS, _NO_FLAGS, _NOTHING, rejected, ignored))

    def _hold(self, events: pl.DataFrame, offsets: Ints, lines: Ints, hashes: pl.Series) -> None:
        subs = events["log_sub"].to_numpy().astype(np.int64)
        offsets, subs = places(offsets, subs)
        if "log_offsets" in events.columns and self._base:
            events = events.with_columns(pl.col("log_offsets").list.eval(pl.element() - self._base))
        frame = located(events, self._config.name, self.generation, offsets, subs, hashes)
        times = events["timestamp"].to_physical().to_numpy().astype(np.int64)
        lines = _once(lines, events)
        self._held.append(_Unstamped(self.generation, self._base, frame, offsets, subs, times, lines))

    def _release(self, made: Made, closing: int | None) -> Made:
        """Stamp what can be decided and let it go."""
        if not self._held:
            return made
        times = self._held[0].times if len(self._held) == 1 else np.concatenate([h.times for h in self._held])
        stamps = stamp(
            times,
            self.stamps,
            lateness_us=self._config.lateness_us,
            jump_max_us=self._config.jump_max_us,
            closing=closing,
            decided=self._decided() if self.decisions else None,
        )
        self._keep(stamps)
        start = 0
        held, self._held = self._held, []
        for rows in held:
            count = min(len(rows), len(stamps) - start)
            if count > 0:
                made.events.append(self._stamped(rows.part(0, count), stamps, start))
            if count < len(rows):
                self._held.append(rows.part(max(count, 0), len(rows)))
            start += max(count, 0)
        made.late += int(stamps.late.sum())
        made.suspect += int(stamps.suspect.sum())
        self.stamps = stamps.state
        return made

    def _marks(self) -> list[tuple[str, int, int]]:
        return [
            (h.generation, offset, sub)
            for h in self._held
            for offset, sub in zip(h.offsets.tolist(), h.subs.tolist(), strict=True)
        ]

    def _decided(self) -> Mapping[int, bool]:
        return {i: self.decisions[mark] for i, mark in enumerate(self._marks()) if mark in self.decisions}

    def _keep(self, stamps: Stamps) -> None:
        if stamps.outcomes:
            marks = self._marks()
            self.decisions.update({marks[i]: confirmed for i, confirmed in stamps.outcomes.items()})

    def _stamped(self, rows: _Unstamped, stamps: Stamps, start: int) -> Rows:
        stop = start + len(rows)
        late, suspect = stamps.late[start:stop], stamps.suspect[start:stop]
        lines, counted = rows.members()
        self._ledger.decide(Outcome(counted, late, suspect, lines, _NOTHING))
        frame = rows.frame.with_columns(pl.Series("late", late), pl.Series("time_suspect", suspect))
        running, earliest = stamps.running[start:stop], stamps.earliest[start:stop]
        return Rows(rows.generation, frame, rows.offsets, rows.subs, running, earliest)

    def save(self) -> dict[str, Any]:
        """State as JSON values; only while no row is held."""
        assert not self._held, "rows wait for their stamps"
        return {
            "generation": self.generation,
            "offset": self.offset,
            "lines": self.lines,
            "base": self._base,
            "last_line": self._last_line,
            "maximum": self.stamps.maximum,
            "earliest": self.stamps.earliest,
            "normaliser": self._normaliser.save().decode(),
        }

    def load(self, state: Mapping[str, Any], decisions: Sequence[Sequence[Any]]) -> None:
        """Take back what `save` gave.

        Raises:
            StateError: the normaliser's state cannot be read.
        """
        self.generation, self.offset = str(state["generation"]), int(state["offset"])
        self.lines, self._base, self._last_line = int(state["lines"]), int(state["base"]), int(state["last_line"])
        self.stamps = StampState(state["maximum"], state["earliest"])
        self._normaliser.load(str(state["normaliser"]).encode())
        self.decisions = {(str(g), int(o), int(s)): bool(c) for g, o, s, c in decisions}


def _hashes(lines: Sequence[bytes], index: Ints) -> pl.Series:
    """Hash of the line of each event."""
    if len(index) == len(lines) and (len(index) < 2 or bool((np.diff(index) == 1).all())):
        return hash_column(lines)
    return hash_column([lines[i] for i in index.tolist()])


def _once(lines: Ints, events: pl.DataFrame) -> Ints:
    """The line of each event; -1 where an event behind it is of the same line alone."""
    alone = np.ones(len(lines), np.bool_)
    if "log_offsets" in events.columns:
        alone = (events["log_offsets"].list.len() == 0).to_numpy()
    index = np.flatnonzero(alone)
    again = index[:-1][lines[index[:-1]] == lines[index[1:]]]
    once = lines.copy()
    once[again] = -1
    return once
