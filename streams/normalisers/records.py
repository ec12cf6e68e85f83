"""Formats whose every line is a record of its own, whatever stands around it: the loop, the envelope, the frame.

A line may be the record itself, or the record behind a syslog header, or a line of `journalctl -o json` that carries
it. The envelope is taken off here; a format reads the record alone, as a mapping of column names to values.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeAlias

import polars as pl

from schemas.errors import StateError
from schemas.ids import MAX_SUB
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings, Reject
from streams.normalisers.columns import LINE, empty_frame, event_frame
from streams.normalisers.journal import unwrap_journal
from streams.normalisers.lines import Unreadable, read_state
from streams.normalisers.masking import Masker
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import Splitter
from streams.normalisers.times import SourceClock

Fact: TypeAlias = dict[str, Any]
"""One event: values by column. `timestamp` is microseconds UTC; without it the envelope's time counts. Null columns may
be left out, and so may `observer_hostname`, `process_name` and `process_pid`, which then are the envelope's."""

Read: TypeAlias = Fact | list[Fact] | IgnoredReason | Unreadable
"""What a record says: an event, several, nothing by design, or something that cannot be read."""

HEADER_STARTS = frozenset("<0123456789JFMASOND")
"""First characters of syslog headers: a priority, a date or a month's name."""

_HINT = "remove the source's saved state to read it from its start"
_NO_TIME = Unreadable(Refused.BAD_TIME, "no time, or none that exists")


class Head(NamedTuple):
    """The envelope of a record.

    Attributes:
        stamp: Time as written; empty where the record stands alone.
        host: Host that wrote the line.
        program: Program in the tag.
        pid: Process id.
        message: The record.
    """

    stamp: str
    host: str | None
    program: str | None
    pid: int | None
    message: str


@dataclass(slots=True)
class Gathered:
    """What a chunk has given so far."""

    facts: list[Fact] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    subs: list[int] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    ignored: list[tuple[int, str]] = field(default_factory=list)


class RecordNormaliser(Normaliser):
    """See the module.

    A subclass names the `fields` it can fill and its `DATASET`, and says in `read` what a record is. Where records of
    the format never stand behind a header that could be mistaken for one, `ALONE` is True and nothing is taken off.

    Args:
        settings: What the source's configuration tells.
    """

    DATASET: ClassVar[str]
    ALONE: ClassVar[bool] = False

    def __init__(self, settings: NormaliserSettings) -> None:
        self.settings = settings
        self.masker = Masker(settings.mask_parameters)
        self.clock = SourceClock(settings)
        self._splitter = Splitter()

    @abstractmethod
    def read(self, head: Head) -> Read:
        """What a record says. May use the clock and what `remember` keeps, nothing else."""

    def columns(self, facts: Sequence[Fact]) -> Mapping[str, Sequence[Any] | pl.Series]:
        """Columns of the events; a kind that works on whole columns overrides it."""
        blank: dict[str, Any] = dict.fromkeys(set().union(*facts))  # merge and zip: faster than a get for each value
        return dict(zip(blank, zip(*((blank | fact).values() for fact in facts), strict=True), strict=True))

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        out = Gathered()
        longest = self.settings.max_line_bytes
        for index, raw in enumerate(chunk.lines):
            if len(raw) > longest:
                self._refuse(out, index, raw[:longest], Unreadable(Refused.LINE_TOO_LONG, f"{len(raw)} bytes"), None)
            else:
                self._line(out, index, raw)
        return self._normalised(out)

    def _line(self, out: Gathered, index: int, raw: bytes) -> None:
        head = self._head(raw.decode("utf-8", "backslashreplace"))
        if not head.message or head.message.isspace():
            out.ignored.append((index, Ignored.BLANK_LINE))
            return
        timestamp: int | None = None
        if head.stamp:
            timestamp = self.clock.micros(head.stamp)
        taken = self.read(head)
        if isinstance(taken, dict):  # most lines by far
            when = taken.get("timestamp", timestamp)
            if when is None:
                self._refuse(out, index, raw, _NO_TIME, None)
                return
            taken["timestamp"] = when
            out.facts.append(self._enveloped(taken, head))
            out.lines.append(index)
            out.subs.append(0)
        elif isinstance(taken, list):
            self._add(out, index, raw, taken, head, timestamp)
        elif isinstance(taken, Unreadable):
            self._refuse(out, index, raw, taken, timestamp)
        else:
            out.ignored.append((index, taken))

    def _head(self, text: str) -> Head:
        """The envelope taken off; a line without one is a record alone."""
        if self.ALONE:
            return Head("", None, None, None, text)
        first = text[:1]
        if first == "{":
            journal = unwrap_journal(text)
            return Head("", None, None, None, text) if journal is None else Head(*journal)
        if first not in HEADER_STARTS or (first == "<" and not text[1:2].isdigit()):
            return Head("", None, None, None, text)
        line = self._splitter.split(text)
        return Head("", None, None, None, text) if line is None else Head(*line)

    def _add(self, out: Gathered, index: int, raw: bytes, facts: list[Fact], head: Head, timestamp: int | None) -> None:
        """Take events of one line; all of them or, where one has no time, none."""
        if not facts:
            out.ignored.append((index, Ignored.OTHER_RECORD))
            return
        for fact in facts:
            when = fact.get("timestamp", timestamp)
            if when is None:
                self._refuse(out, index, raw, _NO_TIME, None)
                return
            fact["timestamp"] = when
        kept = [self._enveloped(fact, head) for fact in facts[: MAX_SUB + 1]]
        out.facts.extend(kept)
        out.lines.extend([index] * len(kept))
        out.subs.extend(range(len(kept)))

    def _enveloped(self, fact: Fact, head: Head) -> Fact:
        """The event with what the envelope tells, where the record does not tell it itself."""
        if head.host is not None:
            fact.setdefault("observer_hostname", head.host)
        if head.program is not None:
            fact.setdefault("process_name", head.program)
            fact.setdefault("process_pid", head.pid)
        fact.setdefault("event_dataset", self.DATASET)
        return fact

    def _refuse(self, out: Gathered, index: int, raw: bytes, why: Unreadable, timestamp: int | None) -> None:
        masked, changed = self.masker.line(raw)
        out.rejects.append(Reject(index, why.reason, why.detail, masked, changed, timestamp))

    def _normalised(self, out: Gathered) -> Normalised:
        if not out.facts:
            return Normalised(empty_frame(self.kind), tuple(out.rejects), tuple(out.ignored))
        frame = event_frame(self.kind, {**self.columns(out.facts), "log_sub": out.subs, LINE: out.lines})
        return Normalised(frame, tuple(out.rejects), tuple(out.ignored))

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
        return json.dumps(state, ensure_ascii=False).encode("utf-8", "backslashreplace")

    def load(self, state: bytes) -> None:
        """Take back what `save` gave.

        Raises:
            StateError: it is something else.
        """
        saved = read_state(state, self.type_name)
        clock = saved.get("clock", {})
        if not isinstance(clock, Mapping):
            raise StateError(f"saved state of a {self.type_name} source has another form", hint=_HINT)
        self.clock.restore(clock)
        try:
            self.recall(saved)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"saved state of a {self.type_name} source: {error!r}", hint=_HINT) from error
