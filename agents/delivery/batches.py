"""Reading an event topic's messages: headers, marks, rows and what they tell of their source's progress."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from agents.delivery.reader import Reader, all_seen, only_new
from agents.delivery.stage import Message
from agents.engine.progress import PROGRESS, Told
from schemas.codec import check_batch, decode_batch
from schemas.errors import CorruptBatchError, MissingRowsError
from schemas.headers import NEVER, BatchHeaders
from schemas.kinds import DEAD_LETTERS, EventKind

_SCHEMAS = {DEAD_LETTERS: "dead_letter", **{kind.topic: kind.value for kind in EventKind}}
log = logging.getLogger(__name__)


class Heard(NamedTuple):
    """What a message did to the state of reading, so that another state can come to the same.

    Attributes:
        headers: Of a batch or marker that was taken, or is lost; None for a message that was refused whole.
        unreadable: True where it does not say whose it is.
        lost: How often messages were lost up to here.
    """

    headers: BatchHeaders | None = None
    unreadable: bool = False
    lost: int = 0


NOTHING_HEARD = Heard()


class News(NamedTuple):
    """What those further on have to hear of a partition: how far its sources are, and how often rows were lost."""

    told: tuple[Told, ...]
    lost: int


NO_NEWS = News((), 0)


class EventBatches:
    """State of reading one partition of an event or dead-letter topic."""

    def __init__(self) -> None:
        self.reader = Reader()
        self._progress: dict[tuple[str, str], Told] = {}
        self.refused = 0  # missing and damaged ones
        self.corrupt = 0
        self.repeats = 0
        self.heard = NOTHING_HEARD  # of the message looked at last
        self.damage: CorruptBatchError | None = None  # why the message looked at last is refused for ever

    def headers(self, message: Message) -> BatchHeaders | None:
        """Headers of a message, or None where it is refused: counted, logged, passed over whole."""
        self.damage, self.heard = None, Heard(lost=self.reader.lost)
        try:
            headers = BatchHeaders.from_kafka(message.headers, where=message.where)
            wanted = _SCHEMAS[message.topic]
            if headers.schema != wanted:
                raise CorruptBatchError(f"its header names {headers.schema[:40]!r}, not {wanted}", where=message.where)  # noqa: TRY301
            self.reader.check(headers, message.where)
        except (CorruptBatchError, MissingRowsError) as error:
            if isinstance(error, CorruptBatchError):
                self.reader.unreadable()
                self.heard = self.heard._replace(unreadable=True)
            self.refuse(message, error)
            return None
        return headers

    def lose(self, message: Message, headers: BatchHeaders, error: CorruptBatchError) -> None:
        """Pass over a batch whose rows cannot be read, though its headers can: nobody will send them again.

        What follows it is taken, and whoever judges is told that rows are lost.
        """
        self.refuse(message, error)
        self.reader.lost += 1
        self.accept(headers)

    def repeat(self, heard: Heard) -> None:
        """Come to the state that another one has come to with a message."""
        if heard.unreadable:
            self.reader.unreadable()
        if heard.headers is not None:
            self.accept(heard.headers)
        self.reader.lost = max(self.reader.lost, heard.lost)

    def refuse(self, message: Message, error: CorruptBatchError | MissingRowsError) -> None:
        """Count a message that is passed over whole; rows that are missing come again, so that is no damage."""
        self.refused += 1
        self.corrupt += isinstance(error, CorruptBatchError)
        self.damage = error if isinstance(error, CorruptBatchError) else None
        log.warning("refused: %s", error, extra=message.fields)

    def read(
        self, message: Message, columns: Sequence[str] | None = None
    ) -> tuple[BatchHeaders, pl.DataFrame | None] | None:
        """A message's headers and new rows (None: it has none, or they are lost); None for one that is refused whole.

        Args:
            message: From an event or dead-letter topic.
            columns: Columns wanted, log_offset and log_sub among them; None: all; none at all: the batch is checked
                and its rows are not decoded.
        """
        headers = self.headers(message)
        if headers is None:
            return None
        frame = None
        mark = self.reader.mark(headers)
        if headers.kind == "batch" and not all_seen(headers, mark):
            try:
                if columns == ():
                    check_batch(headers, message.value, message.where)
                else:
                    frame = decode_batch(headers, message.value, message.where, columns=columns)
            except CorruptBatchError as error:
                self.lose(message, headers, error)
                return headers, None
            if frame is not None:
                new = only_new(frame, mark)
                self.repeats += frame.height - new.height
                frame = new
        elif headers.kind == "batch":
            self.repeats += headers.count
        self.accept(headers)
        return headers, frame

    def accept(self, headers: BatchHeaders) -> None:
        """Remember the mark and the progress that a message tells."""
        self.reader.advance(headers)
        self.heard = Heard(headers, lost=self.reader.lost)
        if headers.timeline:
            return  # nobody waits for it
        key = (headers.source, headers.timeline)
        before = self._progress.get(key)
        progress = headers.progress if before is None else max(before.progress, headers.progress)
        starts = [e for e in (headers.earliest, before.earliest if before else None) if e is not None]
        ends = [n for n in (headers.newest, before.newest if before else None) if n is not None]
        told = Told(headers.source, headers.timeline, progress, min(starts, default=None), max(ends, default=None))
        self._progress[key] = told

    def figures(self) -> dict[str, float]:
        """Figures for metrics: what was refused and what was there before, and how far each live source is."""
        told = (t for t in self.told() if t.progress > NEVER)
        progress = {f"{PROGRESS}{t.source}": t.progress / 1e6 for t in told}
        missing = self.refused - self.corrupt
        counts = {"refused": self.refused, "missing": missing, "corrupt": self.corrupt, "repeats": self.repeats}
        counts["lost"] = self.reader.lost
        return {**counts, **progress}

    def told(self) -> list[Told]:
        """How far every source is that this partition has told of, by name."""
        return [self._progress[k] for k in sorted(self._progress)]

    def news(self) -> News:
        """What is told of this partition further on."""
        return News(tuple(self.told()), self.reader.lost)

    def save(self) -> Mapping[str, Any]:
        """Plain values for a snapshot."""
        told = self.told()
        return {
            "marks": self.reader.save(),
            "strict": self.reader.cut.save(),
            "doubted": self.reader.doubted.save(),
            "lost": self.reader.lost,
            "told": [[t.source, t.timeline, t.progress, t.earliest] for t in told],
            "newest": [t.newest for t in told],  # apart: the release before reads four values of each
        }

    @staticmethod
    def load(state: Mapping[str, Any]) -> EventBatches:
        """Take back what `save` gave."""
        made = EventBatches()
        made.reader = Reader.load(state["marks"])
        made.reader.cut.load(state.get("strict"))  # the release before has none
        made.reader.doubted.load(state.get("doubted"))  # likewise
        made.reader.lost = state.get("lost", 0)
        newest = state.get("newest") or [None] * len(state["told"])
        for (source, timeline, progress, earliest), end in zip(state["told"], newest, strict=True):
            made._progress[source, timeline] = Told(source, timeline, progress, earliest, end)
        return made
