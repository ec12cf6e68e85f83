"""A worker that is stuck is noticed: outside its group for too long, or with a client that has given up."""

from __future__ import annotations

import queue
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.delivery.watchdog import CRASHED, Watchdog
from tests.chaos.proxy import Proxy

WITHIN_S = 0.4


def _watched(joined: list[bool], broken: list[str]) -> tuple[Watchdog, queue.Queue[str]]:
    said: queue.Queue[str] = queue.Queue()
    watchdog = Watchdog(lambda: joined[-1], lambda: broken[-1] if broken else None, said.put, WITHIN_S)
    watchdog.start()
    return watchdog, said


def test_a_worker_in_its_group_is_left_alone_and_told_of_once_it_is_out_too_long() -> None:
    joined = [True]
    watchdog, said = _watched(joined, [])
    with pytest.raises(queue.Empty):
        said.get(timeout=3 * WITHIN_S)
    joined.append(False)
    assert "no partitions were given out" in said.get(timeout=10 * WITHIN_S)
    watchdog.join(5)
    assert not watchdog.is_alive()


def test_a_short_time_outside_is_no_reason() -> None:
    joined = [True]
    watchdog, said = _watched(joined, [])
    for _ in range(4):
        joined.append(False)
        time.sleep(WITHIN_S / 4)
        joined.append(True)
        time.sleep(WITHIN_S / 2)
    watchdog.stop()
    watchdog.join(5)
    assert said.empty()


def test_a_client_that_has_given_up_is_told_of_at_once() -> None:
    watchdog, said = _watched([True], ["the client has left its group"])
    assert said.get(timeout=5) == "the client has left its group"
    watchdog.join(5)


_UNANSWERED = """
import sys
from pathlib import Path
from agents.delivery.watchdog import Watchdog
Watchdog.__init__.__defaults__ = (3.0,)  # in place of two minutes
from agents.settings import AgentSettings
home = Path(sys.argv[1])
settings = AgentSettings(kafka=sys.argv[2], status=home)
from agents import faust_app
faust_app.run(faust_app.build("notify", 0, settings, lambda *_: None, home / "faust"))
"""


def test_a_worker_that_gets_no_answer_ends_with_the_code_that_has_it_started_again(tmp_path: Path) -> None:
    """A listener that takes connections and says nothing: without the watchdog Faust waits on."""
    proxy = Proxy(lambda: 0).start()
    proxy.mode("half-open")
    try:
        command = [sys.executable, "-c", _UNANSWERED, str(tmp_path), f"127.0.0.1:{proxy.port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    finally:
        proxy.mode("open")
        proxy.stop()
    assert done.returncode == CRASHED, done.stderr
    assert (
        "no partitions were given out, or nothing was begun on them, for 3 s; the worker ends and is started again"
        in done.stderr
    )
