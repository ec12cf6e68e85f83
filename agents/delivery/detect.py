"""detect: event batches to `aup.detections`, one stage for one partition of one event topic.

Two lanes. Rows of the lane `immediate` go out at once. Rows of the lane `attributed` wait until the facts are known
up to their time, and hold those behind them, so that each lane is in strict (offset, row) order.
"""

from __future__ import annotations

import logging
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from agents.delivery.batches import EventBatches
from agents.delivery.feed import Context
from agents.delivery.link import NOTHING, Link, RowMark
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.engine.detect import Detector, Matched
from agents.engine.progress import Told
from agents.rules.model import RuleSet
from schemas.codec import encode
from schemas.headers import NEVER, BatchHeaders
from schemas.ids import key_partition
from schemas.kinds import DETECTIONS, EventKind

log = logging.getLogger(__name__)
LANES = ("immediate", "attributed")
MAX_WAITING = 200_000  # rows that wait for facts; beyond it the input is not read on until they come
_Sent = dict[tuple[str, int], RowMark]


@dataclass(slots=True)
class _Entry:
    """A message whose rows are not all handed on yet."""

    offset: int
    headers: BatchHeaders | None
    matched: Matched | None
    needs: int  # facts must have passed this time
    sent: _Sent = field(default_factory=dict)


