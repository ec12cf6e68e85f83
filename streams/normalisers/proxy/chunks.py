"""Formats that are read by whole chunks: one expression over all lines, and a look at each line that it does not fit.

Both ways give the same captures (`captures`). A line may stand alone or behind a syslog header; then host, program and
process id come from there.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import polars as pl

from schemas.errors import StateError
from schemas.kinds import EventKind
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings, Reject
from streams.normalisers.columns import LINE, empty_frame, event_frame
from streams.normalisers.lines import Unreadable, read_state
from streams.normalisers.masking import MASK, Masker
from streams.normalisers.proxy.captures import captured_columns
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import Splitter
from streams.normalisers.times import SourceClock

FITS = "fits"
"""Boolean column of captures: the line is of the form. Captures of the lines that are not mean nothing."""

STAMP = "stamp"
"""Text column of captures: the time as written, for the detail of a dead letter."""

_HEADER: dict[str, pl.DataType] = {
    "observer_hostname": pl.String(),
    "process_name": pl.String(),
    "process_pid": pl.Int64(),
}
_ROWS: dict[str, pl.DataType] = {LINE: pl.UInt32(), "text": pl.String()}
HEADER_COLUMNS = tuple(_HEADER)


class Form(Protocol):
    """One way in which a line may be written."""

    def __call__(self, texts: pl.Series, /) -> pl.DataFrame:
        """Captures of the texts, a row each, with `fits`."""


class Decided:
    """Rejects and ignored lines of a chunk, as they are found."""

    def __init__(self, chunk: LineChunk, masker: Masker, *, secret: bool = False) -> None:
        self._lines, self._masker, self._secret = chunk.lines, masker, secret
        self._rejects: list[Reject] = []
        self._ignored: list[tuple[int, str]] = []

    def refuse(self, index: int, why: Unreadable, cut: int | None = None, timestamp: int | None = None) -> None:
        """A line becomes a dead letter."""
        masked, changed = self._masker.line(self._lines[index][:cut]) if not self._secret else (MASK.encode(), True)
        self._rejects.append(Reject(index, why.reason, why.detail, masked, changed, timestamp))

    def text(self, index: int) -> str:
        """A whole line."""
        return self._lines[index].decode("utf-8", "backslashreplace")

    def ignore(self, index: int, reason: IgnoredReason) -> None:
        """A line is no event by design."""
        self._ignored.append((index, reason))

    def normalised(self, events: pl.DataFrame) -> Normalised:
        """All that became of the chunk."""
        rejects = tuple(sorted(self._rejects, key=lambda reject: reject.line))
        return Normalised(events, rejects, tuple(sorted(self._ignored)))


class ChunkNormaliser(Normaliser):
    """See the module. A subclass names its `forms`, reads odd lines, and says what a line is that nobody reads.

    Args:
        settings: What the source's configuration tells.
    """

    kind = EventKind.PROXY
    DATASET: ClassVar[str]
    secret = False  # whether lines hold secrets without their names, so that dead letters cannot show them

    def __init__(self, settings: NormaliserSettings) -> None:
        self.settings = settings
        self.masker = Masker(settings.mask_parameters)
        self.clock = SourceClock(settings)
        self._splitter = Splitter()

    @abstractmethod
    def forms(self) -> Sequence[Form]:
        """Forms in the order in which they are tried, the first that fits counts."""

    def odd_forms(self) -> Sequence[Form]:
        """Further forms, tried when headers have been taken off and none of `forms` fits."""
        return ()

    def odd(self, text: str) -> Mapping[str, Any] | None:
        """Captures of a line that no form fits; None where it is none of the format."""
        del text
        return None

    @abstractmethod
    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """What a line is that has no captures, and its time where it can be read.

        Args:
            text: Without a syslog header, or what looked like one.
            program: Program in that header.
            whole: The line as it is.
        """

    @abstractmethod
    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """Captures, given in the order of their lines, with `timestamp` (null: no such time) and `denied`."""

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        decided = Decided(chunk, self.masker, secret=self.secret)
        captures = self.taken(self._rows(chunk, decided), decided)
        if captures is None:
            return decided.normalised(empty_frame(self.kind))
        captures = self._in_time(captures, decided)
        if captures.is_empty():
            return decided.normalised(empty_frame(self.kind))
        columns = captured_columns(captures, self.masker)
        columns.setdefault("event_dataset", pl.Series([self.DATASET]).new_from_index(0, captures.height))
        columns["timestamp"] = captures["timestamp"]
        return decided.normalised(event_frame(self.kind, {**columns, LINE: captures[LINE]}))

    def taken(self, rows: pl.DataFrame, decided: Decided) -> pl.DataFrame | None:
        """Captures of all rows that have any, in the order of the lines; the others are decided."""
        parts: list[pl.DataFrame] = []
        rest = _tried(rows, self.forms(), parts)
        if not rest.is_empty():
            bare, rest = rest, _tried(self._behind_header(rest), self.forms(), parts)
            odd_forms = self.odd_forms()
            rest = _tried(rest, odd_forms, parts)
            if odd_forms and not rest.is_empty():  # what looked like a header may have been the line's own start
                bare = _tried(bare.filter(bare[LINE].is_in(rest[LINE].implode())), odd_forms, parts)
                rest = rest.filter(rest[LINE].is_in(bare[LINE].implode()))
        self._left(rest, parts, decided)
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal").sort(LINE)

    def _in_time(self, captures: pl.DataFrame, decided: Decided) -> pl.DataFrame:
        captures = self.finished(captures)
        without = captures["timestamp"].is_null()
        if not without.any():
            return captures
        bad = captures.filter(without)
        stamps = bad[STAMP] if STAMP in bad.columns else no_text(bad.height)
        for index, stamp in zip(bad[LINE], stamps, strict=True):
            decided.refuse(index, Unreadable(Refused.BAD_TIME, f"no such time: {self.masker.text(str(stamp))}"[:200]))
        return captures.filter(~without)

    def _rows(self, chunk: LineChunk, decided: Decided) -> pl.DataFrame:
        longest, lines = self.settings.max_line_bytes, chunk.lines
        if max(map(len, lines)) <= longest:
            return pl.DataFrame({LINE: range(len(lines)), "text": texts_of(lines)}, schema_overrides=_ROWS)
        kept = []
        for index, raw in enumerate(lines):
            if len(raw) > longest:
                decided.refuse(index, Unreadable(Refused.LINE_TOO_LONG, f"{len(raw)} bytes"), longest)
            else:
                kept.append(index)
        return pl.DataFrame({LINE: kept, "text": texts_of([lines[i] for i in kept])}, schema_overrides=_ROWS)

    def _behind_header(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with a syslog header taken off where they have one."""
        taken: list[tuple[int, str, str | None, str | None, int | None]] = []
        for index, text in rows.iter_rows():
            line = self._splitter.split(text)
            if line is None:
                taken.append((index, text, None, None, None))
            else:
                taken.append((index, line.message, line.host, line.program, line.pid))
        return pl.DataFrame(taken, schema={**_ROWS, **_HEADER}, orient="row")

    def _left(self, rest: pl.DataFrame, parts: list[pl.DataFrame], decided: Decided) -> None:
        """Lines that no form fits, one by one."""
        if rest.is_empty():
            return
        found: list[Mapping[str, Any]] = []
        for index, text, host, program, pid in rest.iter_rows():
            captures = self.odd(text) if text.strip() else None
            if captures is not None:
                head = {LINE: index, "observer_hostname": host, "process_name": program, "process_pid": pid}
                found.append({**head, **captures})
                continue
            captures = self.odd(decided.text(index)) if text.strip() and (host or program) else None
            if captures is not None:  # what looked like a header was the line's own start
                found.append({LINE: index, **captures})
            elif not text.strip():
                decided.ignore(index, Ignored.BLANK_LINE)
            else:
                why, timestamp = self.leftover(text, program, decided.text(index))
                if isinstance(why, Unreadable):
                    decided.refuse(index, why, timestamp=timestamp)
                else:
                    decided.ignore(index, why)
        if found:
            parts.append(frame_of(found))

    def local_times(self, stamps: pl.Series) -> pl.Series:
        """Microseconds UTC of stamps in the order of their lines; of two equal hours the line before tells which."""
        found: list[int | None] = []
        last, value = None, None
        for stamp in stamps:
            if stamp != last:
                last, value = stamp, None if stamp is None else self.clock.micros(stamp)
            found.append(value)
        return pl.Series(found, dtype=pl.Int64)

    def remember(self) -> dict[str, Any]:
        """What a subclass wants saved beside the clock, as JSON values."""
        return {}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """Take back what `remember` gave; missing keys are those of an older release.

        Raises:
            (KeyError, TypeError, ValueError): it is something else.
        """

    def save(self) -> bytes:
        """The clock, and what the format remembers."""
        state = {"type": self.type_name, "version": 1, "clock": self.clock.state(), **self.remember()}
        return json.dumps(state).encode()

    def load(self, state: bytes) -> None:
        """Take back what `save` gave.

        Raises:
            StateError: it is something else.
        """
        hint = "remove the source's saved state to read it from its start"
        saved = read_state(state, self.type_name)
        clock = saved.get("clock", {})
        if not isinstance(clock, Mapping):
            raise StateError(f"saved state of a {self.type_name} source has another form", hint=hint)
        self.clock.restore(clock)
        try:
            self.recall(saved)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"saved state of a {self.type_name} source: {error!r}", hint=hint) from error


