"""The metrics: every name once, with its unit and meaning, and a small registry of their values in one process.

A metric is declared by one line below and used as `metrics.add(LINES_READ, 5, source="squid")`. Thread-safe. Bounded:
a metric keeps at most `MAX_SERIES` label combinations; what comes beyond is counted under the label value `other`, so
that sums stay right and only the breakdown is lost.
"""

from __future__ import annotations

import math
import re
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MAX_SERIES = 1_000
OTHER = "other"
_PART = re.compile(r"_(bucket|sum|count)$")
_BOUND = re.compile(r'_bucket\{le="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Metric:
    """A declared metric.

    Attributes:
        name: As Prometheus has it: unit in the name, `_total` at the end of a counter.
        kind: A counter only grows within a process; a gauge is what it is now; a histogram counts what is observed
            by `le`, the upper bound of its bucket.
        unit: What one is: `lines`, `seconds`, `bytes` …
        help: One sentence.
        labels: Labels that it may carry; one that is not given is empty.
        buckets: Upper bounds of a histogram, ascending; +Inf is not named.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_DECLARED: dict[str, Metric] = {}
DECLARED = MappingProxyType(_DECLARED)


def _declare(metric: Metric) -> Metric:
    if metric.name in _DECLARED:
        raise ValueError(f"the metric {metric.name} is declared twice")
    if (metric.kind == "counter") != metric.name.endswith("_total"):
        raise ValueError(f"the metric {metric.name} is a {metric.kind}: only counters end in _total")
    _DECLARED[metric.name] = metric
    return metric


def counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    """Declare a counter."""
    return _declare(Metric(name, "counter", unit, text, labels))


def gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    """Declare a gauge."""
    return _declare(Metric(name, "gauge", unit, text, labels))


def histogram(name: str, unit: str, text: str, buckets: tuple[float, ...]) -> Metric:
    """Declare a histogram."""
    return _declare(Metric(name, "histogram", unit, text, buckets=buckets))


# fmt: off
# collectors
LINES_READ = counter("aup_lines_read_total", "lines", "Lines read.", "source")
EVENTS = counter("aup_events_total", "events", "Events made of lines.", "source", "kind")
DEAD_LETTERS = counter("aup_dead_letters_total", "lines", "Lines or messages that cannot be read.", "source", "reason")
IGNORED = counter("aup_ignored_total", "lines", "Lines that are no events by design.", "source", "reason")
LATE_ROWS = counter("aup_late_rows_total", "rows", "Rows older than the source's lateness allows.", "source")
TIME_SUSPECT_ROWS = counter("aup_time_suspect_rows_total", "rows", "Rows far ahead of their source's time.", "source")
OPEN_LINES = gauge("aup_open_lines", "lines", "Lines read that wait for others, undecided.", "source")
SOURCE_TIME = gauge("aup_source_time_seconds", "seconds", "Event time of the newest row, since 1970 UTC.", "source")
BATCHES_SENT = counter("aup_batches_sent_total", "batches", "Batches that Kafka acknowledged.", "topic")
BYTES_SENT = counter("aup_bytes_sent_total", "bytes", "Bytes of those batches.", "topic")
SEND_RETRIES = counter("aup_send_retries_total", "sends", "Times that sending failed and was gone back to.")
BACKLOG = gauge("aup_backlog_bytes", "bytes", "Bytes of batches not yet acknowledged.")
UNREAD_BYTES = gauge("aup_unread_bytes", "bytes", "Bytes of older files that came too late to be read.", "source")
# listeners
RECEIVED = counter("aup_received_total", "lines", "Lines received and taken into a spool.", "listener", "source")
RECEIVED_BYTES = counter("aup_received_bytes_total", "bytes", "Bytes of those lines.", "listener", "source")
DROPPED = counter("aup_dropped_total", "lines", "Datagrams received and not kept.", "listener", "reason")
CUT = counter("aup_cut_total", "lines", "Received lines that were longer than the limit, cut.", "listener")
CONNECTIONS = gauge("aup_connections", "connections", "Connections that are open.", "listener")
REFUSED = counter("aup_refused_connections_total", "connections", "Connections refused or ended.", "listener", "reason")
SPOOL_BYTES = gauge("aup_spool_bytes", "bytes", "Bytes of a source's spool on disk.", "source")
SPOOL_AGE = gauge("aup_spool_age_seconds", "seconds", "Age of the oldest segment of a source's spool.", "source")
SPOOL_WAITING = gauge("aup_spool_waiting_bytes", "bytes", "Bytes received that are not on disk yet.", "source")
# agents
REPEATS_DROPPED = counter("aup_repeats_dropped_total", "rows", "Rows that had been seen before.", "topic")
MISSING_REFUSED = counter("aup_missing_refused_total", "batches", "Batches refused, one before them missing.", "topic")
CORRUPT_BATCHES = counter("aup_corrupt_batches_total", "batches", "Batches refused as damaged.", "topic")
DETECTIONS = counter("aup_detections_total", "rows", "Events that a rule's stateless part matched.", "rule")
VIOLATIONS = counter("aup_violations_total", "records", "Violation versions told.", "rule", "status")
WATERMARK = gauge("aup_watermark_seconds", "seconds", "Event time reached, since 1970 UTC.", "agent", "timeline")
LAG = gauge("aup_lag_rows", "rows", "Rows, or messages where rows are not known, still to be read.", "agent", "topic")
STATE_KEYS = gauge("aup_state_keys", "keys", "Group keys that state is kept for.", "agent", "rule")
FACTS = gauge("aup_facts", "facts", "Who had which address: facts that a worker keeps.", "worker")
FACTS_READ_AGAIN = counter("aup_facts_read_again_total", "times", "Old rows came: facts read again.", "worker")
EVICTIONS = counter("aup_evictions_total", "keys", "Kept things given up at a limit.", "agent", "what")
TIME_LAG = gauge("aup_lag_seconds", "seconds", "Event time that a source is ahead of an agent.", "agent", "source")
REORDER_ROWS = gauge("aup_reorder_rows", "rows", "Rows that wait for the watermark.", "agent")
CHECKPOINT_SECONDS = gauge("aup_checkpoint_seconds", "seconds", "Time that the last checkpoint took.", "agent")
CHECKPOINT_AGE = gauge("aup_checkpoint_age_seconds", "seconds", "Time since the oldest worker's last one.", "agent")
STATE_REBUILT = counter("aup_state_rebuilt_total", "states", "Saved states that could not be used.", "agent")
CHECKPOINT_BYTES = gauge("aup_checkpoint_bytes", "bytes", "Bytes of the last checkpoint.", "agent")
WORKER_UP = gauge("aup_worker_up", "workers", "1 for a worker that has told of itself within ten seconds.", "worker")
HANDLED = counter("aup_messages_handled_total", "messages", "Messages that a worker has handled.", "worker")
# sinks and alerts
ROWS_WRITTEN = counter("aup_rows_written_total", "rows", "Rows handed to ClickHouse and confirmed.", "table")
STORE_RETRIES = counter("aup_store_retries_total", "statements", "Statements tried again, ClickHouse being away.")
ALERTS_SENT = counter("aup_alerts_sent_total", "alerts", "Alerts delivered.", "channel")
ALERTS_FAILED = counter("aup_alerts_failed_total", "alerts", "Alerts given up.", "channel")
LATENCY = histogram(
    "aup_latency_seconds", "seconds", "From the reading of a violation's newest line to the violation in ClickHouse.",
    (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 40, 60, 120, 300, 900, 3_600),
)
# traces
SPANS_SENT = counter("aup_spans_sent_total", "spans", "Spans that the endpoint of traces has taken.")
SPANS_DROPPED = counter("aup_spans_dropped_total", "spans", "Spans given up, the endpoint being away or too slow.")
# fmt: on

Key = tuple[str, ...]  # label values in the metric's own order


class Metrics:
    """Values of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Key, float]] = {}
        self._observed: dict[str, list[float]] = {}  # of a histogram: by bucket, not added up, and the sum at last

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        """Count up.

        Raises:
            ValueError: a gauge, a negative amount, or a label that is not declared.
        """
        if metric.kind != "counter" or amount < 0:
            raise ValueError(f"{metric.name}: only a counter is added to, and never less than nothing")
        key = _key(metric, labels)
        with self._lock:
            series, key = self._series(metric, key)
            series[key] = series.get(key, 0) + amount

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """Set a gauge.

        Raises:
            ValueError: a counter, or a label that is not declared.
        """
        if metric.kind != "gauge":
            raise ValueError(f"{metric.name}: only a gauge is set")
        key = _key(metric, labels)
        with self._lock:
            series, key = self._series(metric, key)
            series[key] = value

    def observe(self, metric: Metric, value: float) -> None:
        """Count a value of a histogram.

        Raises:
            ValueError: it is none.
        """
        if metric.kind != "histogram":
            raise ValueError(f"{metric.name}: only of a histogram is something observed")
        with self._lock:
            counts = self._observed.setdefault(metric.name, [0.0] * (len(metric.buckets) + 2))
            counts[bisect_left(metric.buckets, value)] += 1
            counts[-1] += value

    def value(self, metric: Metric, **labels: str) -> float:
        """A value; 0 where nothing was counted or set."""
        key = _key(metric, labels)
        with self._lock:
            return self._values.get(metric.name, {}).get(key, 0)

    def snapshot(self) -> Mapping[str, float]:
        """All values, by name with its labels as the exposition has them: `aup_ignored_total{reason="empty"}`."""
        with self._lock:
            copy = {name: dict(series) for name, series in self._values.items()}
            observed = {name: list(counts) for name, counts in self._observed.items()}
        plain = {
            f"{name}{_label_text(DECLARED[name], key)}": value
            for name in sorted(copy)
            for key, value in sorted(copy[name].items())
        }
        for name, counts in sorted(observed.items()):
            plain |= _histogram(DECLARED[name], counts)
        return plain

    def exposition(self) -> str:
        """Prometheus text format 0.0.4, metrics without a value left out."""
        return exposition(self.snapshot())

    def _series(self, metric: Metric, key: Key) -> tuple[dict[Key, float], Key]:
        series = self._values.setdefault(metric.name, {})
        return (series, key) if key in series or len(series) < MAX_SERIES else (series, (OTHER,) * len(key))


