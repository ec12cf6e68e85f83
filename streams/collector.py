"""One source's collector: source, normaliser, stamps, batches, ledger, saved position and markers, wired together.

Driven step by step with the time passed in, so that a test needs no thread and no sleep. What holds at every moment:

- Rows are submitted in position order, the ledger's record of a chunk after the rows of its lines are acknowledged.
- The saved position is never ahead of what is acknowledged. Going on from it makes the same rows with the same ids,
  stamps and partitions; those that had been sent already are repeats, which readers know by their marks.
- Nothing is read while the sink has no room: an outage of Kafka costs waiting, not memory and not lines.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from schemas.errors import InputError, StateError
from schemas.metrics import Metrics
from streams.abstract import BatchSink
from streams.config import CollectorSettings, SourceConfig
from streams.counting import Counting
from streams.intake import Intake, Made
from streams.ledger import Ledger
from streams.normalisers import registry
from streams.normalisers.abstract import Normaliser, NormaliserSettings
from streams.outbox import SECOND, Outbox
from streams.positions import Forgetful, Positions, check_same
from streams.sources.abstract import Source, SourceChunk
from streams.stamps import StampState, cover, least_lag

log = logging.getLogger(__name__)

__all__ = ["Collector", "CollectorSettings", "MakeNormaliser"]

IDLE_US = SECOND  # a log without new lines for so long is idle
CATCH_UP = 9  # so many times faster a quiet log covers time in which nobody read: senders may have kept lines of it
COVER_STEP_US = 5 * SECOND  # an idle log's covered time moves in such steps, each saved before it is told

MakeNormaliser = Callable[[NormaliserSettings], Normaliser]


@dataclass(slots=True)
class _Pending:
    """A state to be saved once everything up to a ticket is acknowledged."""

    ticket: int
    state: dict[str, Any]
    provisional: list[dict[str, Any]] = field(default_factory=list)
    last: bool = False


class Collector:
    """See the module.

    Args:
        config: The source.
        source: Where its lines come from.
        sink: Where its messages go; may be shared with other collectors of the same thread.
        positions: Where its place is kept.
        settings: See there.
        make: Makes its normaliser; None: by the type's name.
        metrics: Counted into.
        careful: See `Intake`.

    Raises:
        StateError: the saved position cannot be used.
    """

    def __init__(  # noqa: PLR0913 - its parts, each given once
        self,
        config: SourceConfig,
        source: Source,
        sink: BatchSink,
        settings: CollectorSettings,
        *,
        positions: Positions | None = None,
        make: MakeNormaliser | None = None,
        metrics: Metrics | None = None,
        careful: int = 0,
    ) -> None:
        self.config = config
        self.problem: InputError | StateError | None = None
        self._source, self._sink, self._settings = source, sink, settings
        self._positions: Positions = positions or Forgetful()
        state = self._positions.load()
        self._first_seen = date.fromisoformat(state["first_seen"]) if state else settings.today
        normaliser = (make or partial(registry.make, config.type))(config.normaliser_settings(self._first_seen))
        self._kind = normaliser.kind
        self._counting = Counting(config, self._kind, metrics or Metrics())
        self._ledger = Ledger(config.name, config.type, config.timeline)
        self._intake = Intake(config, normaliser, self._ledger, careful)
        self._out = Outbox(config, self._kind, sink, settings, state)
        self._pending: _Pending | None = None
        self._saved: Mapping[str, Any] = {}
        self._saved_us: int | None = None
        self._bytes = 0  # of content since the last save
        self._dirty = True  # something has changed since the last save
        self._untold = True  # or since the last provisional records of the ledger
        self._rehash_until: int | None = None
        self.finished = self._stopping = False
        self.stepped_us: int | None = None  # wall clock at the last step: whether anybody reads
        self.done = False  # the content has ended, or `stop` was asked for, and everything is safe
        self._quiet_us: int | None = None
        self._anchor: tuple[int | None, int] | None = None  # maximum and wall clock at the last line
        self._lag_us: int | None = None  # from a line's time to when it was read, at the least so far
        if state:
            self._resume(state)
        self._save(self._out.resumed(state) if state else self._state(clean=False))

    @property
    def open_lines(self) -> int:
        """Lines read of which it is not decided what becomes of them."""
        return self._ledger.open_lines

    @property
    def newest(self) -> int | None:
        """Event time that it has come to, microseconds since 1970 UTC; None before its first row."""
        return self._intake.stamps.maximum

    @property
    def offset(self) -> int:
        """Place behind the last line read, in its generation."""
        return self._intake.offset

    @property
    def lines(self) -> int:
        """Lines read so far, in all runs."""
        return self._intake.lines

    @property
    def told(self) -> InputError | StateError | None:
        """What people are to read: why it is not read, else what of it was damaged or lost."""
        return self.problem or self._source.damage or self._source.notice

    def stop(self) -> None:
        """Ask for a clean stop: nothing more is read, and `done` turns true once all is safe."""
        self._stopping = True

    def close(self) -> None:
        """Let go of the files. Without `stop` before, what was not saved is read again by the next run."""
        self._source.close()

    def step(self, now_us: int) -> bool:
        """Do the next piece of work; never waits for a server.

        Args:
            now_us: Wall clock, microseconds UTC.

        Returns:
            False where there was nothing to do.

        Raises:
            InputError: the log is missing or cannot be read, and is to be read once.
            StateError: the log is not the one that was read before, or the normaliser is at fault.
            ServerError: Kafka will never accept a message.
        """
        if self.done:
            return False
        self.stepped_us = now_us
        self._sink.poll(now_us)
        did = self._settle()
        return self._work(now_us) or did

    def _work(self, now_us: int) -> bool:
        did = False
        if self.done:
            return True
        if self._pending is None:
            if self.finished or self._stopping:
                self._end()
            elif self._sink.has_room:
                did = self._read(now_us)
        self._out.linger(now_us)
        if self._sink.has_room and not self.finished and not self._stopping:
            self._out.tell(now_us, idle=self._is_idle(now_us))
        self._out.hand_on()
        return did

    # reading

    def _read(self, now_us: int) -> bool:
        chunk = self._source.read(self._settings.read_lines, now_us)
        self.problem = self._source.problem or self._counting.problem
        self._counting.read(0 if chunk is None else len(chunk.lines), self._source.unread_bytes)
        if chunk is None and self._source.ended:
            self._finish(now_us)
            return True
        if chunk is None:
            return self._source.busy or self._quiet(now_us)
        self._quiet_us = None
        if self._rehash_until is not None:
            chunk = self._reread(chunk, self._rehash_until)
        if chunk is not None:
            self._dirty = self._untold = True
            before = self._intake.offset if chunk.generation == self._intake.generation else 0
            self._bytes += chunk.end_offset - before
            self._emit(self._intake.take(chunk), now_us)
            self._anchor = (self._intake.stamps.maximum, now_us)
            self._lag_us = least_lag(self._lag_us, *self._anchor)
            self._maybe_capture(now_us)
        return True

    def _reread(self, chunk: SourceChunk, until: int) -> SourceChunk | None:
        """After a restart: lines that only the ledger's hash needs again; gives the rest of the chunk."""
        if chunk.generation != self._intake.generation:
            self._rehash_until = None
            return chunk
        count = int((chunk.offsets < until).sum())
        if count:
            self._ledger.rehash(chunk.lines[:count])
        if count == len(chunk.lines) and chunk.end_offset < until:
            return None
        try:
            self._ledger.rehashed(where=f"{self.config.name}: {chunk.generation}")
        except StateError as error:
            if not self._source.leave(error):
                raise
            count = len(chunk.lines)
        self._rehash_until = None
        return chunk.part(count, len(chunk.lines)) if count < len(chunk.lines) else None

    def _emit(self, made: Made, now_us: int) -> None:
        self._out.emit(made, now_us)
        self._counting.made(made)
        self._out.closed(self._ledger.take_closed())

    def _finish(self, now_us: int) -> None:
        """The content has ended."""
        if self._rehash_until is not None:
            raise StateError(
                f"the log ends before offset {self._rehash_until}, where reading stopped",
                where=self.config.name,
                hint="it was cut, or another log begins with the same line: name it as a source of its own, or remove "
                "the saved position to read it from its start",
            )
        self._emit(self._intake.finish(), now_us)
        self._close_held(now_us)
        self._ledger.generation_ended()
        self._emit(Made(), now_us)
        self.finished = True

    def _close_held(self, now_us: int) -> None:
        """Decide rows that wait for later lines; the outcome is kept before they are sent, since the clock made it."""
        if not self._intake.held:
            return
        made = self._intake.close(now_us)
        self._save({**self._saved, "decisions": self._decisions()})
        self._emit(made, now_us)

    def _decisions(self) -> list[list[Any]]:
        return [[*mark, confirmed] for mark, confirmed in self._intake.decisions.items()]

    # quiet

    def _quiet(self, now_us: int) -> bool:
        """No new line."""
        if self._quiet_us is None or now_us < self._quiet_us:
            self._quiet_us = now_us
        if not self._is_idle(now_us) or self._rehash_until is not None:
            return False
        self._close_held(now_us)
        self._out.flush()
        did = self._dirty or self._untold
        if did:
            self._capture()
        elif self._out.safe:
            self._cover(now_us)
        return did

    def _is_idle(self, now_us: int) -> bool:
        return self._quiet_us is not None and now_us - self._quiet_us >= IDLE_US and self._source.at_end

    def _cover(self, now_us: int) -> None:
        """The log has been quiet for long: the time since its newest line is covered. Saved before it is told."""
        wait = self.config.idle_covers_s
        if self._anchor is None or now_us < self._anchor[1]:
            self._anchor = (self._intake.stamps.maximum, now_us)
        maximum, since = self._anchor
        quiet = (now_us - since) // COVER_STEP_US * COVER_STEP_US
        if wait is None or quiet < wait * SECOND:
            return
        stamps = self._intake.stamps
        # A log without any event has no time of its own: the wall clock at the start of the silence stands for it.
        covered = StampState(since, None) if maximum is None else stamps
        # What was read later than ever, since nobody read, or Kafka was away, is caught up with bit by bit.
        held_up = 0 if maximum is None or self._lag_us is None else max(0, since - maximum - self._lag_us)
        caught_up = min(held_up, CATCH_UP * quiet)
        covered = cover(covered, (since if maximum is None else maximum) + quiet + caught_up)
        if covered != stamps:
            self._intake.stamps = covered
            self._out.events.state.maximum = covered.maximum
            self._save(self._state(clean=False))

    # ending

    def _end(self) -> None:
        """Everything read is made safe; then `done`."""
        if not self.finished and (self._intake.held or self._rehash_until is not None):
            self._out.flush()  # rows that wait for later lines are read again by the next run
            self._pending = _Pending(self._out.ticket, dict(self._saved), last=True)
            return
        self._out.flush()
        if self.finished:
            self._out.tell_end()
        self._out.hand_on()
        self._capture(clean=True, last=True)

    # saving

    def _maybe_capture(self, now_us: int) -> None:
        if self._saved_us is None or now_us < self._saved_us:
            self._saved_us = now_us
        due = now_us - self._saved_us >= self._settings.save_every_us or self._bytes >= self._settings.save_every_bytes
        if due and not self._intake.held:
            self._saved_us = now_us
            self._out.flush()
            self._capture(provisional=False)

    def _capture(self, *, clean: bool = False, last: bool = False, provisional: bool = True) -> None:
        """Take the state as it is now, to be saved once all that was submitted is acknowledged."""
        records = self._ledger.provisional() if provisional else []
        self._untold = self._untold and not provisional
        self._intake.decisions.clear()  # rows in front of this position are never stamped again
        self._pending = _Pending(self._out.ticket, self._state(clean=clean), records, last)
        self._dirty, self._bytes = False, 0

    def _state(self, *, clean: bool) -> dict[str, Any]:
        return {
            "source": self.config.name,
            "type": self.config.type,
            "timeline": self.config.timeline,
            "epoch": self._settings.epoch,
            "first_seen": self._first_seen.isoformat(),
            "intake": self._intake.save(),
            "decisions": self._decisions(),
            "sent": self._out.save(),
            "ledger": self._ledger.save(),
            "source_state": self._source.save(),
            "finished": self.finished,
            "lag": self._lag_us,
            "clean": clean,
        }

    def _save(self, state: Mapping[str, Any]) -> None:
        self._positions.save(state)
        self._saved = state
        if state["intake"]["generation"]:
            self._source.saved(state["intake"]["generation"], state["intake"]["offset"])

    def _settle(self) -> bool:
        """What acknowledgements allow: ledger records, and saving the position."""
        did = self._out.release()
        pending = self._pending
        if pending is None or self._sink.acknowledged < pending.ticket or (pending.last and self._out.owes):
            return did
        if pending.last and pending.provisional:
            for record in pending.provisional:
                self._out.record(record)
            pending.provisional = []
            return True
        try:
            self._save(
                {**pending.state, "sent": {**pending.state["sent"], "records": []}} if pending.last else pending.state
            )
        except StateError as error:
            self.problem = error
            return did
        self.problem = None if isinstance(self.problem, StateError) else self.problem
        self._pending, self.done = None, pending.last
        for record in pending.provisional:
            self._out.record(record)
        return True

    # resuming

    def _resume(self, state: Mapping[str, Any]) -> None:
        check_same(state, self.config)
        self._out.check(state["sent"], clean=bool(state["clean"]))
        self._intake.load(state["intake"], state["decisions"])
        self._ledger.load(state["ledger"])
        self._source.load(state["source_state"])
        self.finished = bool(state["finished"])
        self._lag_us = state.get("lag")  # the first releases did not say it
        if not self.finished and self._intake.generation:
            start = self._ledger.rehash_from
            found = self._source.seek(self._intake.generation, self._intake.offset if start is None else start)
            self._rehash_until = self._intake.offset if found and start is not None else None
            if not found:
                what = "source %s: the content in which reading stopped is gone; what was behind %s:%d is not read"
                name = self.config.name
                log.warning(what, name, self._intake.generation, self._intake.offset, extra={"source": name})