def _tried(rows: pl.DataFrame, forms: Sequence[Form], parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Take the rows that fit a form into `parts`; what is left."""
    for form in forms:
        if rows.is_empty():
            return rows
        captures = form(rows["text"])
        fits = captures[FITS].fill_null(value=False)
        if not fits.any():
            continue
        whole = rows.drop("text").hstack(captures.drop(FITS))
        if fits.all():
            parts.append(whole)
            return rows.clear()
        parts.append(whole.filter(fits))
        rows = rows.filter(~fits)
    return rows


def texts_of(lines: Sequence[bytes]) -> pl.Series:
    """Lines as texts; bytes that are no UTF-8 as Python escapes."""
    try:
        return pl.Series(lines, dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series([raw.decode("utf-8", "backslashreplace") for raw in lines], dtype=pl.String)


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Captures of several lines: texts, except `timestamp`, `denied` and what the header gave."""
    names = {name: _type(name) for row in rows for name in row}
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in names}, schema=names)


def _type(name: str) -> pl.DataType:
    others: dict[str, pl.DataType] = {LINE: pl.UInt32(), "timestamp": pl.Int64(), "denied": pl.Boolean(), **_HEADER}
    return others.get(name, pl.String())


def no_text(height: int) -> pl.Series:
    """A column of nulls."""
    return pl.Series([None], dtype=pl.String).new_from_index(0, height)
