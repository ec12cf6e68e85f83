"""Traces of batches: which batch is traced, how its trace travels on Kafka, and the spans that become of it.

A batch's trace id is a hash of its source, timeline, generation and first position, and so is whether it is traced: a
repeat has the same trace, and nobody needs to tell anybody. Span ids are hashes too, of the trace, the agent and the
message, so that what is read again after a crash makes the same spans. The context travels in the W3C's `traceparent`
header, once for each traced batch that a message has rows of; records and `aup-` headers are the same with and without.

Where tracing is off nothing of OpenTelemetry is imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from schemas.headers import BatchHeaders
from schemas.metrics import Metrics

HEADER = "traceparent"
READ_HEADER = "read-us"  # when the oldest line of a message was read: microseconds since 1970 UTC
MAX_CONTEXTS = 16  # of one message; what more traced batches it has rows of are not told
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_Headers = Iterable[tuple[str, bytes | None]]


class TraceSettings(BaseModel):
    """`[traces]`: where spans go. Without an endpoint nothing is traced."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str = Field(
        default="", pattern=r"^(https?://.+)?$", description="OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces"
    )
    sample: float = Field(default=0.01, ge=0, le=1, description="Share of batches that are traced.")


class SpanContext(NamedTuple):
    """A span, as others refer to it: of 128 and of 64 bits."""

    trace_id: int
    span_id: int

    def header(self) -> tuple[str, bytes]:
        """Kafka header: version 00, sampled."""
        return HEADER, f"00-{self.trace_id:032x}-{self.span_id:016x}-01".encode("ascii")

    def child(self, *parts: object) -> SpanContext:
        """The span of the same trace that the parts name; the same every time."""
        return SpanContext(self.trace_id, _hashed(8, self.trace_id, self.span_id, *parts))


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work that has ended.

    Attributes:
        name: `collect`, or the agent.
        context: Its own.
        parent: Of what it goes on from; None: the trace begins with it.
        start_ns: Wall clock, nanoseconds since 1970 UTC.
        end_ns: Likewise.
        attributes: What is known of it.
    """

    name: str
    context: SpanContext
    parent: SpanContext | None
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | int] = field(default_factory=dict)


class SpanSink(Protocol):
    """Takes spans. Never waits and never raises."""

    def offer(self, span: Span) -> None:
        """Take a span, or count it as dropped."""

    def close(self) -> None:
        """Send what waits; takes a moment at the most, and may be called twice."""


class Traces:
    """Tracing in one process.

    Args:
        sink: Where spans go; None: nothing is traced.
        sample: Share of batches that are traced.
    """

    def __init__(self, sink: SpanSink | None = None, sample: float = 0.0) -> None:
        self._sink, self._sample = sink, sample

    @property
    def on(self) -> bool:
        """False where nothing is traced."""
        return self._sink is not None

    def begin(self, headers: BatchHeaders) -> SpanContext | None:
        """The span `collect` of a batch; None where it is not traced."""
        if self._sink is None or headers.kind != "batch" or headers.first is None:
            return None
        identity = (headers.source, headers.timeline, headers.schema, headers.generation, *headers.first)
        trace_id = _hashed(16, *identity)
        if (trace_id & (2**56 - 1)) >= self._sample * 2**56:
            return None
        return SpanContext(trace_id, _hashed(8, trace_id, "collect"))

    def contexts(self, headers: _Headers) -> tuple[SpanContext, ...]:
        """Spans that a message goes on from; none where nothing is traced."""
        return () if self._sink is None else contexts(headers)

    def record(self, span: Span) -> None:
        """Hand a span on; never waits."""
        if self._sink is not None:
            self._sink.offer(span)

    def close(self) -> None:
        """Send what waits, at the end of the process."""
        if self._sink is not None:
            self._sink.close()


def contexts(headers: _Headers) -> tuple[SpanContext, ...]:
    """What the `traceparent` headers of a message say; what is none, or not sampled, is passed over."""
    found = [
        SpanContext(int(m[1], 16), int(m[2], 16))
        for name, value in headers
        if name == HEADER and (m := _TRACEPARENT.fullmatch(value or b"")) and int(m[3], 16) & 1
    ]
    return tuple(c for c in found if c.trace_id and c.span_id)[:MAX_CONTEXTS]


def read_us(headers: _Headers) -> int | None:
    """When the oldest line of a message was read; None where it is not told."""
    for name, value in headers:
        if name == READ_HEADER and value and value.isdigit():
            return int(value)
    return None


def travelling(read: int | None, spans: Sequence[SpanContext]) -> list[tuple[str, bytes]]:
    """Headers that go on with a message."""
    head = [] if read is None else [(READ_HEADER, str(read).encode("ascii"))]
    return head + [span.header() for span in spans[:MAX_CONTEXTS]]


def tracing(settings: TraceSettings, process: str, metrics: Metrics) -> Traces:
    """Tracing as it is configured, sending in a thread of its own.

    Args:
        settings: From the configuration.
        process: Name of this process, such as `collect` or `detect-0`.
        metrics: Spans sent and dropped are counted here.
    """
    if not settings.endpoint:
        return Traces()
    from schemas.traceexport import Exporter  # noqa: PLC0415 - OpenTelemetry is imported only where it is used

    return Traces(Exporter(settings.endpoint, process, metrics).started(), settings.sample)


def _hashed(size: int, *parts: object) -> int:
    """A number of so many bytes, never 0, which OpenTelemetry takes for none."""
    digest = blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=size).digest()
    return int.from_bytes(digest, "big") or 1
