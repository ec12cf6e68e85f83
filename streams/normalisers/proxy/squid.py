"""Squid's access log to proxy events.

Read are the built-in `logformat`s `squid` (native), `combined` and `common`, with whatever columns a site adds behind,
plain or behind a syslog header (then the host, program and process id come from it, the time from the line itself).

`event_action` is `allowed` or `denied`. Denied is what the proxy itself refused: a result word with `DENIED` in it, or
a 403 or 407 that it answered without a result (`NONE`, `TAG_NONE`). A 403 of the origin server is `allowed`: nobody but
that server refused. `event_outcome` is `failure` for what was denied and for status 400 and above, `success` below,
`unknown` without a status (000: the client went away).

A chunk is taken apart by one expression over all its lines; only lines that it does not fit are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings, Reject
from streams.normalisers.columns import LINE, empty_frame, event_frame
from streams.normalisers.lines import Unreadable
from streams.normalisers.masking import Masker
from streams.normalisers.proxy.columns import FIELDS, proxy_columns
from streams.normalisers.proxy.squid_forms import combined, common_time, native, odd
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import split

ACTIONS: Final = ("allowed", "denied")

_HEADER: dict[str, pl.DataType] = {
    "observer_hostname": pl.String(),
    "process_name": pl.String(),
    "process_pid": pl.Int64(),
}
_ROWS = {LINE: pl.UInt32(), "text": pl.String(), **_HEADER}

_CACHE_LOG = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: \S+)?\|", re.ASCII)
_STARTS_NATIVE = re.compile(r"(\d{9,11})(?:\.(\d{1,6}))?\d{0,3} ", re.ASCII)
_STARTS_COMBINED = re.compile(r"[^ ]+ [^ ]+ .{1,256}? \[([^\]]{1,40})\] \"", re.DOTALL)


class SquidNormaliser(Normaliser):
    """Lines of an access log; every line is decided by itself, nothing is remembered."""

    kind = EventKind.PROXY
    type_name = "squid"
    fields = FIELDS

    def __init__(self, settings: NormaliserSettings) -> None:
        self._settings = settings
        self._masker = Masker(settings.mask_parameters)

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        decided = _Decided(chunk, self._masker)
        rows = self._rows(chunk, decided)
        parts: list[pl.DataFrame] = []
        rest = _try(rows, native, parts)
        rest = _try(rest, combined, parts)
        rest = _behind_header(rest)
        rest = _try(rest, native, parts)
        rest = _try(rest, combined, parts)
        rest = _try(rest, lambda texts: odd(texts.to_list()), parts)
        decided.leftovers(rest)
        if not parts:
            return Normalised(empty_frame(self.kind), decided.sorted_rejects(), tuple(sorted(decided.ignored)))
        captures = parts[0] if len(parts) == 1 else pl.concat(parts).sort(LINE)
        columns = proxy_columns(captures, self._masker)
        events = event_frame(self.kind, {**columns, **{name: captures[name] for name in (LINE, *_HEADER)}})
        return Normalised(events, decided.sorted_rejects(), tuple(sorted(decided.ignored)))

    def _rows(self, chunk: LineChunk, decided: _Decided) -> pl.DataFrame:
        longest = self._settings.max_line_bytes
        lines = chunk.lines
        numbers = range(len(lines))
        if max(map(len, lines)) > longest:
            for index, raw in enumerate(lines):
                if len(raw) > longest:
                    decided.refuse(index, Unreadable(Refused.LINE_TOO_LONG, f"{len(raw)} bytes"), longest)
            kept = [index for index in numbers if len(lines[index]) <= longest]
        else:
            kept = list(numbers)
        texts = [lines[index].decode("utf-8", "backslashreplace") for index in kept]
        frame = pl.DataFrame({LINE: kept, "text": texts}, schema={LINE: pl.UInt32(), "text": pl.String()})
        return frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in _HEADER.items())


class _Decided:
    """Rejects and ignored lines of a chunk, as they are found."""

    def __init__(self, chunk: LineChunk, masker: Masker) -> None:
        self._lines, self._masker = chunk.lines, masker
        self._rejects: list[Reject] = []
        self.ignored: list[tuple[int, str]] = []

    def sorted_rejects(self) -> tuple[Reject, ...]:
        return tuple(sorted(self._rejects, key=lambda reject: reject.line))

    def refuse(self, index: int, why: Unreadable, cut: int | None = None, timestamp: int | None = None) -> None:
        masked, changed = self._masker.line(self._lines[index][:cut])
        self._rejects.append(Reject(index, why.reason, why.detail, masked, changed, timestamp))

    def leftovers(self, rest: pl.DataFrame) -> None:
        """Say of each line that no form fits what it is."""
        for index, text, program in rest.select(LINE, "text", "process_name").iter_rows():
            if not text.strip():
                self.ignored.append((index, Ignored.BLANK_LINE))
                continue
            found, timestamp = _leftover(text, program)
            if isinstance(found, Unreadable):
                self.refuse(index, found, timestamp=timestamp)
            else:
                self.ignored.append((index, found))


def _leftover(text: str, program: str | None) -> tuple[Unreadable | Ignored, int | None]:
    start = _STARTS_NATIVE.match(text)
    if start is not None:
        micros = int(start[1]) * 1_000_000 + int((start[2] or "").ljust(6, "0"))
        return Unreadable(Refused.UNKNOWN_FORM, "starts like Squid's native form, goes on differently"), micros
    common = _STARTS_COMBINED.match(text)
    if common is not None:
        micros_or_none = common_time(common[1])
        if micros_or_none is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {common[1]}"), None
        return Unreadable(Refused.UNKNOWN_FORM, "starts like the combined form, goes on differently"), micros_or_none
    if _CACHE_LOG.match(text):
        return Ignored.SQUID_CACHE_LOG, None
    if program is not None:  # a message of a daemon, and no access line
        return (Ignored.SQUID_CACHE_LOG if "squid" in program else Ignored.OTHER_PROGRAM), None
    return Unreadable(Refused.UNKNOWN_FORM, "no form of Squid's access log"), None


def _try(rows: pl.DataFrame, form: Callable[[pl.Series], pl.DataFrame], parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Take the rows that fit a form into `parts`; what is left."""
    if rows.is_empty():
        return rows
    captures = form(rows["text"])
    fits = captures["timestamp"].is_not_null()
    if not fits.any():
        return rows
    whole = rows.drop("text").hstack(captures)
    if fits.all():
        parts.append(whole)
        return rows.clear()
    parts.append(whole.filter(fits))
    return rows.filter(~fits)


def _behind_header(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with a syslog header taken off where they have one."""
    if rows.is_empty():
        return rows
    taken: list[tuple[int, str, str | None, str | None, int | None]] = []
    for index, text in rows.select(LINE, "text").iter_rows():
        line = split(text)
        if line is None:
            taken.append((index, text, None, None, None))
        else:
            taken.append((index, line.message, line.host, line.program, line.pid))
    return pl.DataFrame(taken, schema=_ROWS, orient="row")
