"""Messages that take several lines of a log, for mail products other than Postfix: the joins, and what becomes of them.

A format (`join_lines.JoinNormaliser`) says of each line which message it is about and what it says; here are the open
joins, their limits, what is remembered of messages whose event is out, and what is saved.

A join is complete when its format says so. It is flushed, with `email_complete` false and the time that the log had
reached, where the log went on for `join_max_s` after its newest line, where there are too many (the oldest goes), where
it grew to `FULL_BYTES`, where its key began anew, or by `finish`. A line that comes after a message's event makes a
further event of it, with what is remembered of the envelope.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.ids import MAX_SUB
from streams.normalisers.lines import MAX_REPEATS
from streams.normalisers.mail.open_joins import FULL_BYTES, LINE_BYTES, RECIPIENT_BYTES, Joins
from streams.normalisers.mail.parts import MailEvents, outcome_of

MOST_JOINS: Final = MAX_SUB - MAX_REPEATS - 15  # one line may flush them all, each event with a sub-index of its own
FLUSHED_KEPT: Final = 10_000  # envelopes of messages that were flushed before they were complete
DONE_KEPT: Final = 512  # and of complete ones, for lines that come after all
RECENT_KEPT: Final = 4_096  # connections

_OF_ONE_EVENT = frozenset({"event_action", "event_outcome"})
_PLAIN = ("key", "first", "newest", "seq", "weight", "reason")


class Join:
    """What the lines of one message said so far. Mutable; owned by one `Messages`.

    Attributes:
        key: Under what it is open: mostly `host id`.
        first: Time of its first line, microseconds UTC.
        facts: Values of the event by column, without lists.
        notes: What the format wants to remember besides: JSON values, bounded by the format.
        reason: Words of the last failure; dropped where all is well in the end.
        recipients: Lists in the order of `parts.RECIPIENT_COLUMNS`, by address, in order of first appearance.
        attachments: Lists in the order of `parts.ATTACHMENT_COLUMNS`.
        offsets: Places of its lines.
        head: Host, program, process id of its newest line.
    """

    __slots__ = (*_PLAIN, "attachments", "counted", "facts", "head", "notes", "offsets", "recipients")

    def __init__(self, key: str, first: int) -> None:
        self.key = key
        self.first = self.newest = first
        self.seq = self.weight = self.counted = 0
        self.reason: str | None = None
        self.facts: dict[str, Any] = {}
        self.notes: dict[str, Any] = {}
        self.recipients: dict[str, list[Any]] = {}
        self.attachments: list[list[Any]] = []
        self.offsets: list[int] = []
        self.head: tuple[str | None, str | None, int | None] = (None, None, None)

    def learn(self, **facts: Any) -> None:
        """Take facts that are no nulls; what is known already stays."""
        for name, value in facts.items():
            if value is not None and self.facts.get(name) is None:
                self.facts[name] = value

    def deliver(
        self, to: str, status: str, dsn: str = "", relay: str = "", original: str = "", *, to_filter: bool = False,
        tried: int = 1,
    ) -> None:  # fmt: skip
        """What became of a recipient; its state is that of the last. `tried` 0: no delivery was tried, but refused."""
        known = self.recipients.get(to)
        if known is None:
            self.recipients[to] = [original, status, dsn, relay, to_filter, tried]
            self.weight += len(to) + len(original) + len(status) + len(dsn) + len(relay) + RECIPIENT_BYTES
        else:
            self.weight += len(relay) - len(known[3]) + len(original) - len(known[0])
            known[:] = [original or known[0], status, dsn, relay or known[3], to_filter, known[5] + tried]

    def mention(self, to: str, original: str = "") -> None:
        """A recipient that the server took; what becomes of it is to come."""
        if to not in self.recipients:
            self.deliver(to, "accepted", original=original, tried=0)

    def attach(self, name: str, kind: str = "", digest: str = "", size: int = -1) -> None:
        """An attachment."""
        self.attachments.append([name, kind, digest, size])
        self.weight += len(name) + len(kind) + len(digest) + RECIPIENT_BYTES

    def dump(self) -> list[Any]:
        """JSON-able form, for `read`."""
        plain = [getattr(self, name) for name in _PLAIN]
        return [*plain, self.facts, self.notes, self.recipients, self.attachments, self.offsets, list(self.head)]

    @staticmethod
    def read(saved: list[Any]) -> Join:
        """Take back what `dump` gave; raises TypeError or ValueError where it is something else."""
        *plain, facts, notes, recipients, attachments, offsets, head = saved
        join = Join("", 0)
        for name, value in zip(_PLAIN, plain, strict=True):
            setattr(join, name, value)
        join.counted = join.weight
        join.facts, join.notes, join.offsets = dict(facts), dict(notes), list(offsets)
        join.recipients = {to: list(known) for to, known in recipients.items()}
        join.attachments = [list(attachment) for attachment in attachments]
        host, program, pid = head
        join.head = (host, program, pid)
        return join


class Place:
    """Where the line that is being read stands, and what its header says. One object, set anew for each line."""

    __slots__ = ("before", "head", "index", "now", "offset", "sub")

    def __init__(self) -> None:
        self.index = self.sub = self.offset = 0
        self.now = self.before = 0  # time of the line, and of the one before it
        self.head: tuple[str | None, str | None, int | None] = (None, None, None)


class Remembered:
    """Facts by key, the newest `limit` of them: envelopes of messages, or of connections that messages come through."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def keep(self, key: str, facts: Any) -> None:
        """Remember JSON values, as the newest."""
        self._kept.pop(key, None)
        self._kept[key] = facts
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)

    def get(self, key: str) -> Any:
        """What is remembered; None where nothing is."""
        return self._kept.get(key)

    def forget(self, key: str) -> None:
        """The key is in use again, or over."""
        if self._kept:
            self._kept.pop(key, None)

    def state(self) -> list[list[Any]]:
        """JSON-able, for `restore`."""
        return [[key, facts] for key, facts in self._kept.items()]

    def restore(self, saved: Any) -> None:
        """Take back what `state` gave; raises TypeError or ValueError where it is something else."""
        self._kept = OrderedDict((key, facts) for key, facts in saved)