def exposition(series: Mapping[str, float]) -> str:
    """Prometheus text format 0.0.4 of values as `Metrics.snapshot` gives them; names that are not declared left out."""
    lines: list[str] = []
    told = ""
    for one, value in sorted(series.items(), key=lambda item: _order(item[0])):
        name = family(one)
        if name not in DECLARED:
            continue  # of a release that knows more
        if name != told:
            metric, told = DECLARED[name], name
            lines += [f"# HELP {name} {_escaped(metric.help)} Unit: {metric.unit}.", f"# TYPE {name} {metric.kind}"]
        lines.append(f"{one} {_number(value)}")
    return "".join(f"{line}\n" for line in lines)


def family(series: str) -> str:
    """Name of the metric that a series belongs to: of a histogram's too."""
    name = series.partition("{")[0]
    stem = _PART.sub("", name)
    return stem if name not in DECLARED and stem in DECLARED else name


def _order(series: str) -> tuple[str, str, float, str]:
    """By metric; a histogram's buckets by their bounds, which a scraper wants."""
    bound = _BOUND.search(series)
    return family(series), series.partition("{")[0], float(bound[1]) if bound else 0.0, series


def _histogram(metric: Metric, counts: Sequence[float]) -> Iterator[tuple[str, float]]:
    """Series of one: buckets added up, sum and count."""
    running = 0.0
    for bound, count in zip((*metric.buckets, math.inf), counts[:-1], strict=True):
        running += count
        yield f'{metric.name}_bucket{{le="{"+Inf" if bound == math.inf else _number(bound)}"}}', running
    yield f"{metric.name}_sum", counts[-1]
    yield f"{metric.name}_count", running


def _key(metric: Metric, labels: Mapping[str, str]) -> Key:
    if not labels.keys() <= set(metric.labels):
        raise ValueError(f"{metric.name} has the labels {list(metric.labels)}, not {sorted(labels)}")
    return tuple(labels.get(label, "") for label in metric.labels)


def _label_text(metric: Metric, key: Key) -> str:
    pairs = [f'{label}="{_quoted(value)}"' for label, value in zip(metric.labels, key, strict=True) if value]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
