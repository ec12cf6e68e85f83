from __future__ import annotations

import ast
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from schemas import metrics
from schemas.metrics import (
    DEAD_LETTERS,
    DECLARED,
    DETECTIONS,
    IGNORED,
    LATENCY,
    LINES_READ,
    MAX_SERIES,
    WATERMARK,
    Metrics,
)
from tests.project.tree import ROOT, modules, text_of

ASKED_FOR = """
aup_lines_read_total aup_events_total aup_dead_letters_total aup_ignored_total aup_late_rows_total
aup_repeats_dropped_total aup_missing_refused_total aup_corrupt_batches_total aup_watermark_seconds aup_lag_rows
aup_state_keys aup_evictions_total aup_checkpoint_seconds aup_checkpoint_bytes
"""


def test_the_metrics_that_others_count_on_are_declared() -> None:
    assert set(ASKED_FOR.split()) <= set(DECLARED)


def test_the_table_names_every_metric_with_all_that_is_declared_of_it_and_no_other() -> None:
    table = (ROOT / "schemas/METRICS.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| `")
    ]
    assert rows == [[f"`{m.name}`", m.kind, ", ".join(m.labels), m.unit, m.help] for m in DECLARED.values()]


def test_every_metric_is_counted_or_set_somewhere() -> None:
    names = {name for name, value in vars(metrics).items() if isinstance(value, metrics.Metric)}
    used = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in modules()
        if path.parts[0] != "tests" and path != Path("schemas/metrics.py")
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, (ast.Attribute, ast.Name))
    }
    assert len(names) == len(DECLARED)
    assert names <= used


def test_every_metric_is_named_as_prometheus_wants_it_and_documented() -> None:
    for metric in DECLARED.values():
        assert re.fullmatch(r"aup_[a-z0-9_]+", metric.name)
        assert metric.help.endswith(".")
        assert metric.unit
        assert all(re.fullmatch(r"[a-z_]+", label) for label in metric.labels)


def test_counters_add_up_by_label() -> None:
    values = Metrics()
    values.add(IGNORED, 2, source="squid", reason="empty")
    values.add(IGNORED, source="squid", reason="empty")
    values.add(IGNORED, source="squid", reason="comment")
    assert values.value(IGNORED, source="squid", reason="empty") == 3
    assert values.value(IGNORED, source="other", reason="empty") == 0
    assert values.snapshot() == {
        'aup_ignored_total{source="squid",reason="comment"}': 1,
        'aup_ignored_total{source="squid",reason="empty"}': 3,
    }


def test_gauges_are_what_was_set_last() -> None:
    values = Metrics()
    values.set(WATERMARK, 5, agent="correlate")
    values.set(WATERMARK, 4.5, agent="correlate")
    assert values.snapshot() == {'aup_watermark_seconds{agent="correlate"}': 4.5}


def test_the_exposition_is_prometheus_text() -> None:
    values = Metrics()
    values.add(LINES_READ, 1_000_000_000_000)
    values.add(DEAD_LETTERS, 2, reason='bad "time"\n\\')
    assert values.exposition() == (
        "# HELP aup_dead_letters_total Lines or messages that cannot be read. Unit: lines.\n"
        "# TYPE aup_dead_letters_total counter\n"
        'aup_dead_letters_total{reason="bad \\"time\\"\\n\\\\"} 2\n'
        "# HELP aup_lines_read_total Lines read. Unit: lines.\n"
        "# TYPE aup_lines_read_total counter\n"
        "aup_lines_read_total 1000000000000\n"
    )
    assert Metrics().exposition() == ""
    values = Metrics()
    values.add(DETECTIONS, rule="guessed-password")  # a label whose name ends as that of a histogram's bound
    assert values.exposition().endswith('\naup_detections_total{rule="guessed-password"} 1\n')


def test_threads_lose_no_count() -> None:
    values = Metrics()

    def count() -> None:
        for _ in range(5_000):
            values.add(LINES_READ, source="squid")

    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(count)
    assert values.value(LINES_READ, source="squid") == 40_000


def test_beyond_the_limit_of_labels_the_sum_stays_right() -> None:
    values = Metrics()
    for number in range(MAX_SERIES + 50):
        values.add(LINES_READ, 2, source=f"s{number}")
    values.add(LINES_READ, 1, source="s0")
    assert values.value(LINES_READ, source="s0") == 3
    assert values.value(LINES_READ, source=metrics.OTHER) == 100
    assert sum(values.snapshot().values()) == 2 * (MAX_SERIES + 50) + 1
    assert len(values.snapshot()) == MAX_SERIES + 1


def test_a_histogram_counts_by_bucket_and_is_told_in_the_order_of_their_bounds() -> None:
    values = Metrics()
    for seconds in (0.1, 0.2, 9.0, 10.0, 99_999.0):
        values.observe(LATENCY, seconds)
    lines = values.exposition().splitlines()
    assert lines[1] == "# TYPE aup_latency_seconds histogram"
    buckets = [line for line in lines if "_bucket" in line]
    assert [line.split('"')[1] for line in buckets] == [*(f"{b:g}" for b in LATENCY.buckets), "+Inf"]
    counts = {line.split('"')[1]: int(line.rpartition(" ")[2]) for line in buckets}
    assert [counts[bound] for bound in ("0.1", "0.25", "5", "10", "3600", "+Inf")] == [1, 2, 2, 4, 4, 5]
    assert {line for line in lines if "bucket" not in line and line[0] != "#"} == {
        "aup_latency_seconds_count 5",
        "aup_latency_seconds_sum 100018.3",
    }


def test_misuse_is_refused() -> None:
    values = Metrics()
    with pytest.raises(ValueError, match="only a counter"):
        values.add(WATERMARK, 1)
    with pytest.raises(ValueError, match="never less"):
        values.add(LINES_READ, -1)
    with pytest.raises(ValueError, match="only a gauge"):
        values.set(LINES_READ, 1)
    with pytest.raises(ValueError, match="only of a histogram"):
        values.observe(LINES_READ, 1)
    with pytest.raises(ValueError, match="has the labels"):
        values.add(LINES_READ, 1, colour="red")
    with pytest.raises(ValueError, match="declared twice"):
        metrics.counter("aup_lines_read_total", "lines", "Again.")
    with pytest.raises(ValueError, match="only counters"):
        metrics.gauge("aup_nothing_total", "lines", "Wrong.")
    assert "aup_nothing_total" not in DECLARED
