from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from schemas import traceexport
from schemas.headers import BatchHeaders, Position
from schemas.metrics import SPANS_DROPPED, SPANS_SENT, Metrics
from schemas.traceexport import Exporter
from schemas.traces import (
    MAX_CONTEXTS,
    Span,
    SpanContext,
    Traces,
    TraceSettings,
    contexts,
    read_us,
    tracing,
    travelling,
)  # fmt: skip


class Kept:
    """Spans that were offered."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def offer(self, span: Span) -> None:
        self.spans.append(span)

    def close(self) -> None:
        pass


def _batch(offset: int, *, kind: str = "batch", **others: object) -> BatchHeaders:
    first = Position(offset)
    return BatchHeaders(
        kind=kind, schema="proxy", source="squid", count=5, generation="abc", first=first, last=first, **others  # type: ignore[arg-type]
    )  # fmt: skip


def _span(number: int = 1) -> Span:
    return Span("collect", SpanContext(number, number), None, 1, 2)


def test_a_repeat_of_a_batch_is_the_same_span_and_another_batch_another() -> None:
    traces = Traces(Kept(), 1.0)
    first = traces.begin(_batch(7))
    assert first == traces.begin(_batch(7, epoch=9, progress=5))  # sent again, when more was known
    assert first is not None
    assert first.child("detect", "t", 0, 1) == first.child("detect", "t", 0, 1) != first.child("detect", "t", 0, 2)
    assert len({traces.begin(_batch(n)) for n in range(100)}) == 100


def test_about_the_asked_share_of_batches_is_traced_and_a_larger_share_holds_the_smaller() -> None:
    found = {s: {n for n in range(20_000) if Traces(Kept(), s).begin(_batch(n))} for s in (0.0, 0.01, 0.1, 1.0)}
    assert len(found[0.0]) == 0
    assert 120 < len(found[0.01]) < 290
    assert found[0.01] < found[0.1] < found[1.0] == set(range(20_000))


def test_markers_are_not_traced_and_nothing_is_where_tracing_is_off() -> None:
    assert Traces(Kept(), 1.0).begin(_batch(7, kind="marker")) is None
    assert Traces().begin(_batch(7)) is None
    assert Traces().contexts([SpanContext(1, 2).header()]) == ()
    assert not tracing(TraceSettings(), "collect", Metrics()).on


def test_headers_say_what_they_were_made_of_and_readers_pass_over_the_rest() -> None:
    spans = (SpanContext(2**127 + 5, 9), SpanContext(3, 2**63))
    headers = travelling(123, spans)
    assert headers[1] == ("traceparent", b"00-80000000000000000000000000000005-0000000000000009-01")
    assert (read_us(headers), contexts(headers)) == (123, spans)
    others = [("traceparent", b"nonsense"), ("traceparent", None), ("read-us", b"-1"), ("x", b"\xff")]
    assert (read_us(others), contexts(others)) == (None, ())
    unsampled, zero = headers[1][1][:-1] + b"0", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"
    assert contexts([("traceparent", unsampled), ("traceparent", zero)]) == ()
    assert len(contexts(travelling(None, [SpanContext(1, 1)] * 99))) == MAX_CONTEXTS


def test_batch_headers_are_read_whatever_stands_beside_them() -> None:
    batch = _batch(7)
    beside = travelling(5, [SpanContext(1, 2)])
    assert BatchHeaders.from_kafka([*beside, *batch.to_kafka()], where="t/0/0") == batch


def test_an_endpoint_that_is_away_costs_spans_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    metrics = Metrics()
    exporter = Exporter(f"http://127.0.0.1:{port}/v1/traces", "collect", metrics).started()
    began = time.monotonic()
    for number in range(1, 2_000):
        exporter.offer(_span(number))
    assert time.monotonic() - began < 1.0
    exporter.close()
    exporter.join(60)
    assert (metrics.value(SPANS_DROPPED), metrics.value(SPANS_SENT)) == (1_999, 0)


class Slow(SpanExporter):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        self.busy, self.go = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        self.busy.set()
        self.go.wait()
        return SpanExportResult.SUCCESS


def test_what_comes_while_the_queue_is_full_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traceexport, "QUEUE", 10)
    slow, metrics = Slow(), Metrics()
    exporter = Exporter("http://127.0.0.1:9", "collect", metrics, slow)
    exporter.start()
    exporter.offer(_span())
    assert slow.busy.wait(30)
    for _ in range(25):
        exporter.offer(_span())
    assert metrics.value(SPANS_DROPPED) == 15
    slow.go.set()
    exporter.close()
    exporter.join(30)
    assert metrics.value(SPANS_SENT) == 11


def test_opentelemetry_is_imported_only_where_traces_are_on() -> None:
    code = "import sys; import agents.faust_app, infra.run.collect, streams.producer; from schemas.traces import *; "
    code += "tracing(TraceSettings(), 'x', Metrics()); print(sorted(m for m in sys.modules if 'telemetry' in m))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
