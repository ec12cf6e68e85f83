"""What is started again, and what is not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from infra.run.supervisor import Spec, Supervisor


def _after(supervisor: Supervisor, name: str, starts: int) -> int:
    deadline = time.monotonic() + 10
    while supervisor.starts[name] < starts and time.monotonic() < deadline:
        supervisor.poll()
        time.sleep(0.02)
    return supervisor.starts[name]


def test_a_worker_that_somebody_else_asked_to_end_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    supervisor.start(Spec("worker", [sys.executable, "-c", "pass"]))
    try:
        assert _after(supervisor, "worker", 2) == 2
        assert supervisor.exit_code("worker") is None
    finally:
        supervisor.stop()


def test_what_ends_by_itself_is_left_alone_after_its_final_code_and_no_other(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path)
    code = "import pathlib, sys; p = pathlib.Path('seen'); again = p.exists(); p.touch(); sys.exit(0 if again else 3)"
    supervisor.start(Spec("reader", [sys.executable, "-c", code], cwd=tmp_path, final=frozenset({0})))
    try:
        assert _after(supervisor, "reader", 2) == 2
        assert _after(supervisor, "reader", 3) == 2
        assert supervisor.exit_code("reader") == 0
    finally:
        supervisor.stop()
