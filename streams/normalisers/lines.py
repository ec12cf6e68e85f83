"""What all formats share whose every line is decided by itself: the loop, the repeats, the saved clock."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from schemas.errors import StateError
from schemas.ids import MAX_SUB
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings, Reject
from streams.normalisers.columns import LINE, empty_frame, event_frame
from streams.normalisers.masking import mask_bytes
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import Splitter, SyslogLine
from streams.normalisers.times import SourceClock

MAX_REPEATS = 1_000
"""Events that one "message repeated" line makes at most; a larger number under-counts to this."""

MAX_MESSAGE = 4_096
"""Characters of a message behind its header. No program that these formats are about writes longer ones (OpenSSH stops
at 1,024); what is longer becomes a dead letter instead of costing time."""

HEADER_COLUMNS = ("timestamp", "observer_hostname", "process_name", "process_pid")

_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*?)\]?\Z", re.DOTALL | re.ASCII)
_LAST_REPEATED = re.compile(r"last message repeated (\d{1,9}) times?\Z", re.ASCII)
_SHORT = 1_024
_HINT = "remove the source's saved state to read it from its start"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that becomes a dead letter: the reason, and what exactly (never a secret)."""

    reason: Refused
    detail: str


Fields: TypeAlias = tuple[Any, ...]
"""Values of one event, in the order of the normaliser's `COLUMNS`."""

Taken: TypeAlias = Fields | list[Fields] | IgnoredReason | Unreadable
"""What a message says: an event, several, nothing by design, or something that cannot be read."""


@dataclass(slots=True)
class Collected:
    """What a chunk has given so far."""

    rows: list[Fields] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    subs: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    ignored: list[tuple[int, str]] = field(default_factory=list)


