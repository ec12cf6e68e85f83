"""correlate: `aup.detections` to `aup.violations`, one stage for one partition of detections."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from agents.context.calendar import Calendar
from agents.delivery.blind import Blind
from agents.delivery.checkpoints import Checkpoints, restored
from agents.delivery.feed import Context
from agents.delivery.heard import Heard
from agents.delivery.journey import Origins
from agents.delivery.letters import Flood, letter
from agents.delivery.link import NOTHING, Link, RowMark
from agents.delivery.rulebook import InForce, Period
from agents.delivery.snapshots import META, unpack
from agents.delivery.stage import Message, Output, Stage
from agents.delivery.versions import Versions
from agents.engine.correlate import Bucket, RuleTime
from agents.engine.episodes import Judge
from agents.engine.keystore import HOT_KEYS
from agents.engine.progress import ProgressTable
from agents.engine.rows import KeyedRow, rows_of
from agents.rules.model import Rule
from schemas import metrics
from schemas.codec import decode
from schemas.errors import CorruptBatchError
from schemas.headers import FOREVER, NEVER
from schemas.ids import key_partition
from schemas.kinds import VIOLATIONS, EventKind
from schemas.metrics import Metrics
from schemas.records import encode_record

log = logging.getLogger(__name__)
BUCKETS = 32  # units of saving. Part of the state version.
_PLACE = tuple[str, int, str]  # input topic, input partition, lane


def decoded(link: Link, message: Message) -> list[tuple[int, KeyedRow]]:
    """Rows of a message, each with the input offset of its event.

    Raises:
        CorruptBatchError: they are no detections, or not as many as its headers say.
    """
    if not link.count:
        return []
    frame = decode("detection", message.value, where=message.where)
    told = sum(rows for _, rows in link.runs)
    if not frame.height == link.count == told:
        what = f"{frame.height} rows, {link.count} announced, of {told} events"
        raise CorruptBatchError(what, where=message.where)
    offsets = [offset for offset, rows in link.runs for _ in range(rows)]
    return list(zip(offsets, rows_of(frame), strict=True))


def _kinds_of(topic: str) -> list[EventKind]:
    return [kind for kind in EventKind if kind.topic == topic]


def bucket_of(rule_id: str, group_key: str) -> int:
    """Bucket of a key; stable across processes and releases."""
    return zlib.crc32(f"{rule_id}\0{group_key}".encode()) % BUCKETS


class CorrelateStage(Stage):
    """See `Stage`. Windows are of the live timeline; rows of others come stamped late, see `DetectStage`."""

    def __init__(  # noqa: PLR0913 - the parts of a stage, each given once
        self,
        rules: InForce,
        judge: Judge,
        context: Context,
        *,
        inventory: bool,
        calendar: Calendar | None = None,
        partition: tuple[int, int] = (0, 1),
        flood: Flood | None = None,
        counted: Metrics | None = None,
    ) -> None:
        self._flood = Flood() if flood is None else flood
        self._in_force, self._context, self._metrics = rules, context, counted or Metrics()
        self._versions = Versions()
        first = rules.periods()[0]
        self._versions.follow(first.start, rules.ruleset(first.version))

        def owns(bucket: int, rule_id: str, group_key: str) -> bool:
            kept = self._versions.newest(rule_id).kept_by(group_key)
            return bucket_of(*kept) == bucket and key_partition(*kept, partition[1]) == partition[0]

        shared = {"inventory": inventory, "calendar": calendar, "hot_keys": HOT_KEYS // BUCKETS}
        self._buckets = [
            Bucket(self._versions.first, judge, owns=partial(owns, number), **shared)  # type: ignore[arg-type]
            for number in range(BUCKETS)
        ]
        self._checkpoints, self._bucket_applied = Checkpoints(self._buckets), [-1] * BUCKETS
        self._marks: dict[_PLACE, RowMark] = {}
        self._times: Mapping[tuple[str, int], RuleTime] = {}
        self._progress, self._origins, self._applied = ProgressTable(), Origins(), -1
        self._blind = Blind()
        self._cut: Heard[_PLACE] = Heard()  # places heard of since messages went by retention
        self._doubted: Heard[_PLACE] = Heard()  # and since a message of nobody knows whence
        self._lost: dict[_PLACE, int] = {}  # how often a place has said that its input was lost
        self.refused = self.corrupt = self.repeats = 0
        self._periods: tuple[Period, ...] = (first,)
        self._follow()

    @property
    def applied(self) -> int:
        """Every message's consequences are handed on at once."""
        return self._applied

    def handle(self, message: Message) -> Sequence[Output]:
        """Take rows and progress, then apply what the watermarks allow."""
        try:
            link = Link.from_kafka(message.headers, message.value, where=message.where)
            rows = decoded(link, message)
        except CorruptBatchError as error:
            self.refused += 1
            self.corrupt += 1
            log.warning("refused: %s", error, extra=message.fields)
            self._flood.refused(message, error)
            self._applied = message.offset
            self._doubted.lost()
            return [letter(message, "correlate", error)]
        self._flood.taken()
        place = (link.topic, link.partition, link.lane)
        if link.lost > self._lost.get(place, 0):
            self._blind.begin(_kinds_of(link.topic))
        self._lost[place] = link.lost
        records: list[dict[str, Any]] = []
        if self._follows(message, link):
            self._context.wait_for_epoch(link.epoch, lambda: False)
            # After a restart: buckets that hold nothing yet come to where they were before they take anything.
            records = [] if self._times else self._advance()
            records += self._rows(message, link, rows)
            self._progress.tell(link.topic, link.partition, link.lane, link.told)
            records += self._advance()
        self._applied = message.offset
        return self._outputs(records)

    def tick(self, now_s: float) -> Sequence[Output]:
        """A source declared absent, or back, moves the watermarks without a message."""
        del now_s
        self._context.must_go_on()
        return self._outputs(self._advance())

    def _follows(self, message: Message, link: Link) -> bool:
        place = (link.topic, link.partition, link.lane)
        mark = self._marks.get(place, NOTHING)
        if self._cut.may_lack(place):
            self._marks[place] = max(mark, link.follows)
        elif link.follows > mark and self._doubted.may_lack(place):
            log.error("%s: rows after %s could not be read and are lost", message.where, mark, extra=message.fields)
            self._blind.begin(_kinds_of(link.topic))
            self._marks[place] = link.follows
        elif link.follows > mark:
            self.refused += 1
            what = "%s: rows after %s refused, the last seen are %s"
            log.warning(what, message.where, link.follows, mark, extra=message.fields)
            return False
        self._cut.hear(place)
        self._doubted.hear(place)
        return True

    def _rows(self, message: Message, link: Link, rows: Sequence[tuple[int, KeyedRow]]) -> list[dict[str, Any]]:
        place = (link.topic, link.partition, link.lane)
        mark = self._marks.get(place, NOTHING)
        if not link.count or link.last <= mark:
            return []
        shares: dict[int, list[KeyedRow]] = {}
        ids: list[str] = []
        self._follow()
        for offset, row in rows:
            ids.append(row.row.event_id)
            rule = self._versions.at(row.rule_id, row.row.t)
            bucket = bucket_of(*((row.rule_id, row.group_key) if rule is None else rule.kept_by(row.group_key)))
            if (offset, row.input_row) <= mark:
                self.repeats += 1
            elif message.offset > self._bucket_applied[bucket]:
                shares.setdefault(bucket, []).append(row)
        self._origins.note(message.offset, ids)
        self._marks[place] = link.last
        records: list[dict[str, Any]] = []
        for number, share in shares.items():
            records += self._buckets[number].take(share)
        return records

    def _follow(self) -> bool:
        """Hear of rules that were announced; False where there are none that were not known."""
        periods = self._in_force.periods()
        if periods == self._periods:
            return False
        for period in periods[len(self._periods) :]:
            rules = self._in_force.ruleset(period.version)
            self._versions.follow(period.start, rules)
            for bucket in self._buckets:
                bucket.follow(period.start, {rule.id: rule for rule in rules.rules})
        self._periods = periods
        return True

    def _advance(self) -> list[dict[str, Any]]:
        heard = self._follow()
        times = self._now()
        if times == self._times and not heard:
            return []
        self._times = times
        latest = {rule_id: time for (rule_id, _), time in times.items()}
        records = [record for bucket in self._buckets for record in bucket.advance(latest, times)]
        for bucket in self._buckets:
            for said in bucket.said:
                log.warning("%s", said)
            bucket.said.clear()
        return records

    def _now(self) -> Mapping[tuple[str, int], RuleTime]:
        """What the sources of each version of each rule have told; many rules read the same ones."""
        asked: dict[tuple[frozenset[EventKind], str], RuleTime] = {}
        times = {}
        for rule, start in self._versions:
            reads = (rule.kinds, rule.lane)
            if reads not in asked:
                asked[reads] = self._time_of(*reads)
            times[rule.id, start] = asked[reads]
            if self._blind.on:
                times[rule.id, start] = self._blind.mark(
                    reads, rule, asked[reads], self._newest(rule.kinds), self._learn
                )
        return times

    def _newest(self, kinds: frozenset[EventKind]) -> int:
        """Event time that any source of some kinds has come to."""
        sources = self._context.timeline_sources(kinds, "")
        return max((self._progress.newest.get((s.name, ""), NEVER) for s in sources), default=NEVER)

    def _learn(self, rule: Rule, since: int) -> None:
        for bucket in self._buckets:
            bucket.learn_from(rule.id, since)

    def truncated(self) -> None:
        """See `Stage`."""
        self._blind.begin()
        self._cut.lost()

    def _time_of(self, kinds: frozenset[EventKind], lane: str) -> RuleTime:
        sources = self._context.timeline_sources(kinds, "")
        partitions = self._context.event_partitions
        there = [s for s in sources if not s.absent]
        told = {s: self._progress.of(s, partitions, lane) for s in there}
        starts = [self._progress.earliest[k] for s in sources if (k := (s.name, s.timeline)) in self._progress.earliest]
        return RuleTime(
            min(told.values(), default=NEVER),
            min(starts, default=None),
            incomplete=len(there) < len(sources) or (lane == "attributed" and self._context.nobody_tells_who()),
            covered=self._progress.covered(told),
        )

    def _outputs(self, records: Iterable[dict[str, Any]]) -> list[Output]:
        return [self._output(record) for record in records]

    def _output(self, record: Mapping[str, Any]) -> Output:
        newest = max(record["evidence"], key=lambda e: (e["timestamp"], e["event_id"]), default=None)
        # A later version tells of what the watermark has passed, and not of a line that was read just now.
        inputs = () if newest is None or record["version"] > 1 else self._origins.of(newest["event_id"])
        self._metrics.add(metrics.VIOLATIONS, rule=record["rule_id"], status=record["status"])
        return Output(VIOLATIONS, None, encode_record("violation", record), (), record["id"].encode(), inputs)

    def snapshot(self) -> Mapping[str, bytes]:
        """See `checkpoints`: what changed in the buckets, some of them whole, and `meta`."""
        # A bucket that was restored ahead of `meta` stays ahead until the input has caught up with it.
        applied = [max(self._applied, ahead) for ahead in self._bucket_applied]
        marks = [[*place, *mark] for place, mark in self._marks.items()]
        progress = self._progress.save()
        return self._checkpoints.parts(
            applied,
            applied=self._applied,
            marks=marks,
            progress=progress,
            reached=self._reached(),
            reads=self._buckets[0].reads(),
            row=self._flood.row,
            blind=self._blind.save(),
            blind_kinds=self._blind.kinds(),
            strict=self._cut.save(),
            doubted=self._doubted.save(),
            lost=[[*place, times] for place, times in self._lost.items()],
        )

    def _reached(self) -> dict[str, list[int]]:
        """How far each rule has come: all buckets are told the same, but one that is ahead does not speak for all."""
        told = [bucket.reached() for bucket in self._buckets]
        common = [r for r in told[0] if all(r in t for t in told)]
        least = {r: [min(values) for values in zip(*(t[r] for t in told), strict=True)] for r in common}
        return {r: far for r, far in least.items() if far[0] > NEVER}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Buckets of the release before may be ahead of `meta`: by their own applied offset."""
        if META not in parts:
            return
        meta = unpack(parts[META])
        for number, applied, state in restored(parts, meta, BUCKETS):
            bucket = self._buckets[number]
            self._bucket_applied[number] = applied
            for said in bucket.load(state):
                log.warning("%s", said)
            bucket.dirty = True  # the next checkpoint is of a new epoch and has to be whole
        for bucket in self._buckets if "reached" in meta else ():  # the release before had it by bucket only
            bucket.reach(meta["reached"], meta["reads"])
        self._applied = meta["applied"]
        self._marks = {(t, p, lane): RowMark(o, r) for t, p, lane, o, r in meta["marks"]}
        self._progress = ProgressTable.load(meta["progress"])
        self._flood.row = meta.get("row", 0)  # the release before has none, nor what follows
        self._blind.load(meta.get("blind"), meta.get("blind_kinds"))
        self._cut.load(meta.get("strict"))
        self._doubted.load(meta.get("doubted"))
        self._lost = {(topic, p, lane): times for topic, p, lane, times in meta.get("lost", ())}

    def _limits(self) -> Mapping[str, float]:
        """What rules could not do, in all and by rule: `left_early`, `left_early:mass-mail` and so on."""
        found = dict.fromkeys(("left_early", "new_values_missed", "coverage_gaps"), 0)
        for bucket in self._buckets:
            for (rule, name), n in bucket.limits.items():
                found[name] += n
                found[f"{name}:{rule}"] = found.get(f"{name}:{rule}", 0) + n
        return found

    def figures(self) -> Mapping[str, float]:
        """Figures for metrics."""
        watermarks = [t.watermark for t in self._times.values() if NEVER < t.watermark < FOREVER]
        return {
            "pending": sum(b.pending for b in self._buckets),
            "keys": sum(b.keys for b in self._buckets),
            "late": sum(b.counters.late for b in self._buckets),
            "behind": sum(b.counters.behind for b in self._buckets),
            "applied_rows": sum(b.counters.applied for b in self._buckets),
            **self._limits(),
            "repeats": self.repeats,
            "refused": self.refused,
            "missing": self.refused - self.corrupt,
            "corrupt": self.corrupt,
            **self._progress.figures(),
            **self._blind.figures(),
            "checkpoint_bytes": self._checkpoints.bytes,
            "checkpoint_whole": self._checkpoints.whole,
            "checkpoint_changes": self._checkpoints.changes,
            "watermark_s": min(watermarks, default=0) / 1e6,
        }