class Messages:
    """The open joins of one source and what becomes of them.

    Args:
        limit: Open joins kept at most.
        wait: Microseconds of the log's own time after its newest line at which a join is flushed.
        closing: Called with each join whose event is made, for what its format still has to say: it may set
            `event_action` and `event_outcome`, which are else `message` and that of the recipients.
        kept: Names of the notes that a further event of the same message starts with, beside all facts.
    """

    def __init__(self, limit: int, wait: int, closing: Callable[[Join], None], kept: tuple[str, ...] = ()) -> None:
        self.joins: Joins[Join] = Joins(max(1, min(limit, MOST_JOINS)), wait)
        self.flushed, self.done = Remembered(FLUSHED_KEPT), Remembered(DONE_KEPT)
        self.recent = Remembered(RECENT_KEPT)
        self.at = Place()
        self.events = MailEvents()
        self.seq = 0
        self._closing, self._kept_notes = closing, kept

    def get(self, key: str) -> Join | None:
        """The open join of a key."""
        return self.joins.open.get(key)

    def of(self, key: str) -> Join:
        """The open join of a key, or one opened now, with what is remembered of a message of this key."""
        return self.joins.open.get(key) or self._open(key, self.known(key))

    def known(self, key: str) -> Any:
        """Facts and notes of the last message of a key whose event is out, where they are remembered; else None."""
        return self.flushed.get(key) or self.done.get(key)

    def begin(self, key: str) -> Join:
        """A message's first line: what is open under its key is another one, and is flushed."""
        join = self.joins.open.get(key)
        if join is not None:
            self.flush(join)
        return self._open(key, None)

    def _open(self, key: str, seed: Any) -> Join:
        self.flushed.forget(key)
        self.done.forget(key)
        while len(self.joins.open) >= self.joins.limit and (oldest := self.joins.pop_oldest()) is not None:
            self._emit_flushed(oldest)
        join = Join(key, self.at.now)
        if seed is not None:
            facts, notes = seed
            join.facts, join.notes = dict(facts), dict(notes)
        join.seq = self.seq
        self.joins.add(join)
        return join

    def touch(self, join: Join) -> None:
        """The line being read is of this join, and does not complete it. May flush it, or others."""
        self._note(join)
        self.joins.count(join)
        if join.weight > FULL_BYTES:
            self.flush(join)
        while self.joins.too_much and (oldest := self.joins.pop_oldest()) is not None:
            self._emit_flushed(oldest)

    def complete(self, join: Join) -> None:
        """The line being read is of this join and its last: its event comes out."""
        self._note(join)
        self.joins.close(join)
        self._emit(join, self.at.now, complete=True)

    def _note(self, join: Join) -> None:
        at = self.at
        if at.now > join.newest:  # noqa: PLR1730 - a third of the time of max(), for every line
            join.newest = at.now
        join.seq, join.head = self.seq, at.head
        join.offsets.append(at.offset)
        join.weight += LINE_BYTES

    def flush(self, join: Join) -> None:
        """The event of an open join now, though more may come of its message."""
        self.joins.close(join)
        self._emit_flushed(join)

    def flush_due(self, now: int) -> None:
        """Flush what a line of this time makes due."""
        for join in self.joins.due(now):
            self._emit_flushed(join)

    def flush_all(self) -> None:
        """Flush every open join, oldest newest line first, at the time of the last line."""
        self.at.before = self.at.now
        while (join := self.joins.pop_oldest()) is not None:
            self._emit_flushed(join)

    def _emit_flushed(self, join: Join) -> None:
        if not join.offsets:
            return  # opened for the line being read, which turned out to be of another message
        # As far as the log had come: by its newest line's own time it would be late, and counted nowhere.
        self._emit(join, max(self.at.before, join.newest), complete=False)

    def _emit(self, join: Join, timestamp: int, *, complete: bool) -> None:
        at = self.at
        self._closing(join)
        fact = dict(join.facts)
        fact.setdefault("event_action", "message")
        if fact.get("event_outcome") is None:
            fact["event_outcome"] = outcome_of([known[1] for known in join.recipients.values()])
        if join.reason is not None and fact["event_outcome"] != "success":
            fact["event_reason"] = join.reason
        fact["timestamp"], fact["timestamp_first"], fact["email_complete"] = timestamp, join.first, complete
        fact["observer_hostname"], fact["process_name"], fact["process_pid"] = join.head
        self.events.add(fact, (at.index, at.sub), join.recipients, join.offsets, join.attachments)
        at.sub += 1
        notes = {name: join.notes[name] for name in self._kept_notes if name in join.notes}
        facts = join.facts
        if not _OF_ONE_EVENT.isdisjoint(facts):
            facts = {name: value for name, value in facts.items() if name not in _OF_ONE_EVENT}
        (self.done if complete else self.flushed).keep(join.key, [facts, notes])

    def add(self, fact: dict[str, Any], recipients: Mapping[str, Any], attachments: Sequence[Any] = ()) -> None:
        """An event that is the line being read alone; its header's columns are added where it has none."""
        at = self.at
        fact.setdefault("timestamp", at.now)
        for name, value in zip(("observer_hostname", "process_name", "process_pid"), at.head, strict=True):
            fact.setdefault(name, value)
        fact.setdefault("email_complete", True)
        self.events.add(fact, (at.index, at.sub), recipients, (), attachments)
        at.sub += 1

    def state(self) -> dict[str, Any]:
        """JSON-able; read back by `restore`."""
        return {
            "seq": self.seq,
            "now": self.at.now,
            "open": [join.dump() for join in self.joins.open.values()],
            "flushed": self.flushed.state(),
            "done": self.done.state(),
            "recent": self.recent.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; raises KeyError, TypeError or ValueError where it is something else."""
        self.seq, self.at.now = int(state["seq"]), int(state["now"])
        self.flushed.restore(state["flushed"])
        self.done.restore(state["done"])
        self.recent.restore(state["recent"])
        self.joins.restore(Join.read(saved) for saved in state["open"])
