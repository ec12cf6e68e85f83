"""The metrics: every name once, with its unit and meaning, and a small registry of their values in one process.

A metric is declared by one line below and used as `metrics.add(LINES_READ, 5, source="squid")`. Thread-safe. Bounded:
a metric keeps at most `MAX_SERIES` label combinations; what comes beyond is counted under the label value `other`, so
that sums stay right and only the breakdown is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MAX_SERIES = 1_000
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """A declared metric.

    Attributes:
        name: As Prometheus has it: unit in the name, `_total` at the end of a counter.
        kind: A counter only grows within a process; a gauge is what it is now.
        unit: What one is: `lines`, `seconds`, `bytes` …
        help: One sentence.
        labels: Labels that it may carry; one that is not given is empty.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    labels: tuple[str, ...] = ()


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


# fmt: off
# collectors
LINES_READ = counter("aup_lines_read_total", "lines", "Lines read.", "source")
EVENTS = counter("aup_events_total", "events", "Events made of lines, or read by an agent.", "source", "kind")
DEAD_LETTERS = counter("aup_dead_letters_total", "lines", "Lines that could not be processed.", "source", "reason")
IGNORED = counter("aup_ignored_total", "lines", "Lines that are no events by design.", "source", "reason")
LATE_ROWS = counter("aup_late_rows_total", "rows", "Rows older than the source's lateness allows.", "source")
TIME_SUSPECT_ROWS = counter("aup_time_suspect_rows_total", "rows", "Rows far ahead of their source's time.", "source")
OPEN_JOINS = gauge("aup_open_joins", "joins", "Joins that wait for more lines.", "source")
BATCHES_SENT = counter("aup_batches_sent_total", "batches", "Batches that Kafka acknowledged.", "topic")
BYTES_SENT = counter("aup_bytes_sent_total", "bytes", "Bytes of those batches.", "topic")
SEND_RETRIES = counter("aup_send_retries_total", "batches", "Sends that failed and were gone back to.", "topic")
BACKLOG = gauge("aup_backlog_bytes", "bytes", "Bytes of batches not yet acknowledged.", "source")
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
EVICTIONS = counter("aup_evictions_total", "keys", "Kept things given up at a limit.", "agent", "what")
REORDER_ROWS = gauge("aup_reorder_rows", "rows", "Rows that wait for the watermark.", "agent")
CHECKPOINT_SECONDS = gauge("aup_checkpoint_seconds", "seconds", "Time that the last checkpoint took.", "agent")
CHECKPOINT_BYTES = gauge("aup_checkpoint_bytes", "bytes", "Bytes of the last checkpoint.", "agent")
WORKER_UP = gauge("aup_worker_up", "workers", "1 for a worker that has told of itself within ten seconds.", "worker")
HANDLED = counter("aup_messages_handled_total", "messages", "Messages that a worker has handled.", "worker")
# sinks and alerts
ROWS_WRITTEN = counter("aup_rows_written_total", "rows", "Rows handed to ClickHouse and confirmed.", "table")
STORE_RETRIES = counter("aup_store_retries_total", "statements", "Statements tried again, ClickHouse being away.")
ALERTS_SENT = counter("aup_alerts_sent_total", "alerts", "Alerts delivered.", "channel")
ALERTS_FAILED = counter("aup_alerts_failed_total", "alerts", "Alerts given up.", "channel")
# fmt: on

Key = tuple[str, ...]  # label values in the metric's own order


class Metrics:
    """Values of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Key, float]] = {}

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

    def value(self, metric: Metric, **labels: str) -> float:
        """A value; 0 where nothing was counted or set."""
        key = _key(metric, labels)
        with self._lock:
            return self._values.get(metric.name, {}).get(key, 0)

    def snapshot(self) -> Mapping[str, float]:
        """All values, by name with its labels as the exposition has them: `aup_ignored_total{reason="empty"}`."""
        with self._lock:
            copy = {name: dict(series) for name, series in self._values.items()}
        return {
            f"{name}{_label_text(DECLARED[name], key)}": value
            for name in sorted(copy)
            for key, value in sorted(copy[name].items())
        }

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
    for one, value in sorted(series.items(), key=lambda item: (item[0].partition("{")[0], item[0])):
        name = one.partition("{")[0]
        if name not in DECLARED:
            continue  # of a release that knows more
        if name != told:
            metric, told = DECLARED[name], name
            lines += [f"# HELP {name} {_escaped(metric.help)} Unit: {metric.unit}.", f"# TYPE {name} {metric.kind}"]
        lines.append(f"{one} {_number(value)}")
    return "".join(f"{line}\n" for line in lines)


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
