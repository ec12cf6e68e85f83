"""Sends spans by OTLP over HTTP, from a thread of its own: whoever makes them never waits for it.

Bounded: at most `QUEUE` spans wait; what comes while it is full, and what the endpoint does not take, is dropped and
counted. Nothing depends on a span.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from schemas import metrics as names
from schemas.metrics import Metrics
from schemas.traces import Span, SpanContext

log = logging.getLogger(__name__)
QUEUE = 4_096
AT_ONCE = 512
GATHER_S = 0.5
TIMEOUT_S = 5.0  # of one request, with its retries
LAST_S = 2.0  # for what waits at the end of the process
_SCOPE = InstrumentationScope("aupstream")


def _server(endpoint: str) -> str:
    """Scheme and server of an address: what stands before and behind may be a secret."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class Exporter(threading.Thread):
    """See the module.

    Args:
        endpoint: URL.
        process: Name of this process.
        metrics: Spans sent and dropped are counted here.
        exporter: In place of the one over HTTP.
    """

    def __init__(self, endpoint: str, process: str, metrics: Metrics, exporter: SpanExporter | None = None) -> None:
        super().__init__(name="traces", daemon=True)
        self._where, self._metrics = _server(endpoint), metrics
        self._exporter = exporter or OTLPSpanExporter(endpoint=endpoint, timeout=TIMEOUT_S)
        self._resource = Resource({"service.name": "aupstream", "service.instance.id": process})
        self._queue: queue.Queue[Span | None] = queue.Queue(QUEUE)
        self._over = False
        self._away = False
        metrics.add(names.SPANS_SENT, 0)
        metrics.add(names.SPANS_DROPPED, 0)

    def started(self) -> Self:
        """Start; what waits when the process ends is still sent, within a moment."""
        # It says at length and again and again that its server is away; we say it once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self.start()
        atexit.register(self.close)
        return self

    def offer(self, span: Span) -> None:
        """See `SpanSink`."""
        try:
            self._queue.put_nowait(span)
        except queue.Full:
            self._metrics.add(names.SPANS_DROPPED)

    def run(self) -> None:
        """Send until `close`."""
        while not (self._over and self._queue.empty()):
            spans = self._gathered()
            if spans:
                self._send(spans)

    def close(self) -> None:
        """Send what waits, for `LAST_S` at the most. Idempotent."""
        self._over = True
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes it
        if self.is_alive():
            self.join(LAST_S)

    def _gathered(self) -> list[Span]:
        """What comes within a moment."""
        spans: list[Span] = []
        end = time.monotonic() + GATHER_S
        with contextlib.suppress(queue.Empty):
            while len(spans) < AT_ONCE:
                span = self._queue.get(timeout=max(0.0, end - time.monotonic()))
                if span is None:
                    break
                spans.append(span)
        return spans

    def _send(self, spans: Sequence[Span]) -> None:
        try:
            taken = self._exporter.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing depends on a span
            log.debug("spans were not sent: %s", type(error).__name__)  # its words quote the address
            taken = False
        self._metrics.add(names.SPANS_SENT if taken else names.SPANS_DROPPED, len(spans))
        if taken == self._away:
            self._away = not taken
            what = "takes spans again" if taken else "does not take spans: they are dropped and counted until it does"
            log.warning("the endpoint of traces, %s, %s", self._where, what)

    def _readable(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(span.context),
            parent=None if span.parent is None else _context(span.parent, remote=True),
            resource=self._resource,
            attributes=dict(span.attributes),
            kind=trace.SpanKind.PRODUCER if span.parent is None else trace.SpanKind.CONSUMER,
            instrumentation_scope=_SCOPE,
            start_time=span.start_ns,
            end_time=span.end_ns,
        )


def _context(context: SpanContext, *, remote: bool = False) -> trace.SpanContext:
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
    return trace.SpanContext(context.trace_id, context.span_id, is_remote=remote, trace_flags=flags)
