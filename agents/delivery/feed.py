"""Context that every worker reads whole: registered sources and identity facts, with a consumer of its own.

The consumer belongs to no group, reads from the beginning and never commits: a worker that starts reads all of it
again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
from kafka import KafkaConsumer, TopicPartition

from agents.delivery.forgetting import Forgetting
from agents.delivery.heard import Heard
from agents.delivery.letters import letter
from agents.delivery.link import FACTS_LANE, Link, RowMark
from agents.delivery.rulebook import MissingRulesError, Period, announced, piece_of
from agents.delivery.stage import Message, Output
from agents.engine.identity import LEASE_US, SESSION_US, FactIndex
from agents.engine.progress import ProgressTable, SourceInfo
from schemas.codec import decode
from schemas.errors import AupstreamError, CorruptBatchError, RetryableError
from schemas.headers import FOREVER, NEVER
from schemas.kafkaaddress import kafka_options
from schemas.kinds import IDENTITY, RULES, SOURCES, EventKind

log = logging.getLogger(__name__)
CAUGHT_UP = "caught_up"  # event of a record of a source that was absent and has read what it had missed
MAX_LETTERS = 1_000  # dead letters that wait until they are sent; of more it is only counted that they were refused
MEMORY_US = max(LEASE_US, SESSION_US)  # so long a lease or a session says who is there
PERMIT = "permit"  # event of a record on `aup.sources` that grants or revokes a permit


@dataclass(slots=True)
class Registry:
    """Sources, rules and permits as `aup.sources` says up to `epoch`, the offset of the newest record read."""

    rules: tuple[Period, ...] = ()
    sources: dict[tuple[str, str], SourceInfo] = field(default_factory=dict)
    permits: tuple[Mapping[str, Any], ...] = ()  # another tuple when more are known
    gaps: tuple[Mapping[str, Any], ...] = ()  # in what was read, of sources that came back from absence
    epoch: int = -1

    def take(self, message: Message) -> None:
        """Read one record.

        Raises:
            CorruptBatchError: it is none; it counts as an epoch all the same.
        """
        self.epoch = max(self.epoch, message.offset)
        try:
            record = json.loads(message.value)
            if record["event"] == "rules":
                self.rules = (*self.rules, announced(record, self.rules))
                return
            if record["event"] == PERMIT:
                _ = [str(record[name]) for name in ("id", "action", "recorded")]
                self.permits = (*self.permits, record)
                return
            if record["event"] == CAUGHT_UP:
                _ = (record["source"], *(None if record[end] is None else int(record[end]) for end in ("from", "to")))
                self.gaps = (*self.gaps, record)
                return
            key = (str(record["source"]), str(record.get("timeline", "")))
            event = record["event"]
            if event == "retired":
                self.sources.pop(key, None)
            elif event in ("registered", "absent", "returned"):
                before = self.sources.get(key)
                type_ = str(record.get("type", "" if before is None else before.type))
                self.sources[key] = SourceInfo(key[0], EventKind(record["kind"]), key[1], event == "absent", type_)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"no record of sources, rules or permits ({type(error).__name__})"
            raise CorruptBatchError(what, where=message.where) from error

    def forget_rules(self, there: Callable[[str], bool]) -> list[Period]:
        """Take back announcements of rules that are not there; they are given back."""
        gone = [period for period in self.rules if not there(period.version)]
        left = [period for period in self.rules if there(period.version)]
        self.rules = (*(replace(period, start=NEVER) for period in left[:1]), *left[1:])
        return gone

    def reading(self, kinds: frozenset[EventKind], timeline: str = "") -> list[SourceInfo]:
        """Registered sources of some kinds in a timeline, by name."""
        found = [s for s in self.sources.values() if s.kind in kinds and s.timeline == timeline]
        return sorted(found, key=lambda s: s.name)


@dataclass(slots=True)
class Context:
    """What the feed has read. Guarded by `changed`; use the methods."""

    event_partitions: int
    registry: Registry = field(default_factory=Registry)
    facts: FactIndex = field(default_factory=FactIndex)
    progress: ProgressTable = field(default_factory=ProgressTable)
    marks: dict[tuple[str, int], RowMark] = field(default_factory=dict)
    refused: int = 0
    lost: dict[tuple[str, int], int] = field(default_factory=dict)  # how often a place has said that rows were lost
    blind_until: int = NEVER  # event time up to which facts may be missing
    doubted: Heard[tuple[str, int]] = field(default_factory=Heard)  # places since a message of nobody knows whence
    changed: threading.Condition = field(default_factory=threading.Condition)
    failed: BaseException | None = None
    caught_up: bool = False  # what was there when reading began is read
    _letters: list[Output] = field(default_factory=list)
    _pieces: dict[tuple[str, int], set[int]] = field(default_factory=dict)  # of rules, by version and how many
    forgetting: Forgetting = field(init=False)

    def __post_init__(self) -> None:
        self.forgetting = Forgetting(self.facts)

    def take(self, message: Message) -> None:
        """One message of `aup.sources`, `aup.identity` or `aup.rules`; of rules only whether they are some."""
        with self.changed:
            try:
                if message.topic == SOURCES:
                    self.registry.take(message)
                elif message.topic == RULES:
                    version, number, of = piece_of(message)
                    self._pieces.setdefault((version, of), set()).add(number)
                else:
                    self._facts(message)
            except CorruptBatchError as error:
                if message.topic == IDENTITY:
                    self.doubted.lost()
                self._refuse(message, error)
            self.changed.notify_all()

    def refuse_rules(self, message: Message, error: AupstreamError) -> None:
        """An announcement of rules that are not there: it counts as an epoch all the same."""
        with self.changed:
            self.registry.epoch = max(self.registry.epoch, message.offset)
            self._refuse(message, error)
            self.changed.notify_all()

    def _refuse(self, message: Message, error: AupstreamError) -> None:
        self.refused += 1
        log.warning("refused: %s", error, extra=message.fields)
        if len(self._letters) < MAX_LETTERS:
            self._letters.append(letter(message, "detect", error))

    def all_read(self) -> None:
        """What was there at the start is read: rules that were announced are there, or never were."""
        with self.changed:
            there = {version for (version, of), numbers in self._pieces.items() if numbers == set(range(of))}
            for period in self.registry.forget_rules(there.__contains__):
                log.error("rules %s are announced and not there: that is passed over", period.version)
            self.caught_up = True
            self.changed.notify_all()

    def must_go_on(self) -> None:
        """See that the feed still reads: without it nothing is heard of absences, permits, rules and facts.

        Raises:
            RetryableError: it has ended.
        """
        if self.failed is not None:
            raise RetryableError("the context is not read any more", hint="check that Kafka is up") from self.failed

    def letters(self) -> list[Output]:
        """Dead letters of what was refused since the last call. Not guarded, so that it can be asked often."""
        if not self._letters:
            return []
        with self.changed:
            told, self._letters = self._letters, []
            return told

    def _facts(self, message: Message) -> None:
        link = Link.from_kafka(message.headers, message.value, where=message.where)
        facts = decode("identity", message.value, where=message.where) if link.count else None
        place = (link.topic, link.partition)
        # What is before the first message of a place went by retention; what lacks behind it was lost.
        mark = self.marks.get(place, link.follows)
        gone = link.follows > mark and self.doubted.may_lack(place)
        if link.follows > mark and not gone:
            self.refused += 1
            log.warning("%s: facts after %s refused, the last seen are %s", message.where, link.follows, mark)
            return
        self.doubted.hear(place)
        if facts is not None:
            self.facts.add(facts)
        self.marks[place] = max(mark, link.last)
        self.progress.tell(link.topic, link.partition, FACTS_LANE, link.told)
        if gone or link.lost > self.lost.get(place, 0):
            newest = max((told.newest for told in link.told if told.newest is not None), default=NEVER)
            self.blind_until = max(self.blind_until, newest + MEMORY_US)
            log.error("%s: facts were lost; what is judged without them is marked", message.where)
        self.lost[place] = link.lost

    def nobody_tells_who(self) -> bool:
        """True where whose an address is may be said wrongly: a source that says it is absent, or facts were lost."""
        with self.changed:
            if any(s.absent for s in self._who()):
                return True
            known = self._facts_progress()
            if known == FOREVER:
                known = max((self.progress.newest.get((s.name, ""), NEVER) for s in self._who()), default=FOREVER)
            return known < self.blind_until

    def facts_progress(self) -> int:
        """Event time that all facts are known up to: the least over what states them; no such source: for ever."""
        with self.changed:
            return self._facts_progress()

    def _who(self) -> list[SourceInfo]:
        return [s for s in self.registry.reading(frozenset({EventKind.DHCP, EventKind.LOGIN})) if s.tells_who]

    def _facts_progress(self) -> int:
        told = [self.progress.of(s, self.event_partitions, FACTS_LANE) for s in self._who() if not s.absent]
        return min(told, default=FOREVER)

    def ask(self, place: tuple[str, int], oldest: int | None) -> None:
        """Rows of an input partition ask of this time or later, microseconds UTC; None: of none any more."""
        with self.changed:
            self.forgetting.ask(place, oldest)

    def wait_for_facts_of(self, times: pl.Series) -> None:
        """Block until facts are there again that were forgotten and that rows of these times (microseconds) may need.

        Raises:
            RetryableError: the feed has ended.
        """
        with self.changed:
            if self.forgetting.lacks(times):
                log.warning("rows of %s are older than the facts kept: these are read again", times.min())
                self.forgetting.wanted = True
            while self.forgetting.wanted:
                if self.failed is not None:
                    raise RetryableError("facts cannot be read again", hint="check that Kafka is up") from self.failed
                self.changed.wait(0.5)

    def wait_for_epoch(self, epoch: int, give_up: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Block until the registry is read up to an epoch.

        Raises:
            RetryableError: it did not come in time, or the feed has ended.
        """
        waited = 0.0
        with self.changed:
            while self.registry.epoch < epoch:
                if self.failed is not None or give_up() or waited >= timeout_s:
                    raise RetryableError(
                        f"record {epoch} of {SOURCES} did not come in {waited:.0f} s, the newest read is "
                        f"{self.registry.epoch}",
                        hint="check that Kafka is up and the topic was not recreated",
                    ) from self.failed
                self.changed.wait(0.5)
                waited += 0.5

    def epoch(self) -> int:
        """Offset of the newest record of the registry that was read."""
        with self.changed:
            return self.registry.epoch

    def periods(self) -> tuple[Period, ...]:
        """Rules announced, by the event time from which they are in force."""
        with self.changed:
            return self.registry.rules

    def permits(self) -> tuple[Mapping[str, Any], ...]:
        """Records of permits so far, oldest first. Not guarded: one look at one attribute."""
        return self.registry.permits

    def wait_until_caught_up(self, timeout_s: float = 60.0) -> None:
        """Block until all is read that was there at the start.

        Raises:
            RetryableError: it took too long, or the feed has ended.
        """
        with self.changed:
            there = self.changed.wait_for(lambda: self.caught_up or self.failed is not None, timeout_s)
            if not there or self.failed is not None:
                what = f"{SOURCES} could not be read within {timeout_s:.0f} s"
                raise RetryableError(what, hint="check that Kafka is up") from self.failed

    def timeline_sources(self, kinds: frozenset[EventKind], timeline: str) -> list[SourceInfo]:
        """Registered sources of some kinds."""
        with self.changed:
            return self.registry.reading(kinds, timeline)

    def facts_figures(self) -> Mapping[str, int]:
        """Figures of the facts, which are the whole process's. Not guarded: one look at numbers."""
        again = self.forgetting.times
        return {"facts": self.facts.count, "facts_evicted": self.facts.evicted, "facts_read_again": again}