class LineNormaliser(Normaliser):
    """Lines with a syslog header, each decided by itself.

    A subclass names its `COLUMNS` and says in `take` what a message is. Bytes that are no UTF-8 are written as Python
    escapes. syslogd's `message repeated N times: [ … ]` is N events with `log_sub` 0 to N-1, `last message repeated N
    times` is N more of the event before it; both at most `MAX_REPEATS`.

    Args:
        settings: What the source's configuration tells.
    """

    COLUMNS: ClassVar[tuple[str, ...]]
    NEVER: ClassVar[frozenset[str]] = frozenset()  # columns that rows have and no line of the format fills

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = tuple(name for name in HEADER_COLUMNS + cls.COLUMNS if name not in cls.NEVER)

    def __init__(self, settings: NormaliserSettings) -> None:
        self._settings = settings
        self._clock = SourceClock(settings)
        self._splitter = Splitter()
        self._last: Fields | None = None  # last event of the line before, without the header's columns

    @abstractmethod
    def take(self, line: SyslogLine) -> Taken:
        """What a line says; its header is added by the caller. Pure."""

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        out = Collected()
        longest = self._settings.max_line_bytes
        for index, raw in enumerate(chunk.lines):
            if len(raw) > longest:
                self._refuse(out, index, raw[:longest], Unreadable(Refused.LINE_TOO_LONG, f"{len(raw)} bytes"), None)
                continue
            self._line(out, index, raw)
        return self._normalised(out)

    def _line(self, out: Collected, index: int, raw: bytes) -> None:
        line = self._splitter.split(raw.decode("utf-8", "backslashreplace"))
        if line is None:
            self._headerless(out, index, raw)
            return
        timestamp = self._clock.micros(line.stamp)
        if timestamp is None:
            self._refuse(out, index, raw, Unreadable(Refused.BAD_TIME, f"no such time: {line.stamp}"), None)
            return
        message = line.message
        taken = self.take(line) if len(message) < _SHORT and "repeated" not in message else self._taken(line)
        head = (timestamp, line.host, line.program, line.pid)
        if type(taken) is tuple:  # most lines by far
            out.rows.append(head + taken)
            out.lines.append(index)
            out.subs.append(0)
            self._last = taken
        else:
            self._add(out, index, raw, head, taken)

    def _headerless(self, out: Collected, index: int, raw: bytes) -> None:
        if not raw.strip():
            out.ignored.append((index, Ignored.BLANK_LINE))
        else:
            self._refuse(out, index, raw, Unreadable(Refused.NO_HEADER, "no syslog header"), None)

    def _taken(self, line: SyslogLine) -> Taken:
        """`take`, with syslogd's repeats spelled out."""
        message = line.message
        if len(message) > MAX_MESSAGE:
            return Unreadable(Refused.LINE_TOO_LONG, f"a message of {len(message)} characters")
        if "repeated" not in message:
            return self.take(line)
        last = _LAST_REPEATED.match(message) or (line.program is None and _LAST_REPEATED.search(message))
        if last:
            return Ignored.REPEATED_OTHER if self._last is None else [self._last] * _count(last[1])
        repeated = _REPEATED.match(message)
        if repeated is None:
            return self.take(line)
        taken = self.take(line._replace(message=repeated[2]))
        if isinstance(taken, (IgnoredReason, Unreadable)):
            return taken
        return (taken if isinstance(taken, list) else [taken]) * _count(repeated[1])

    def _add(self, out: Collected, index: int, raw: bytes, head: Fields, taken: Taken) -> None:
        if isinstance(taken, tuple):
            out.rows.append(head + taken)
            out.lines.append(index)
            out.subs.append(0)
            self._last = taken
        elif isinstance(taken, list):
            kept = taken[: MAX_SUB + 1]
            out.rows.extend(head + fields for fields in kept)
            out.lines.extend([index] * len(kept))
            out.subs.extend(range(len(kept)))
            self._last = kept[-1]
        elif isinstance(taken, Unreadable):
            self._refuse(out, index, raw, taken, head[0])
            self._last = None
        else:
            out.ignored.append((index, taken))
            self._last = None

    def _refuse(self, out: Collected, index: int, raw: bytes, why: Unreadable, timestamp: int | None) -> None:
        masked, changed = mask_bytes(raw)
        out.rejects.append(Reject(index, why.reason, why.detail, masked, changed, timestamp))

    def _normalised(self, out: Collected) -> Normalised:
        if not out.rows:
            return Normalised(empty_frame(self.kind), tuple(out.rejects), tuple(out.ignored))
        names = HEADER_COLUMNS + self.COLUMNS
        columns = dict(zip(names, zip(*out.rows, strict=True), strict=True))
        frame = event_frame(self.kind, {**columns, "log_sub": out.subs, LINE: out.lines})
        return Normalised(frame, tuple(out.rejects), tuple(out.ignored))

    def save(self) -> bytes:
        """The clock, and the last event for a "last message repeated" to come."""
        state = {"type": self.type_name, "version": 1, "clock": self._clock.state(), "last": self._last}
        return json.dumps(state, ensure_ascii=False).encode()

    def load(self, state: bytes) -> None:
        """Take back what `save` gave.

        Raises:
            StateError: it is something else.
        """
        saved = read_state(state, self.type_name)
        last, clock = saved.get("last"), saved.get("clock", {})
        fits = last is None or (isinstance(last, list) and len(last) == len(self.COLUMNS))
        if not isinstance(clock, Mapping) or not fits:
            raise StateError(f"saved state of a {self.type_name} source has another form", hint=_HINT)
        self._clock.restore(clock)
        self._last = None if last is None else tuple(last)


def _count(digits: str) -> int:
    return max(1, min(int(digits), MAX_REPEATS))


def read_state(state: bytes, type_name: str) -> Mapping[str, Any]:
    """A saved state as an object, empty where nothing was saved.

    Raises:
        StateError: it is no JSON object, or one of another type.
    """
    try:
        saved = json.loads(state)
    except ValueError as error:
        raise StateError(f"saved state of a {type_name} source is no JSON", hint=_HINT) from error
    if not isinstance(saved, dict) or saved.get("type", type_name) != type_name:
        raise StateError(f"saved state is not one of a {type_name} source", hint=_HINT)
    return saved


def starts_with_any(table: Mapping[IgnoredReason, str]) -> Callable[[str], IgnoredReason | None]:
    """A look-up of a message by how it starts, in one pass; where several fit, the first of the table.

    Args:
        table: By reason, the starts, separated by `|`.
    """
    starts = [(start, reason) for reason, text in table.items() for start in text.split("|")]
    pattern = re.compile("|".join(f"({re.escape(start)})" for start, _ in starts))

    def look_up(message: str) -> IgnoredReason | None:
        match = pattern.match(message)
        return None if match is None or match.lastindex is None else starts[match.lastindex - 1][1]

    return look_up
