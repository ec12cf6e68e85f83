"""Where the messages of one input partition came from: their traces, and when their lines were read.

It goes on with what comes of them. Beside the stage, not in it: nothing here is saved, and nothing that a stage returns
depends on it. What is forgotten, by a restart or at a limit, costs a span or a latency figure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agents.delivery.stage import Message, Output, Stage
from schemas import metrics as names
from schemas.kinds import DEAD_LETTERS, VIOLATIONS
from schemas.metrics import Metrics
from schemas.traces import Span, SpanContext, Traces, read_us, travelling

KEPT = 4_096  # messages of a partition whose origin is remembered, for rows that wait inside
IDS = 20_000  # events whose message is remembered, once or twice over


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process tells of itself: counted, and traced."""

    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = field(default_factory=Traces)


@dataclass(frozen=True, slots=True)
class _Origin:
    """Of one message.

    Attributes:
        read_us: When the oldest line of it was read; None: not told.
        spans: Of this agent, each with the one that it goes on from.
        start_ns: When it came here.
    """

    read_us: int | None
    spans: Sequence[tuple[SpanContext, SpanContext]]
    start_ns: int


class Journey:
    """See the module. Called from one thread at a time.

    Args:
        agent: Name of the agent, and so of its spans.
        topic: Input topic.
        partition: Input partition.
        traces: Takes the spans.
        metrics: Latency is counted here.
    """

    def __init__(self, agent: str, topic: str, partition: int, traces: Traces, metrics: Metrics) -> None:
        self._agent, self._topic, self._partition = agent, topic, partition
        self._traces, self._metrics = traces, metrics
        self._stores_violations = agent == "persist" and topic == VIOLATIONS
        self._known: dict[int, _Origin] = {}
        self._open: deque[int] = deque()  # offsets that are not applied yet

    def handle(self, stage: Stage, message: Message) -> list[Output]:
        """Have the stage handle a message; see `Stage.handle`."""
        self._came(message)
        outputs = self._on(stage.handle(message))
        self._applied(stage.applied)
        return outputs

    def tick(self, stage: Stage, now_s: float) -> list[Output]:
        """See `Stage.tick`."""
        outputs = self._on(stage.tick(now_s))
        self._applied(stage.applied)
        return outputs

    def _came(self, message: Message) -> None:
        read = read_us(message.headers)
        parents = self._traces.contexts(message.headers)
        if read is None and not parents:
            return
        place = (self._agent, self._topic, self._partition, message.offset)
        spans = [(parent.child(*place), parent) for parent in parents]
        self._known[message.offset] = _Origin(read, spans, time.time_ns())
        self._open.append(message.offset)
        while len(self._known) > KEPT:
            self._known.pop(next(iter(self._known)))

    def _on(self, outputs: Iterable[Output]) -> list[Output]:
        """Outputs with headers that say where they came from."""
        told = []
        for output in outputs:
            if output.topic == DEAD_LETTERS:
                self._metrics.add(names.DEAD_LETTERS, source=f"kafka:{self._topic}", reason=self._agent)
            told.append(self._with_origin(output) if output.inputs else output)
        return told

    def _with_origin(self, output: Output) -> Output:
        origins = [origin for offset in output.inputs if (origin := self._known.get(offset)) is not None]
        read = min((origin.read_us for origin in origins if origin.read_us is not None), default=None)
        spans = [span for origin in origins for span, _ in origin.spans]
        return output._replace(headers=[*output.headers, *travelling(read, spans)])

    def _applied(self, offset: int) -> None:
        """All that comes of the messages up to an offset is done: their spans end."""
        now = time.time_ns()
        while self._open and self._open[0] <= offset:
            number = self._open.popleft()
            origin = self._known.get(number)
            if origin is None:
                continue
            if self._stores_violations and origin.read_us is not None:
                self._metrics.observe(names.LATENCY, max(0.0, (now / 1_000 - origin.read_us) / 1e6))
            for context, parent in origin.spans:
                about: dict[str, str | int] = {
                    "messaging.system": "kafka",
                    "messaging.destination.name": self._topic,
                    "messaging.destination.partition.id": str(self._partition),
                    "messaging.kafka.offset": number,
                }
                self._traces.record(Span(self._agent, context, parent, origin.start_ns, now, about))


class Origins:
    """Which input message an event came with, of the newest events."""

    def __init__(self) -> None:
        self._newer: dict[str, int] = {}
        self._older: dict[str, int] = {}

    def note(self, offset: int, event_ids: Iterable[str]) -> None:
        """Rows of these events came with a message."""
        self._newer.update(dict.fromkeys(event_ids, offset))
        if len(self._newer) > IDS:
            self._older, self._newer = self._newer, {}

    def of(self, event_id: str) -> tuple[int, ...]:
        """Offset of an event's message; nothing where it is not known any more."""
        offset = self._newer.get(event_id, self._older.get(event_id))
        return () if offset is None else (offset,)
