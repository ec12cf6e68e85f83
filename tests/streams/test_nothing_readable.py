"""A log of which no line can be read: said, while reading goes on; and taken back with the first event."""

from __future__ import annotations

from pathlib import Path

from infra.run.heart import heartbeat
from schemas.kinds import DEAD_LETTERS
from streams.collector import Collector
from streams.counting import REJECTED_IN_A_ROW
from streams.memory import MemorySink
from tests.streams.small import collector, config


def _steps(running: Collector, sink: MemorySink) -> list[str]:
    """Read to the end, and look once more; topics of what was sent."""
    topics, size = list[str](), Path(running.config.path).stat().st_size
    quiet = 0
    while quiet < 3:
        quiet = quiet + 1 if not running.step(0) and running.offset == size else 0
        topics += [message.topic for message in sink.take()]
    return topics


def _problem(running: Collector) -> str:
    return str(running.problem or "")


def test_a_log_of_another_type_is_said_to_be_one_and_its_source_is_not_heard_of_until_it_can_be_read(
    tmp_path: Path,
) -> None:
    log, sink = tmp_path / "log", MemorySink(3)
    log.write_bytes(b"1 ev\n" + b"rubbish\n# note\n" * (REJECTED_IN_A_ROW - 1))
    running = collector(config(log, mode="follow"), sink, tmp_path / "state")
    _steps(running, sink)
    assert not _problem(running)
    with log.open("ab") as more:
        more.write(b"rubbish\n# note\n" * 4)
    assert DEAD_LETTERS in _steps(running, sink)
    assert "is it really of type tiny?" in _problem(running)
    assert heartbeat(running, 2_000) is None
    with log.open("ab") as more:
        more.write(b"2 ev\n")
    _steps(running, sink)
    assert not _problem(running)
    assert heartbeat(running, 2_000) is not None
    running.close()
