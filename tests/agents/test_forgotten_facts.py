"""Facts that a worker has forgotten are read again before a row is judged that is as old as they are."""

from __future__ import annotations

import threading

import pytest

from agents.delivery.detect import DetectStage
from agents.delivery.detectors import Detectors
from agents.delivery.feed import Context
from agents.delivery.identify import IdentifyStage
from agents.delivery.rulebook import Always
from agents.delivery.stage import Output
from agents.engine.detect import Detector
from agents.rules.loader import load_rules
from schemas.errors import RetryableError
from schemas.kinds import DETECTIONS, EventKind
from tests.agents.bus import Bus, FeedReader, Worker, run_dry
from tests.agents.collecting import batches, register, sourced
from tests.agents.simulated import day

PARTITIONS = 2
HERE, ELSEWHERE = ("here", 0), ("elsewhere", 0)


class Road:
    """A simulated day on a bus, its facts known; detect has not begun."""

    def __init__(self) -> None:
        simulated = day(seed=1, lines=20_000)
        sent = [sourced(name, kind, frame) for name, (kind, frame) in simulated.frames.items()]
        self.bus, self.context, rules = Bus(), Context(PARTITIONS), Always(load_rules())
        self.feed = FeedReader(self.bus, self.context)
        self.bus.send(register(sent))
        for source in sent:
            self.bus.send(batches(source, 200, PARTITIONS, len(sent) - 1))
        first = [k.topic for k in (EventKind.DHCP, EventKind.LOGIN)]
        run_dry([self._worker(t, p) for t in first for p in range(PARTITIONS)], [self.feed], lambda some: some[0], 0.0)
        self.feed.step()
        self._detectors = Detectors(rules, lambda made: Detector(made, simulated.district, simulated.inventory))

    def _worker(self, topic: str, partition: int) -> Worker:
        return Worker.start(self.bus, topic, partition, lambda t, p: IdentifyStage(t, p, _kind(t)))

    def stage(self, kind: EventKind, partition: int) -> DetectStage:
        return DetectStage(kind.topic, partition, kind, self._detectors, self.context, partitions=1)

    def detect(self) -> list[Output]:
        """All that comes out, partition by partition."""
        made: list[Output] = []
        for kind in EventKind:
            for partition in range(PARTITIONS):
                stage = self.stage(kind, partition)
                for message in self.bus.logs[kind.topic, partition]:
                    made += stage.handle(message)
                made += stage.tick(1.0)
                stage.close()
        return made

    def forget(self) -> int:
        """As if all partitions that this worker had were at the end; how many facts went."""
        before = self.context.facts.count
        with self.context.changed:
            self.context.forgetting.margin_us = 0
            self.context.forgetting.ask(ELSEWHERE, 2**60)
            self.context.forgetting.forget(0.0)
        return before - self.context.facts.count


def _kind(topic: str) -> EventKind:
    return EventKind(topic.rpartition(".")[2])


def test_what_is_judged_is_the_same_whatever_was_forgotten_before() -> None:
    expected = Road().detect()
    assert any(output.topic == DETECTIONS and output.value for output in expected)
    road, over, again = Road(), threading.Event(), list[int]()
    assert road.forget() > 0

    def read_again() -> None:
        while not over.wait(0.002):
            if road.context.forgetting.wanted:
                again.append(road.context.facts.count)
                road.feed.read_facts_again()

    reader = threading.Thread(target=read_again)
    reader.start()
    try:
        found = road.detect()
    finally:
        over.set()
        reader.join()
    assert found == expected
    assert len(again) == 1, "once, at the first row that is older; then nothing is forgotten for a while"


def test_nothing_is_forgotten_that_a_partition_may_still_ask_for() -> None:
    road = Road()
    facts = road.context.facts.count
    oldest = min(known[0][0] for known in road.context.facts._facts.values())
    road.context.ask(HERE, oldest)
    assert road.forget() == 0
    road.context.ask(HERE, None)
    road.context.forgetting._next_s = 0.0
    assert 0 < road.forget() < facts, "the newest lease of every address stays"


def test_a_feed_that_has_ended_leaves_nobody_waiting() -> None:
    road = Road()
    road.forget()
    road.context.failed = RuntimeError("gone")
    with pytest.raises(RetryableError, match="the context is not read any more"):
        road.detect()
