"""A Kafka of lists, with the agents' real stages on it: runs them in any order and restarts them from their snapshots.

What a stage sends is on its topic at once (acknowledged). A restart forgets everything since the last checkpoint:
the input is read again from the snapshot's applied offset, and what was sent since is sent a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from agents.delivery.feed import Context
from agents.delivery.owning import owned
from agents.delivery.snapshots import Place, Writer, collect
from agents.delivery.stage import Message, Output, Stage
from schemas.kinds import IDENTITY, SOURCES

MakeStage = Callable[[str, int], Stage]


@dataclass
class Bus:
    """Topics by (name, partition)."""

    logs: dict[tuple[str, int], list[Message]] = field(default_factory=lambda: defaultdict(list))

    def send(self, outputs: Iterable[Output]) -> None:
        """Append messages; a keyed message without a partition goes to 0."""
        for o in outputs:
            log = self.logs[o.topic, o.partition or 0]
            log.append(Message(o.topic, o.partition or 0, len(log), o.value, tuple(o.headers), o.key))


@dataclass
class Worker:
    """One stage on one input partition, with its checkpoints."""

    bus: Bus
    place: Place
    make: MakeStage
    stage: Stage
    writer: Writer
    saved: list[tuple[bytes | None, bytes | None]] = field(default_factory=list)
    next: int = 0
    clock_s: float = 0.0

    @staticmethod
    def start(bus: Bus, topic: str, partition: int, make: MakeStage) -> Worker:
        place = Place(topic, partition)
        return Worker(bus, place, make, make(topic, partition), Writer("state", 1, place, 1))

    @property
    def behind(self) -> int:
        return len(self.bus.logs[self.place.topic, self.place.partition]) - self.next

    def step(self) -> None:
        log = self.bus.logs[self.place.topic, self.place.partition]
        if self.next < len(log):
            self.next += 1
            message = replace(log[self.next - 1], more=self.next < len(log))
            self.bus.send(self.stage.handle(message))

    def tick(self) -> None:
        self.clock_s += 1.0
        self.bus.send(self.stage.tick(self.clock_s))

    def checkpoint(self) -> None:
        for lot in self.writer.checkpoint(self.stage.snapshot()):
            self.saved += [(o.key, o.value or None) for o in lot]

    def restart(self) -> None:
        """Forget everything since the last checkpoint, as after a kill."""
        saved = collect(self.saved, [self.place])[self.place]
        mine = owned(partial(self.make, *self.place), saved)
        assert not mine.faults
        self.stage, self.writer = mine.stage, Writer("state", 1, self.place, mine.epoch)
        self.next = self.stage.applied + 1


@dataclass
class FeedReader:
    """Brings the context topics to a context, as the feed thread does."""

    bus: Bus
    context: Context
    read: dict[str, int] = field(default_factory=lambda: {SOURCES: 0, IDENTITY: 0})

    def step(self) -> None:
        for topic, at in self.read.items():
            for message in self.bus.logs[topic, 0][at:]:
                self.context.take(message)
            self.read[topic] = len(self.bus.logs[topic, 0])

    def read_facts_again(self) -> None:
        """As the feed does it where facts are asked for that were forgotten."""
        for message in self.bus.logs[IDENTITY, 0][: self.read[IDENTITY]]:
            self.context.take(message)
        with self.context.changed:
            self.context.forgetting.read_again(0.0)
            self.context.changed.notify_all()


def run_dry(workers: list[Worker], feeds: list[FeedReader], choose: Callable[[list[Any]], Any], chaos: float) -> None:
    """Step workers in a chosen order until nothing is left, ticking and restarting now and then.

    Every worker's context must already hold the registered sources: stages block until they are there.
    """
    for feed in feeds:
        feed.step()
    for _ in range(200_000):
        busy = [w for w in workers if w.behind]
        if not busy or choose(list(range(20))) == 0:  # context comes late, so that rows have to wait for it
            for feed in feeds:
                feed.step()
        if not busy:
            before = sum(len(log) for log in workers[0].bus.logs.values())
            for w in workers:
                w.tick()
            if sum(len(log) for log in workers[0].bus.logs.values()) == before:
                return
            continue
        worker = choose(busy)
        dice = choose(list(range(1000))) / 1000
        if dice < chaos:
            worker.restart()
        elif dice < 3 * chaos:
            worker.checkpoint()
        elif dice > 0.9:
            worker.tick()
        else:
            worker.step()
    raise AssertionError("it does not run dry")
