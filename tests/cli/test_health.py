"""Liveness, readiness and metrics over HTTP, alone and beside a running system."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.run import health as module
from infra.run.health import Health
from schemas.errors import ConfigError
from schemas.metrics import DECLARED
from tests.road.scene import WITHIN_S, simulated, wait_until

CORRELATE = {
    "agent": "correlate", "worker": "correlate-0", "pid": 1, "handled": 7, "sending": 0, "checkpoint_s": 0.25,
    "metrics": {"aup_latency_seconds_count": 2},
    "inputs": {
        "aup.detections/0": {"next": 5, "end": 9, "pending": 3, "keys": 2, "checkpoint_bytes": 10, "watermark_s": 50.0,
                             "left_early": 2, "progress_s:a": 70.0, "progress_s:b": 1.0},
        "aup.detections/1": {"next": 6, "end": 6, "pending": 1, "keys": 1, "repeats": 4, "watermark_s": 40.0,
                             "missing": 1, "corrupt": 2, "progress_s:a": 60.0},
    },
}  # fmt: skip
COLLECT = {
    "agent": "collect", "worker": "collect", "inputs": {}, "sources": {"a": {"newest_s": 90.0}},
    "metrics": {'aup_lines_read_total{source="a"}': 12},
}  # fmt: skip

# What every run of all agents tells, whatever happens in it.
TOLD = """
aup_lines_read_total aup_events_total aup_late_rows_total aup_open_lines aup_source_time_seconds aup_batches_sent_total
aup_bytes_sent_total aup_backlog_bytes aup_repeats_dropped_total aup_missing_refused_total aup_corrupt_batches_total
aup_detections_total aup_violations_total aup_watermark_seconds aup_lag_rows aup_lag_seconds aup_state_keys
aup_evictions_total aup_reorder_rows aup_checkpoint_seconds aup_checkpoint_age_seconds aup_checkpoint_bytes
aup_worker_up aup_messages_handled_total aup_rows_written_total aup_latency_seconds aup_dead_letters_total
aup_ignored_total aup_spans_sent_total aup_spans_dropped_total
"""


def _nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        return f"http://127.0.0.1:{other.getsockname()[1]}/v1/traces"


def _value(text: str, name: str) -> float:
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[tuple[Health, Path, list[str]]]:
    missing: list[str] = []
    health = Health("127.0.0.1:0", tmp_path, lambda: missing).start()
    try:
        yield health, tmp_path, missing
    finally:
        health.stop()


def _get(health: Health, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{health.port}{path}", timeout=10)


def test_it_is_alive_while_it_goes_round(
    answering: tuple[Health, Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    health, _, _ = answering
    assert _get(health, "/live").status_code == 200
    health.beat()
    assert _get(health, "/live").text == "alive\n"
    monkeypatch.setattr(module, "STUCK_S", 0.05)
    time.sleep(0.1)
    stuck = _get(health, "/live")
    assert stuck.status_code == 503
    assert "has not gone round" in stuck.text


def test_it_is_ready_where_all_run_and_names_who_does_not(answering: tuple[Health, Path, list[str]]) -> None:
    health, _, missing = answering
    assert _get(health, "/ready").status_code == 200
    missing.append("detect-0")
    assert _get(health, "/ready").status_code == 503
    assert _get(health, "/ready").text == "detect-0 does not run, or has a problem\n"
    assert _get(health, "/else").status_code == 404


def test_metrics_are_those_of_all_processes(answering: tuple[Health, Path, list[str]]) -> None:
    health, folder, _ = answering
    for status in (CORRELATE, COLLECT):
        now = time.time()
        text = json.dumps({**status, "at": now, "checkpoint_at": now - 4})
        (folder / f"{status['worker']}.json").write_text(text)
    (folder / "old.json").write_text(json.dumps({**COLLECT, "worker": "old", "at": time.time() - 3_600}))
    answer = _get(health, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert values == {
        'aup_checkpoint_age_seconds{agent="correlate"}': "4",
        'aup_checkpoint_bytes{agent="correlate"}': "10",
        'aup_checkpoint_seconds{agent="correlate"}': "0.25",
        'aup_corrupt_batches_total{topic="aup.detections"}': "2",
        'aup_evictions_total{agent="correlate",what="window rows"}': "2",
        'aup_lag_rows{agent="correlate",topic="aup.detections"}': "4",
        'aup_lag_seconds{agent="correlate",source="a"}': "30",
        "aup_latency_seconds_count": "2",
        'aup_lines_read_total{source="a"}': "12",
        'aup_messages_handled_total{worker="correlate-0"}': "7",
        'aup_missing_refused_total{topic="aup.detections"}': "1",
        'aup_reorder_rows{agent="correlate"}': "4",
        'aup_repeats_dropped_total{topic="aup.detections"}': "4",
        'aup_state_keys{agent="correlate"}': "3",
        'aup_watermark_seconds{agent="correlate"}': "40",
        'aup_worker_up{worker="collect"}': "1",
        'aup_worker_up{worker="correlate-0"}': "1",
    }
    assert {line.split()[2] for line in answer.text.splitlines() if line.startswith("# TYPE")} <= DECLARED.keys()


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"health\.listen: cannot listen on 127\.0\.0\.1:{port}: .*in use"):
            Health(f"127.0.0.1:{port}", tmp_path, list).start()


def test_nothing_listens_where_nothing_is_said(tmp_path: Path) -> None:
    for listen in ("", module.OFF):
        assert Health(listen, tmp_path, list).start().port == 0


def _told(text: str) -> set[str]:
    """Names of the metrics of an answer."""
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


@pytest.mark.servers
@pytest.mark.timeout(300)
def test_a_running_system_becomes_ready_and_tells_its_metrics(tmp_path: Path) -> None:
    scene = simulated(tmp_path, seed=8, lines=3_000)
    scene.change(health={"listen": "127.0.0.1:0"}, traces={"endpoint": _nobody(), "sample": 1.0})
    with scene.running() as system:
        health = system.health().start()
        try:
            wait_until(system, lambda: _get(health, "/ready").status_code == 200, WITHIN_S)
            wait_until(system, system.drained, WITHIN_S)
            # Of a process that a busy machine does not let tell how it is, nothing is told meanwhile.
            wait_until(system, lambda: _told(_get(health, "/metrics").text) >= set(TOLD.split()), WITHIN_S)
            text = _get(health, "/metrics").text
            assert 'aup_lag_rows{agent="detect",topic="aup.events.proxy"} 0\n' in text
            assert 'aup_worker_up{worker="persist-0"} 1\n' in text
            assert _told(text) <= DECLARED.keys()
            # Nobody takes the spans: they are dropped and counted, and all came through.
            wait_until(system, lambda: _value(_get(health, "/metrics").text, "aup_spans_dropped_total") > 0, WITHIN_S)
            assert _value(_get(health, "/metrics").text, "aup_spans_sent_total") == 0
            system.processes.remove("notify-0")
            system.start_worker("notify", 0)
            assert "notify-0 does not run" in _get(health, "/ready").text
        finally:
            health.stop()
    assert not [t for t in threading.enumerate() if t.name == "health"]