class Feed(threading.Thread):
    """The reading thread. `context.failed` is set where it ends with an error; the worker then ends too."""

    def __init__(
        self,
        bootstrap: str,
        context: Context,
        *,
        topics: tuple[str, ...] = (SOURCES, IDENTITY),
        prepare: Callable[[Period], None] = lambda _: None,
    ) -> None:
        super().__init__(name="context-feed", daemon=True)
        self._kafka, self._topics, self._prepare = bootstrap, topics, prepare
        self.context = context
        self._stop_now = threading.Event()

    def run(self) -> None:
        """Read until `stop`."""
        try:
            consumer = KafkaConsumer(
                **kafka_options(self._kafka),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=500,  # the broker answers at once where there is something
            )
            places = [TopicPartition(t, 0) for t in self._topics]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends, again = consumer.end_offsets(places), None
            while not self._stop_now.is_set():
                for records in consumer.poll(timeout_ms=500).values():
                    for r in records:
                        self._take(Message(r.topic, r.partition, r.offset, r.value or b"", r.headers or (), r.key))
                if not self.context.caught_up and all(consumer.position(p) >= ends[p] for p in places):
                    self.context.all_read()
                again = self._read_again(consumer, again)
            consumer.close()
        except Exception as error:
            log.exception("the context feed ended")
            with self.context.changed:
                self.context.failed = error
                self.context.changed.notify_all()

    def _read_again(self, consumer: Any, until: int | None) -> int | None:
        """Forget what nobody asks for, and read facts again where somebody does.

        Args:
            consumer: Reads the topics.
            until: Offset up to which facts are being read again; None: they are not.
        """
        place, forgetting = TopicPartition(IDENTITY, 0), self.context.forgetting
        with self.context.changed:
            forgetting.forget(time.monotonic())
            wanted = forgetting.wanted
        if wanted and until is None:
            until = consumer.end_offsets([place])[place]
            consumer.seek_to_beginning(place)
        if until is not None and consumer.position(place) >= until:
            with self.context.changed:
                forgetting.read_again(time.monotonic())
                self.context.changed.notify_all()
            return None
        return until

    def _take(self, message: Message) -> None:
        """Hand a message on; of new rules when they are loaded, so that nobody waits for them where rows are judged."""
        if self.context.caught_up and message.topic == SOURCES:
            before = self.context.periods()
            told = Registry(rules=before)
            with suppress(CorruptBatchError):  # `take` says so
                told.take(message)
            for period in told.rules[len(before) :]:
                try:
                    self._prepare(period)
                except MissingRulesError as error:
                    self.context.refuse_rules(message, error)
                    return
        self.context.take(message)

    def stop(self) -> None:
        """Ask it to end."""
        self._stop_now.set()
