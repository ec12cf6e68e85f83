"""What one collector sends: batches of events and of dead letters, markers, and records of the ledger, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from schemas.codec import encode
from schemas.errors import StateError
from schemas.headers import FOREVER, NEVER, Mark, Position
from schemas.jsonutil import canonical
from schemas.kinds import DEAD_LETTERS, LEDGER, EventKind
from streams.abstract import BatchSink, Message
from streams.batches import Batcher, BatchSettings, BatchState
from streams.config import CollectorSettings, SourceConfig
from streams.intake import Made

SECOND = 1_000_000
MARKER_US = SECOND // 4  # while progress moves every partition is told of it this often: a rule waits for the slowest
HEARTBEAT_US = 10 * SECOND  # an idle collector says that it lives


class Outbox:
    """Submits to a sink and remembers the ticket of the last message, and what may only go out behind which ticket.

    Args:
        config: The source.
        kind: Kind of its events.
        sink: Where messages go.
        settings: What is the same for all collectors.
        run: State of an earlier run, or None: `save` of it under `sent`, and under `clean` whether it stopped so that
            nothing of it will be sent again.
    """

    def __init__(
        self,
        config: SourceConfig,
        kind: EventKind,
        sink: BatchSink,
        settings: CollectorSettings,
        run: Mapping[str, Any] | None,
    ) -> None:
        self.ticket = 0  # of the last message submitted
        self._config, self._sink = config, sink
        self._epoch, self._sealer = settings.epoch, settings.seal
        state = run["sent"] if run else None
        sent = _loaded(state["batches"]) if state else {}
        before: Mapping[str, int] = {} if run is None or run["clean"] else run["sent"]["partitions"]
        self.events = self._batcher(kind.topic, kind.value, sent.get(kind.topic), before)
        self.rejected = self._batcher(DEAD_LETTERS, "dead_letter", sent.get(DEAD_LETTERS), before)
        self._batchers = {kind.topic: self.events, DEAD_LETTERS: self.rejected}
        self._closing: deque[tuple[int, int, dict[str, Any]]] = deque()  # rows needed of each batcher, record
        self._sending: deque[tuple[int, dict[str, Any]]] = deque()  # ticket needed, record
        if state:
            self._sending.extend((0, record) for record in state["records"])
        self._told: tuple[int, bool] = (NEVER, False)
        self._told_us: int | None = None

    def _batcher(self, topic: str, schema: str, state: BatchState | None, before: Mapping[str, int]) -> Batcher:
        config, there = self._config, self._sink.partitions(topic)
        settings = BatchSettings(
            topic=topic,
            schema=schema,
            source=config.name,
            timeline=config.timeline,
            # What may have to be sent again goes where it went, until a clean stop, though the topic has grown.
            partitions=min(before.get(topic, there), there),
            told=there,
            block_bytes=config.block_bytes,
            batch_rows=config.batch_rows,
            lateness_us=config.lateness_us,
        )
        batcher = Batcher(settings, encode, state)
        batcher.epoch = self._epoch
        return batcher

    @property
    def owes(self) -> bool:
        """True where records of the ledger are still to go out, or something sent is not safe."""
        return bool(self._closing or self._sending) or not self.safe

    @property
    def safe(self) -> bool:
        """True where everything submitted is acknowledged."""
        return self._sink.acknowledged >= self.ticket

    def emit(self, made: Made, now_us: int) -> None:
        """Take rows; what is complete by that is sent."""
        for rows in made.events:
            self._submit(self.events.add(rows, now_us))
        for rows in made.rejected:
            sealed = rows if self._sealer is None else replace(rows, frame=self._sealer.frame(rows.frame))
            self._submit(self.rejected.add(sealed, now_us))

    def flush(self) -> None:
        """Send all rows that wait."""
        self._submit(self.rejected.flush())
        self._submit(self.events.flush())

    def linger(self, now_us: int) -> None:
        """Send the rows that have waited long enough for others."""
        for batcher in self._batchers.values():
            if batcher.due(now_us, self._config.linger_ms * 1_000):
                self._submit(batcher.flush())

    def tell(self, now_us: int, *, idle: bool) -> None:
        """Markers: at least once a second while progress moves, when idle, and now and then while idle."""
        if self._told_us is None or now_us < self._told_us:
            self._told_us = now_us
        told = (self.events.progress, idle)
        waited = now_us - self._told_us
        became_idle = idle and not self._told[1]
        if (told != self._told and (waited >= MARKER_US or became_idle)) or (idle and waited >= HEARTBEAT_US):
            self._submit(self.events.markers(idle=idle))
            self._told, self._told_us = told, now_us

    def tell_end(self) -> None:
        """Every partition is told that nothing comes any more; behind all rows."""
        self._submit(self.events.markers(progress=FOREVER, idle=True))

    # the ledger

    def closed(self, records: Iterable[dict[str, Any]]) -> None:
        """Final records, to go out once every row taken so far is acknowledged."""
        for record in records:
            self._closing.append((self.events.added, self.rejected.added, record))

    def hand_on(self) -> None:
        """Records whose rows have all been submitted wait for their acknowledgement from here on."""
        while self._closing and self._closing[0][0] <= self.events.sent and self._closing[0][1] <= self.rejected.sent:
            self._sending.append((self.ticket, self._closing.popleft()[2]))

    def release(self) -> bool:
        """Send the records whose rows are safe; False where there are none."""
        acknowledged = self._sink.acknowledged
        did = False
        while self._sending and self._sending[0][0] <= acknowledged:
            self.record(self._sending.popleft()[1])
            did = True
        return did

    def record(self, record: Mapping[str, Any]) -> None:
        """Send a record of the ledger now."""
        key = f"{record['source']}/{record['timeline']}/{record['generation']}/{record['chunk']}"
        self._submit([Message(LEDGER, 0, canonical(record).encode(), key=key.encode())])

    # state

    def save(self) -> dict[str, Any]:
        """State as JSON values; only while no row waits."""
        return {
            "batches": {topic: _saved(batcher.state) for topic, batcher in self._batchers.items()},
            "partitions": {topic: batcher.partitions for topic, batcher in self._batchers.items()},
            "block_bytes": self._config.block_bytes,
            "records": [record for _, _, record in self._closing] + [record for _, record in self._sending],
        }

    def resumed(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """The state of the run that goes on from another's: where rows go from now on is kept before the first goes."""
        partitions = {topic: batcher.partitions for topic, batcher in self._batchers.items()}
        return {**run, "sent": {**run["sent"], "partitions": partitions}, "clean": False}

    def check(self, state: Mapping[str, Any], *, clean: bool) -> None:
        """Refuse a state after which rows would be sent again to other partitions.

        Raises:
            StateError: blocks or partitions are others, and rows may be on their way.
        """
        now = {topic: batcher.partitions for topic, batcher in self._batchers.items()}  # fewer only where it shrank
        if not clean and (state["partitions"], state["block_bytes"]) != (now, self._config.block_bytes):
            raise StateError(
                f"partitions were {state['partitions']} of blocks of {state['block_bytes']} bytes and are {now} of "
                f"{self._config.block_bytes}, and the last run did not stop cleanly",
                where=self._config.name,
                hint="run once with the old numbers and stop it, then change them",
            )

    def _submit(self, messages: Sequence[Message]) -> None:
        for message in messages:
            self.ticket = self._sink.submit(message)


def _saved(state: BatchState) -> dict[str, Any]:
    follows = {str(p): [m.generation, *m.position] for p, m in state.follows.items()}
    return {"follows": follows, "maximum": state.maximum, "earliest": state.earliest, "generation": state.generation}


def _loaded(saved: Mapping[str, Mapping[str, Any]]) -> dict[str, BatchState]:
    """By topic, what was sent before the saved position."""
    return {
        topic: BatchState(
            {int(p): Mark(g, Position(offset, sub)) for p, (g, offset, sub) in one["follows"].items()},
            one["maximum"],
            one["earliest"],
            one["generation"],
        )
        for topic, one in saved.items()
    }
