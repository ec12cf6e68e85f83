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

from agents.delivery import joining
from agents.delivery.batches import NO_NEWS, NOTHING_HEARD, EventBatches, Heard, News
from agents.delivery.detectors import DetectionRows, Detectors, Judged, in_order
from agents.delivery.feed import Context
from agents.delivery.letters import Flood
from agents.delivery.link import NOTHING, Link, RowMark
from agents.delivery.pieces import pieces
from agents.delivery.rulebook import Period
from agents.delivery.snapshots import META, pack, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.sinks import patience
from schemas import metrics
from schemas.codec import decode_batch, encode
from schemas.headers import FOREVER, NEVER, BatchHeaders
from schemas.ids import key_partition
from schemas.kinds import DETECTIONS, EventKind
from schemas.metrics import Metrics

log = logging.getLogger(__name__)
LANES = ("immediate", "attributed")
MAX_MESSAGE_ROWS = 20_000  # of one message; a flood that 142 rules match makes 710,000 of 5,000 events
ASK_S = 1.0  # between two looks at how far back facts may be asked for
MAX_WAITING = 200_000  # rows that wait for facts; beyond it the input is not read on until they come
_Sent = dict[tuple[str, int], RowMark]


@dataclass(slots=True)
class _Entry:
    """A message whose rows are not all handed on yet."""

    offset: int
    heard: Heard = NOTHING_HEARD
    row: int = 0  # of refused messages up to this one
    frame: pl.DataFrame | None = None  # rows, until they are judged
    waits: bool = True  # not judged yet
    needs: int = NEVER  # facts must have passed this time
    oldest: int | None = None  # time of its oldest row
    judged: list[Judged] = field(default_factory=list)
    sent: _Sent = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many may be handed on."""
        return sum(j.matched.frame.height for j in self.judged)


@dataclass(frozen=True, slots=True)
class _Part:
    """Detection rows of one input message, and what takes where they end."""

    offset: int
    made: list[DetectionRows]
    sent: _Sent


class DetectStage(Stage):
    """See `Stage`.

    Args:
        topic: Input topic.
        partition: Input partition.
        kind: Kind of its events.
        detectors: Apply the stateless parts of the rules in force; shared by all stages of the process.
        context: Registered sources and facts; shared too.
        partitions: Partitions of `aup.detections`.
        counted: Metrics to count into.
        flood: Ends the agent where too many messages are refused.
    """

    def __init__(  # noqa: PLR0913 - the parts of a stage, each given once at the composition root
        self,
        topic: str,
        partition: int,
        kind: EventKind,
        detectors: Detectors,
        context: Context,
        *,
        partitions: int,
        counted: Metrics | None = None,
        flood: Flood | None = None,
    ) -> None:
        self._metrics, self._flood = counted or Metrics(), Flood() if flood is None else flood
        self._topic, self._partition, self._kind = topic, partition, kind
        self._detectors, self._context, self._partitions = detectors, context, partitions
        self._periods: tuple[Period, ...] = ()
        self._newest = NEVER  # event time of the newest row looked at
        self._behind = 0
        self._live = EventBatches()
        self._durable = EventBatches()
        self._sent: _Sent = {}
        self._durable_sent: _Sent = {}
        self._queue: deque[_Entry] = deque()
        self._waiting = self._joined = 0
        self._density = 0.0  # detection rows an event, of the rows judged last
        self._told: dict[str, News] = dict.fromkeys(LANES, NO_NEWS)
        self._said: dict[tuple[str, int], News] = {}
        self._epoch = self._applied = -1
        self._row = 0  # of refused messages, as of `applied`
        self._asked: int | None = None  # time of the oldest row that facts may be asked for
        self._asked_s = 0.0

    @property
    def applied(self) -> int:
        """Highest offset all of whose rows are handed on, in both lanes."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Match a batch; hand on what waits for nothing, and what need not wait any more."""
        read = self._live.read(message, self._detectors.columns(self._kind))
        self._flood.heard(message, self._live.damage)
        entry = _Entry(message.offset, self._live.heard, self._flood.row)
        if read is not None:
            headers, frame = read
            self._context.wait_for_epoch(headers.epoch, lambda: False)
            self._epoch = max(self._epoch, self._context.epoch())
            if frame is not None and not frame.is_empty():
                whole = self._whole(message, headers, frame)
                # What is read in a timeline of its own comes after its time was judged: no window may take it.
                entry.frame = whole.with_columns(late=pl.lit(True)) if headers.timeline else whole
                self._joined += frame.height
                entry.oldest = self._facts_for(frame["timestamp"].dt.timestamp("us"))
        self._queue.append(entry)
        if message.more and self._joined < joining.MAX_ROWS and self._density < joining.DENSE:
            return []
        outputs = self._judge()
        if self._waiting > MAX_WAITING:
            with patience.waiting():
                outputs += self._wait()
        return outputs

    def _wait(self) -> list[Output]:
        """Read no further until facts come."""
        outputs: list[Output] = []
        while self._waiting > MAX_WAITING:
            self._context.must_go_on()
            with self._context.changed:
                self._context.changed.wait(0.5)
            outputs += self._release()
        return outputs

    def _facts_for(self, times: pl.Series) -> int:
        """See that facts of these times are there and stay; the oldest of them."""
        oldest = int(times.min())  # type: ignore[arg-type]
        if self._asked is None or oldest < self._asked:
            self._ask(oldest)
        self._context.wait_for_facts_of(times)
        return oldest

    def _judge(self) -> list[Output]:
        """Match what was kept, and hand on what waits for nothing, or need not wait any more."""
        entries = [entry for entry in self._queue if entry.waits]
        there = [entry for entry in entries if entry.frame is not None]
        self._joined = 0
        self._told["immediate"] = self._live.news()
        outputs: list[Output] = []
        for numbers in joining.alike([entry.frame for entry in there if entry.frame is not None]):
            outputs += self._match([there[i] for i in numbers], last=numbers[-1] == len(there) - 1)
        for entry in entries:
            entry.waits, entry.frame = False, None
        return outputs + self._release()

    def _whole(self, message: Message, headers: BatchHeaders, frame: pl.DataFrame) -> pl.DataFrame:
        """New rows of a batch with all columns needed: of rows of another time other rules may ask for more."""
        self._note_rules(frame)
        if self._detectors.ready_for(frame):
            return frame
        whole = decode_batch(headers, message.value, message.where)
        return whole.join(frame.select("log_offset", "log_sub"), on=("log_offset", "log_sub"), how="semi")

    def _note_rules(self, frame: pl.DataFrame) -> None:
        """Count rules that were heard of when rows of their time had been judged by the rules before."""
        periods = self._detectors.periods()
        for period in periods[len(self._periods) :] if self._periods else ():
            if period.start <= self._newest:
                self._behind += 1
                log.warning(
                    "rules %s are in force from %s on and are heard of at %s: rows between were judged by those before",
                    period.version, period.start, self._newest,
                )  # fmt: skip
        self._periods = periods
        newest = frame.filter(~pl.col("time_suspect"))["timestamp"].dt.timestamp("us").max()
        self._newest = max(self._newest, NEVER if newest is None else int(newest))  # type: ignore[arg-type]

    def _match(self, entries: Sequence[_Entry], *, last: bool) -> list[Output]:
        """Judge rows of the same columns together; `last` where progress may be told after them."""
        frames = [entry.frame for entry in entries if entry.frame is not None]
        whole = pl.concat(frames) if len(frames) > 1 else frames[0]
        judged = self._detectors.match(whole, self._kind)
        made = self._detectors.rows(judged, "immediate")
        self._density = sum(part.frame.height for part in made) / whole.height
        parts: list[_Part] = []
        for entry, (start, end) in zip(entries, joining.edges(frames), strict=True):
            entry.judged = [
                part for part in joining.matched_of(judged, start, end) if self._kind in part.version.attributed
            ]
            entry.needs = self._detectors.needs(entry.judged)
            self._waiting += entry.rows
            parts.append(_Part(entry.offset, joining.rows_of(made, start, end), entry.sent))
        return self._rows_out("immediate", parts, self._told["immediate"] if last else None)

    def _release(self) -> list[Output]:
        """Hand on the rows of the lane `attributed` whose facts are there, in order."""
        ready: list[_Part] = []
        known = self._context.facts_progress() if self._queue else NEVER
        while (
            self._queue and not self._queue[0].waits and (self._queue[0].needs == NEVER or self._queue[0].needs < known)
        ):
            entry = self._queue.popleft()
            if entry.judged:
                self._waiting -= entry.rows
                with self._context.changed:
                    rows = self._detectors.rows(entry.judged, "attributed", self._context.facts)
                    ready.append(_Part(entry.offset, rows, self._durable_sent))
            self._durable.repeat(entry.heard)
            self._durable_sent.update(entry.sent)
            self._applied, self._row = entry.offset, entry.row
        if not ready and self._told["attributed"] == self._durable.news():
            return []
        self._told["attributed"] = self._durable.news()
        return self._rows_out("attributed", ready, self._told["attributed"])

    def _rows_out(self, lane: str, parts: Sequence[_Part], told: News | None) -> list[Output]:
        """Messages of some rows, one or more an output partition that has any.

        Args:
            lane: Their lane.
            parts: By input message, in order; each one's `sent` takes where its own rows end.
            told: Progress as of their end; None: not to be told yet.
        """
        shares: dict[int, list[tuple[int, pl.DataFrame]]] = {}
        for part in parts:
            self._count(part.made)
            rows, place = in_order([(made.frame, self._places(made)) for made in part.made])
            for q in place.unique().to_list():
                mine = rows.filter(place == q)
                shares.setdefault(q, []).append((part.offset, mine))
                part.sent[lane, q] = RowMark(part.offset, int(mine["row"][-1]))
        outputs = []
        for q, whole in sorted(shares.items()):
            cut = list(pieces(whole, MAX_MESSAGE_ROWS))
            for share in cut:
                value = encode("detection", pl.concat([rows for _, rows in share]))
                last = RowMark(share[-1][0], int(share[-1][1]["row"][-1]))
                runs = [(offset, rows.height) for offset, rows in share]
                # Progress is told when all rows before it are there.
                news = told if told is not None and share is cut[-1] else self._said.get((lane, q), NO_NEWS)
                outputs.append(self._message(lane, q, value, last, news, runs))
                self._sent[lane, q] = last
        return outputs

    def _count(self, made: Sequence[DetectionRows]) -> None:
        for rows in made:
            for rule, number in rows.frame["rule_id"].value_counts().iter_rows():
                self._metrics.add(metrics.DETECTIONS, number, rule=rule)

    def _places(self, part: DetectionRows) -> pl.Series:
        """Output partition of each row."""
        keys = part.frame.select("rule_id", "group_key").iter_rows()
        kept = (part.rules[rule].kept_by(key) for rule, key in keys)
        return pl.Series([key_partition(rule, key, self._partitions) for rule, key in kept], dtype=pl.Int32)

    def _message(
        self, lane: str, q: int, value: bytes, last: RowMark, news: News, runs: Sequence[tuple[int, int]]
    ) -> Output:
        link = Link(
            self._topic,
            self._partition,
            lane,
            follows=self._sent.get((lane, q), NOTHING),
            last=last,
            told=news.told,
            epoch=self._epoch,
            count=sum(rows for _, rows in runs),
            crc32=zlib.crc32(value),
            runs=runs,
            lost=news.lost,
        )
        self._said[lane, q] = news
        return Output(DETECTIONS, q, value, link.to_kafka(), inputs=[offset for offset, _ in runs])

    def tick(self, now_s: float) -> Sequence[Output]:
        """Rows whose facts have come, and progress to every partition that was not told yet."""
        self._context.must_go_on()
        if now_s - self._asked_s >= ASK_S:
            self._asked_s = now_s
            self._ask(self._oldest())
        outputs = self._context.letters()
        outputs += self._judge() if self._queue and self._queue[-1].waits else self._release() if self._queue else []
        for lane, q in self._untold():
            outputs.append(self._message(lane, q, b"", self._sent.get((lane, q), NOTHING), self._told[lane], ()))
        return outputs

    def _oldest(self) -> int | None:
        """Time of the oldest row that is here, or that may come in time; None where nothing is known of it."""
        sources = self._context.timeline_sources(frozenset({self._kind}), "")
        live = {source.name for source in sources if not source.absent}
        told = (told for told in self._durable.told() if told.source in live)
        progress = [one.progress for one in told if NEVER < one.progress < FOREVER]
        return min(progress + [entry.oldest for entry in self._queue if entry.oldest is not None], default=None)

    def _ask(self, oldest: int | None) -> None:
        if oldest != self._asked:
            self._asked = oldest
            self._context.ask((self._topic, self._partition), oldest)

    def close(self) -> None:
        """Its partition is another worker's now."""
        self._ask(None)

    def _untold(self) -> list[tuple[str, int]]:
        """Lanes and output partitions that do not know the newest progress yet."""
        places = [(lane, q) for lane in LANES for q in range(self._partitions)]
        return [(lane, q) for lane, q in places if self._told[lane] != self._said.get((lane, q), NO_NEWS)]

    def truncated(self) -> None:
        """See `Stage`; those who judge are told."""
        self._live.reader.truncated()
        self._durable.reader.truncated()
        self._told = {lane: News(news.told, self._live.reader.lost) for lane, news in self._told.items()}

    def snapshot(self) -> Mapping[str, bytes]:
        """One small part, as of `applied`."""
        sent = [[lane, q, *mark] for (lane, q), mark in self._durable_sent.items()]
        batches = self._durable.save()
        return {META: pack(applied=self._applied, batches=batches, sent=sent, epoch=self._epoch, row=self._row)}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Take back `snapshot`; progress is told to every partition again."""
        if META not in parts:
            return
        plain = unpack(parts[META])
        self._applied, self._epoch = plain["applied"], plain["epoch"]
        self._row = self._flood.row = plain.get("row", 0)  # the release before has none
        self._live = EventBatches.load(plain["batches"])
        self._durable = EventBatches.load(plain["batches"])
        self._sent = {(lane, q): RowMark(o, r) for lane, q, o, r in plain["sent"]}
        self._durable_sent = dict(self._sent)
        self._told = dict.fromkeys(LANES, self._durable.news())

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        return {
            "waiting": self._waiting,
            "untold": len(self._untold()),
            **self._live.figures(),
            **self._context.facts_figures(),
            "rules_behind": self._behind,
            **self._detectors.figures(),
        }