class DetectStage(Stage):
    """See `Stage`.

    Args:
        topic: Input topic.
        partition: Input partition.
        kind: Kind of its events.
        rules: Rules in force.
        detector: Applies their stateless parts; shared by all stages of the process.
        context: Registered sources and facts; shared too.
        partitions: Partitions of `aup.detections`.
    """

    def __init__(  # the parts of a stage, each given once at the composition root
        self,
        topic: str,
        partition: int,
        kind: EventKind,
        rules: RuleSet,
        detector: Detector,
        context: Context,
        *,
        partitions: int,
    ) -> None:
        self._topic, self._partition, self._kind = topic, partition, kind
        self._detector, self._context, self._partitions = detector, context, partitions
        self._rules = {rule.id: rule for rule in rules.rules}
        self._attributes = any(rule.attributed for rule, _ in rules.feeds(kind))
        self._live = EventBatches()
        self._durable = EventBatches()
        self._sent: _Sent = {}
        self._durable_sent: _Sent = {}
        self._queue: deque[_Entry] = deque()
        self._waiting = 0
        self._told: dict[str, list[Told]] = {lane: [] for lane in LANES}
        self._said: dict[tuple[str, int], list[Told]] = {}
        self._epoch = -1
        self._applied = -1

    @property
    def applied(self) -> int:
        """Highest offset all of whose rows are handed on, in both lanes."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Match a batch; hand on what waits for nothing, and what need not wait any more."""
        read = self._live.read(message, self._detector.columns(self._kind))
        entry = _Entry(message.offset, None, None, NEVER)
        outputs: list[Output] = []
        if read is not None:
            headers, frame = read
            self._context.wait_for_epoch(headers.epoch, lambda: False)
            self._epoch = max(self._epoch, headers.epoch)
            entry.headers = headers
            if frame is not None and not frame.is_empty():
                outputs += self._match(entry, frame)
            self._told["immediate"] = self._live.told()
        self._queue.append(entry)
        outputs += self._release()
        while self._waiting > MAX_WAITING:
            with self._context.changed:
                self._context.changed.wait(0.5)
            outputs += self._release()
        return outputs

    def _match(self, entry: _Entry, frame: pl.DataFrame) -> list[Output]:
        matched = self._detector.match(frame, self._kind)
        if self._attributes:
            waits = self._detector.waiting(matched)
            entry.matched = matched
            entry.needs = NEVER if waits.is_empty() else int(waits["t_us"].max())  # type: ignore[arg-type]
            self._waiting += matched.frame.height
        rows = self._detector.rows(matched, "immediate")
        told = self._live.told()
        return self._rows_out("immediate", [(entry.offset, rows)], told, entry.sent)

    def _release(self) -> list[Output]:
        """Hand on the rows of the lane `attributed` whose facts are there, in order."""
        ready: list[tuple[int, pl.DataFrame]] = []
        known = self._context.facts_progress() if self._queue else NEVER
        while self._queue and (self._queue[0].needs == NEVER or self._queue[0].needs < known):
            entry = self._queue.popleft()
            if entry.matched is not None:
                self._waiting -= entry.matched.frame.height
                with self._context.changed:
                    ready.append((entry.offset, self._detector.rows(entry.matched, "attributed", self._context.facts)))
            if entry.headers is not None:
                self._durable.accept(entry.headers)
            self._durable_sent.update(entry.sent)
            self._applied = entry.offset
        if not ready and self._told["attributed"] == self._durable.told():
            return []
        self._told["attributed"] = self._durable.told()
        return self._rows_out("attributed", ready, self._told["attributed"], self._durable_sent)

    def _rows_out(
        self, lane: str, parts: list[tuple[int, pl.DataFrame]], told: list[Told], sent: _Sent
    ) -> list[Output]:
        """Messages of some rows, one an output partition that has any; `sent` takes what was sent."""
        shares: dict[int, list[tuple[int, pl.DataFrame]]] = {}
        for offset, rows in parts:
            if rows.is_empty():
                continue
            keys = rows.select("rule_id", "group_key").iter_rows()
            kept = (self._rules[rule].kept_by(key) for rule, key in keys)
            place = pl.Series([key_partition(rule, key, self._partitions) for rule, key in kept], dtype=pl.Int32)
            for q in place.unique().to_list():
                shares.setdefault(q, []).append((offset, rows.filter(place == q)))
        outputs = []
        for q, share in sorted(shares.items()):
            value = encode("detection", pl.concat([rows for _, rows in share]))
            last = RowMark(share[-1][0], int(share[-1][1]["row"][-1]))
            runs = [(offset, rows.height) for offset, rows in share]
            outputs.append(self._message(lane, q, value, last, told, runs))
            self._sent[lane, q] = sent[lane, q] = last
        return outputs

    def _message(
        self, lane: str, q: int, value: bytes, last: RowMark, told: list[Told], runs: Sequence[tuple[int, int]]
    ) -> Output:
        link = Link(
            self._topic,
            self._partition,
            lane,
            follows=self._sent.get((lane, q), NOTHING),
            last=last,
            told=told,
            epoch=self._epoch,
            count=sum(rows for _, rows in runs),
            crc32=zlib.crc32(value),
            runs=runs,
        )
        self._said[lane, q] = told
        return Output(DETECTIONS, q, value, link.to_kafka())

    def tick(self, now_s: float) -> Sequence[Output]:
        """Rows whose facts have come, and progress to every partition that was not told yet."""
        del now_s
        outputs = self._release() if self._queue else []
        for lane, q in self._untold():
            outputs.append(self._message(lane, q, b"", self._sent.get((lane, q), NOTHING), self._told[lane], ()))
        return outputs

    def _untold(self) -> list[tuple[str, int]]:
        """Lanes and output partitions that do not know the newest progress yet."""
        places = [(lane, q) for lane in LANES for q in range(self._partitions)]
        return [(lane, q) for lane, q in places if self._told[lane] and self._said.get((lane, q)) != self._told[lane]]

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part, as of `applied`."""
        sent = [[lane, q, *mark] for (lane, q), mark in self._durable_sent.items()]
        batches = self._durable.save()
        return {META: pack(applied=self._applied, batches=batches, sent=sent, epoch=self._epoch)}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`; progress is told to every partition again."""
        if META not in parts:
            return
        plain = unpack(parts[META])
        self._applied, self._epoch = plain["applied"], plain["epoch"]
        self._live = EventBatches.load(plain["batches"])
        self._durable = EventBatches.load(plain["batches"])
        self._sent = {(lane, q): RowMark(o, r) for lane, q, o, r in plain["sent"]}
        self._durable_sent = dict(self._sent)
        self._told = {lane: self._durable.told() for lane in LANES}

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return {
            "waiting": self._waiting,
            "untold": len(self._untold()),
            "refused": self._live.refused,
            "repeats": self._live.repeats,
            "missing_key": self._detector.counters.missing_key,
        }
