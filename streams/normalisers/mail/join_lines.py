"""The loop of mail formats that join lines: envelope, time, limits, repeats, dead letters, saved state.

How a format is written on it: subclass `JoinNormaliser`, name `type_name`, `DATASET` and `fields`, say in `take` what a
line is. About a message: `join = self.messages.of(key)` (or `begin(key)` for its first line), `join.learn(column=…)`,
`join.deliver(…)`, then `self.messages.touch(join)` or `complete(join)`, and return `HELD`. Else return a `Single`, a
reason, or `Unreadable`. Facts of a connection that its messages should get (an ICID's client) go to
`self.messages.recent`, which is bounded and saved.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from schemas.errors import StateError
from schemas.kinds import EventKind
from streams.normalisers.abstract import LineChunk, Normalised, Normaliser, NormaliserSettings, Reject
from streams.normalisers.lines import MAX_REPEATS, Unreadable, read_state
from streams.normalisers.mail.joins import Join, Messages
from streams.normalisers.mail.parts import MailEvents
from streams.normalisers.masking import Masker
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.syslog import Splitter, SyslogLine
from streams.normalisers.times import SourceClock

JOIN_FIELDS: Final = (
    "timestamp", "event_dataset", "event_action", "event_outcome", "timestamp_first", "log_offsets",
    "email_to_address", "email_to_status",
)  # fmt: skip
"""Columns that every format on this loop fills."""

_HINT = "remove the source's saved state to read it from its start"
_SECOND = 1_000_000
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class Held:
    """The line is in a join, or in the event that it completed."""


HELD: Final = Held()


class Single(NamedTuple):
    """An event of one line: values by column, recipients and attachments as in a `Join`."""

    fact: dict[str, Any]
    recipients: Mapping[str, Any] = {}
    attachments: Sequence[Any] = ()


Taken: TypeAlias = Held | Single | list[Single] | IgnoredReason | Unreadable


class JoinNormaliser(Normaliser):
    """See the module.

    Args:
        settings: What the source's configuration tells.
    """

    kind = EventKind.MAIL
    joins = True
    DATASET: ClassVar[str]
    KEPT_NOTES: ClassVar[tuple[str, ...]] = ()  # notes of a join that a further event of its message starts with

    def __init__(self, settings: NormaliserSettings) -> None:
        self.settings = settings
        self.masker = Masker(settings.mask_parameters)
        self.clock = SourceClock(settings)
        self.messages = Messages(settings.max_joins, settings.join_max_s * _SECOND, self.closing, self.KEPT_NOTES)
        self._splitter = Splitter()
        self._rejects: list[Reject] = []
        self._ignored: list[tuple[int, str]] = []

    @abstractmethod
    def take(self, head: SyslogLine) -> Taken:
        """What a line says; its time is `self.messages.at.now`, its message not empty. May change `self.messages`."""

    def head(self, text: str) -> SyslogLine | None:
        """The envelope taken off; None where there is none, which refuses the line."""
        return self._splitter.split(text)

    def moment(self, head: SyslogLine) -> int | None:
        """Time of a line, microseconds UTC; None where there is no such time."""
        return self.clock.micros(head.stamp)

    def closing(self, join: Join) -> None:
        """What a format still has to say of a join whose event is made."""

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        self._start()
        at, longest, offsets = self.messages.at, self.settings.max_line_bytes, chunk.offsets
        for index, raw in enumerate(chunk.lines):
            at.index, at.sub, at.offset = index, 0, offsets[index]
            if len(raw) > longest:
                self._refuse(raw[:longest], Unreadable(Refused.LINE_TOO_LONG, f"{len(raw)} bytes"), None)
            else:
                self._line(raw)
        return Normalised(self._frame(), tuple(self._rejects), tuple(self._ignored))

    def finish(self) -> Normalised | None:
        """Flush all open joins, in the order of their newest lines. They are remembered: further lines may follow."""
        if not self.messages.joins.open:
            return None
        self._start()
        self.messages.at.index = self.messages.at.sub = 0
        self.messages.flush_all()
        return Normalised(self._frame())

    @property
    def open_lines(self) -> int:
        """Number of lines held in open joins."""
        return self.messages.joins.lines

    def _start(self) -> None:
        self.messages.events, self._rejects, self._ignored = MailEvents(), [], []

    def _frame(self) -> Any:
        for fact in self.messages.events.facts:
            fact.setdefault("event_dataset", self.DATASET)
        return self.messages.events.frame()

    def _line(self, raw: bytes) -> None:
        head = self.head(raw.decode("utf-8", "backslashreplace"))
        if head is None:
            if raw.strip():
                self._refuse(raw, Unreadable(Refused.NO_HEADER, "no header that names a time"), None)
            else:
                self._ignored.append((self.messages.at.index, Ignored.BLANK_LINE))
            return
        now = self.moment(head)
        if now is None:
            self._refuse(raw, Unreadable(Refused.BAD_TIME, f"no such time: {head.stamp}"), None)
            return
        messages = self.messages
        at = messages.at
        at.before, at.now, at.head = at.now, now, head[1:4]
        messages.seq += 1
        if now > messages.joins.next_due:
            messages.flush_due(now)
        message = head.message
        if "message repeated " in message[:17]:
            self._decide(raw, self._repeated(head))
        elif message:
            taken = self.take(head)
            if taken is not HELD:
                self._decide(raw, taken)
        else:
            self._ignored.append((at.index, Ignored.BLANK_LINE))

    def _repeated(self, head: SyslogLine) -> Taken:
        """Syslogd's `message repeated N times: [ … ]`: N events, `MAX_REPEATS` at most; of a message's line one."""
        said = _REPEATED.match(head.message)
        if said is None:
            return Ignored.REPEATED_OTHER
        message = said[2].rstrip().removesuffix("]")
        taken = self.take(head._replace(message=message)) if message else Ignored.BLANK_LINE
        if not isinstance(taken, Single):
            return taken
        return [taken._replace(fact=dict(taken.fact)) for _ in range(max(1, min(int(said[1]), MAX_REPEATS)))]

    def _decide(self, raw: bytes, taken: Taken) -> None:
        if taken is HELD:
            return
        if isinstance(taken, Single):
            self.messages.add(*taken)
        elif isinstance(taken, list):
            for single in taken:
                self.messages.add(*single)
        elif isinstance(taken, Unreadable):
            self._refuse(raw, taken, self.messages.at.now)
        else:
            assert isinstance(taken, IgnoredReason)
            self._ignored.append((self.messages.at.index, taken))

    def _refuse(self, raw: bytes, why: Unreadable, timestamp: int | None) -> None:
        masked, changed = self.masker.line(raw)
        self._rejects.append(Reject(self.messages.at.index, why.reason, why.detail, masked, changed, timestamp))

    def save(self) -> bytes:
        """Open joins, what is remembered, and the clock: JSON, UTF-8."""
        state = {"type": self.type_name, "version": 1, "clock": self.clock.state(), **self.messages.state()}
        return json.dumps(state, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")

    def load(self, state: bytes) -> None:
        """Take back what `save` gave; `{}` is a new source.

        Raises:
            StateError: it is something else.
        """
        saved = read_state(state, self.type_name)
        if not saved:
            return
        try:
            self.messages.restore(saved)
            self.clock.restore(saved["clock"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StateError(f"saved state of a {self.type_name} source: {error!r}", hint=_HINT) from error
