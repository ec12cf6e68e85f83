"""Liveness, readiness and metrics over HTTP, from the status files that every process writes.

`/live`: 200 while the process goes round, 503 where it has not for a minute: restart it. `/ready`: 200 where everything
that should run runs, else 503 and a line for each that does not. `/metrics`: Prometheus text format 0.0.4 of all
processes whose status is in the data folder; the names stand in `schemas.metrics`.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from agents.engine.progress import PROGRESS
from infra.run.drain import statuses
from schemas import metrics as m
from schemas.errors import ConfigError
from schemas.metrics import Metrics, exposition

OFF = "off"
STUCK_S = 60.0  # a process that has not gone round for so long is not alive
_TEXT = "text/plain; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
# Figures of an input partition that become a gauge of its agent, added up.
_SUMS = (("pending", m.REORDER_ROWS), ("keys", m.STATE_KEYS), ("checkpoint_bytes", m.CHECKPOINT_BYTES))
_COUNTS = (("repeats", m.REPEATS_DROPPED), ("missing", m.MISSING_REFUSED), ("corrupt", m.CORRUPT_BATCHES))
# Figures of what rules gave up at a limit, and what that is called.
_GIVEN_UP = (("left_early", "window rows"), ("new_values_missed", "known values"))


class Health:
    """Answers in a thread of its own.

    Args:
        listen: host:port; empty or `OFF`: it does nothing.
        status: Folder of status files.
        not_ready: Names of what should run and does not.
    """

    def __init__(self, listen: str, status: Path, not_ready: Callable[[], Iterable[str]]) -> None:
        self._listen, self._status, self._not_ready = listen, status, not_ready
        self._server: ThreadingHTTPServer | None = None
        self._beats = False
        self._last = time.monotonic()

    def start(self) -> Self:
        """Listen, where it is configured.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        if self._listen in ("", OFF):
            return self
        host, _, port = self._listen.rpartition(":")
        try:
            self._server = ThreadingHTTPServer((host.strip("[]"), int(port)), self._handler())
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            hint = "name another port, or leave it out"
            raise ConfigError(f"cannot listen on {self._listen}: {reason}", where="health.listen", hint=hint) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return self

    @property
    def port(self) -> int:
        """That it listens on; 0 where it does not."""
        return 0 if self._server is None else int(self._server.server_address[1])

    def beat(self) -> None:
        """The process goes round. Once it has been told so, it is not alive without."""
        self._beats, self._last = True, time.monotonic()

    def stop(self) -> None:
        """Answer no more. Idempotent."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str) -> tuple[HTTPStatus, str, str]:
        """Status, content type and text for a path."""
        match path.partition("?")[0]:
            case "/live":
                stuck = time.monotonic() - self._last
                if self._beats and stuck > STUCK_S:
                    return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, f"has not gone round for {stuck:.0f} s\n"
                return HTTPStatus.OK, _TEXT, "alive\n"
            case "/ready":
                missing = [f"{name} does not run, or has a problem\n" for name in self._not_ready()]
                status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
                return status, _TEXT, "".join(missing) or "ready\n"
            case "/metrics":
                return HTTPStatus.OK, _PROMETHEUS, exposition(series(statuses(self._status)))
        return HTTPStatus.NOT_FOUND, _TEXT, "there are /live, /ready and /metrics\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                """Answer."""
                status, kind, text = answer(self.path)
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: it is asked every few seconds."""

        return Handler


def series(told: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Values by series: what processes count themselves, and what agents' figures say."""
    told = list(told)
    found: dict[str, float] = {}
    made = Metrics()
    by_agent: dict[str, list[tuple[str, Mapping[str, Any]]]] = defaultdict(list)
    for status in told:
        made.set(m.WORKER_UP, 1, worker=str(status["worker"]))
        for name, value in status.get("metrics", {}).items():
            found[name] = found.get(name, 0) + value
        if "handled" in status:
            _worker(made, status)
        inputs = status.get("inputs", {}).items()
        by_agent[str(status["agent"])] += [(place.rpartition("/")[0], figures) for place, figures in inputs]
    newest = newest_of(told)
    for agent, inputs in by_agent.items():
        _agent(made, agent, inputs)
        for source, seconds in time_lags([figures for _, figures in inputs], newest).items():
            made.set(m.TIME_LAG, seconds, agent=agent, source=source)
    return {**found, **made.snapshot()}


def _worker(made: Metrics, status: Mapping[str, Any]) -> None:
    """What one worker says of itself."""
    agent = str(status["agent"])
    made.add(m.HANDLED, status["handled"], worker=str(status["worker"]))
    made.set(m.CHECKPOINT_SECONDS, status["checkpoint_s"], agent=agent)
    if "checkpoint_at" in status:
        age = status["at"] - status["checkpoint_at"]
        made.set(m.CHECKPOINT_AGE, max(age, made.value(m.CHECKPOINT_AGE, agent=agent)), agent=agent)
    # The facts are the process's: each of its partitions tells the same numbers.
    facts = next((figures for figures in status["inputs"].values() if "facts" in figures), None)
    if facts is not None:
        made.set(m.FACTS, facts["facts"], worker=str(status["worker"]))
        made.add(m.FACTS_READ_AGAIN, facts["facts_read_again"], worker=str(status["worker"]))
        made.add(m.EVICTIONS, facts["facts_evicted"], agent=agent, what="facts")


def _agent(made: Metrics, agent: str, inputs: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """What the partitions of one agent, by topic, come to."""
    lag: dict[str, float] = defaultdict(float)
    for topic, figures in inputs:
        lag[topic] += max(0, (figures.get("end") or 0) - figures.get("next", 0))
        for name, metric in _COUNTS:
            if name in figures:
                made.add(metric, figures[name], topic=topic)
        for name, what in _GIVEN_UP:
            if name in figures:
                made.add(m.EVICTIONS, figures[name], agent=agent, what=what)
    for topic, behind in lag.items():
        made.set(m.LAG, behind, agent=agent, topic=topic)
    for name, metric in _SUMS:
        if any(name in figures for _, figures in inputs):
            made.set(metric, sum(figures.get(name, 0) for _, figures in inputs), agent=agent)
    marks = [figures["watermark_s"] for _, figures in inputs if figures.get("watermark_s") is not None]
    if marks:
        made.set(m.WATERMARK, min(marks), agent=agent)


def newest_of(told: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Event time that collectors have come to, by source; seconds since 1970 UTC."""
    sources = {name: about for status in told for name, about in status.get("sources", {}).items()}
    return {name: about["newest_s"] for name, about in sources.items() if "newest_s" in about}


def time_lags(inputs: Iterable[Mapping[str, Any]], newest: Mapping[str, float]) -> dict[str, float]:
    """How many seconds of event time collectors are ahead, by source: of the partitions the slowest counts."""
    reached: dict[str, float] = {}
    for figures in inputs:
        for name, value in figures.items():
            if name.startswith(PROGRESS):
                source = name.removeprefix(PROGRESS)
                reached[source] = min(value, reached.get(source, value))
    return {s: max(0.0, round(newest[s] - reached[s], 3)) for s in sorted(reached.keys() & newest.keys())}
