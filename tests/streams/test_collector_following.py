"""Collectors of followed logs: quiet times, clocks, rotation under open joins, kills."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from infra.run.heart import heartbeat
from schemas.errors import StateError
from schemas.headers import NEVER
from schemas.kinds import EventKind
from streams.memory import MemorySink
from tests.streams.small import SECOND, World, assert_conserved, collector, config


class Followed:
    """A followed log and its collector, with a clock of its own."""

    def __init__(self, folder: Path, **changes: object) -> None:
        self.path, self.state = folder / "log", folder / "state"
        self.path.touch()
        self.config = config(self.path, mode="follow", **changes)
        self.now = 1_000 * SECOND
        self.world = World()
        self.start()

    def start(self) -> None:
        self.sink = MemorySink(2)
        self.collector = collector(self.config, self.sink, self.state)

    def write(self, *lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))

    def run(self, seconds: float) -> list[tuple[int, bool]]:
        """Steps of a quarter of a second; gives what the markers for partition 0 told."""
        told = []
        for _ in range(int(seconds * 4)):
            self.collector.step(self.now)
            self.now += SECOND // 4
            messages = self.sink.take()
            self.world.take(messages)
            told += [
                (m.headers.progress, m.headers.idle)
                for m in messages
                if m.headers and m.headers.kind == "marker" and m.partition == 0
            ]
        return told


def test_a_quiet_log_says_so_and_its_ledger_is_exact_meanwhile(tmp_path: Path) -> None:
    log = Followed(tmp_path, type="joining")
    log.write(b"100 a more", b"100 b more", b"101 b end", b"nothing")
    told = log.run(5)
    assert told[-1] == (91 * SECOND, True)
    totals = log.world.totals()
    assert (totals["lines"], totals["in_events"], totals["open_joins"], totals["dead_letters"]) == (4, 2, 1, 1)
    assert not any(record["final"] for record in log.world.ledger.values())


def test_a_log_that_stays_quiet_covers_the_time_that_passes_and_later_old_rows_are_late(tmp_path: Path) -> None:
    log = Followed(tmp_path, idle_covers_s=30.0)
    log.write(b"100 ev")
    told = log.run(100)
    assert told[-1][0] > 170 * SECOND
    log.collector.close()
    log.start()  # a kill between telling and the next row must not unsay it
    log.write(b"120 ev", b"300 ev")
    log.run(3)
    assert log.world.events(EventKind.LOGIN)["late"].to_list() == [False, True, False]


def test_a_quiet_log_catches_up_with_the_time_in_which_nobody_read_it(tmp_path: Path) -> None:
    log = Followed(tmp_path, idle_covers_s=30.0)
    log.write(b"1000 ev")
    assert log.run(60)[-1][0] > 1_040 * SECOND
    log.collector.close()
    log.now += 3_600 * SECOND
    log.start()
    behind = [log.now - log.run(60)[-1][0] for _ in range(10)]
    assert behind[0] > 2_900 * SECOND, "bit by bit: senders may have kept lines"
    assert behind == sorted(behind, reverse=True)
    assert behind[-1] == behind[-2] < 20 * SECOND
    log.collector.close()
    log.now += 600 * SECOND
    log.start()
    log.write(b"%d ev" % (log.now // SECOND - 500))
    log.run(3)
    assert log.world.events(EventKind.LOGIN)["late"].to_list() == [False, False], "one that a sender had kept"


def test_a_quiet_log_catches_up_with_the_delay_of_its_last_line_too(tmp_path: Path) -> None:
    log = Followed(tmp_path, idle_covers_s=30.0)
    log.write(b"999 ev")
    log.run(60)
    log.collector.close()
    log.write(b"1080 ev")
    log.now += 300 * SECOND
    log.start()
    assert log.now - log.run(20)[-1][0] > 280 * SECOND, "not at once"
    assert log.now - log.run(120)[-1][0] < 20 * SECOND


def test_a_log_of_old_times_stays_as_far_behind_as_it_is(tmp_path: Path) -> None:
    log = Followed(tmp_path, idle_covers_s=30.0)
    log.write(b"100 ev")
    log.run(60)
    log.collector.close()
    log.now += 100 * SECOND
    log.start()
    assert 240 * SECOND < log.run(100)[-1][0] < 370 * SECOND


def test_a_quiet_log_can_be_told_to_cover_nothing(tmp_path: Path) -> None:
    log = Followed(tmp_path, idle_covers_s=None)
    log.write(b"100 ev")
    assert {progress for progress, _ in log.run(100)} == {90 * SECOND}


def test_a_log_that_is_not_there_covers_nothing(tmp_path: Path) -> None:
    log = Followed(tmp_path)
    log.path.unlink()
    assert {progress for progress, _ in log.run(100)} <= {NEVER}


def test_a_time_far_ahead_at_the_end_of_a_quiet_log_is_believed_only_up_to_the_clock(tmp_path: Path) -> None:
    log = Followed(tmp_path, jump_max_s=100, idle_covers_s=None)
    log.write(b"100 ev", b"900 ev")
    log.run(5)
    log.write(b"5000 ev")
    log.run(5)
    assert log.world.events(EventKind.LOGIN)["time_suspect"].to_list() == [False, False, True]
    assert log.run(1)[-1:] in ([], [(890 * SECOND, True)])


def test_what_the_clock_decided_stays_decided_after_a_kill(tmp_path: Path) -> None:
    log = Followed(tmp_path, jump_max_s=100, idle_covers_s=None)
    log.write(b"100 ev")
    log.run(3)
    log.write(b"5000 ev")
    for _ in range(8):  # up to the step that decides and sends, before the position behind it is saved
        log.collector.step(log.now)
        log.now += SECOND // 4
        if log.collector._pending is not None:
            break
    log.world.take(log.sink.take())
    log.collector.close()
    log.now += 10_000 * SECOND  # now the clock would believe it
    log.start()
    log.run(3)
    assert log.world.events(EventKind.LOGIN)["time_suspect"].to_list() == [False, True]
    assert log.run(12)[-1][0] == 90 * SECOND


def test_joins_cut_by_a_rotation_are_completed_and_name_the_lines_before(tmp_path: Path) -> None:
    log = Followed(tmp_path, type="joining")
    log.write(b"100 a more", b"100 b more", b"101 b end")
    log.run(3)
    log.collector.stop()
    log.run(1)
    assert log.collector.done
    log.path.rename(tmp_path / "log.1")
    log.write(b"102 a end", b"103 c more")
    log.start()
    log.run(6)
    event = log.world.events(EventKind.MAIL).filter(pl.col("email_local_id") == "a").row(0, named=True)
    assert event["log_offsets"] == [-32, 0]  # 32 bytes before the start of this content
    assert log.world.totals()["in_events"] == 4
    assert_conserved(log.world, 5)


def test_a_log_that_was_edited_before_the_saved_place_is_refused(tmp_path: Path) -> None:
    log = Followed(tmp_path)
    log.write(b"100 ev", b"101 ev")
    log.run(3)
    log.collector.close()
    log.path.write_bytes(log.path.read_bytes().replace(b"101", b"109") + b"102 ev\n")
    log.start()
    with pytest.raises(StateError, match="not those that were read before"):
        log.run(1)


@pytest.mark.parametrize("empty", [False, True])
def test_a_log_that_is_not_there_at_a_restart_is_read_on_once_it_is_there_again(tmp_path: Path, *, empty: bool) -> None:
    log = Followed(tmp_path)
    log.write(b"100 ev", b"101 ev")
    log.run(3)
    log.collector.close()
    away = tmp_path / "away" / "log"
    away.parent.mkdir()
    log.path.rename(away)
    if empty:  # what a place where nothing is mounted looks like, and like a log that must not be read
        log.path.mkdir()
    log.start()
    log.run(3)
    assert ("it cannot be read" if empty else "not there yet") in str(log.collector.told)
    if empty:
        log.path.rmdir()
    away.rename(log.path)
    log.write(b"102 ev")
    log.run(3)
    assert log.collector.told is None
    assert len(log.world.events(EventKind.LOGIN)) == 3
    assert_conserved(log.world, 3)


def test_a_log_that_was_edited_before_the_saved_place_is_left_once_it_is_rotated(tmp_path: Path) -> None:
    log = Followed(tmp_path)
    log.write(b"100 ev", b"101 ev")
    log.run(3)
    log.collector.close()
    log.path.write_bytes(log.path.read_bytes().replace(b"101", b"109") + b"102 ev\n")
    log.path.rename(tmp_path / "log.1")
    log.write(b"103 ev", b"104 ev")
    log.start()
    log.run(3)
    assert len(log.world.events(EventKind.LOGIN)) == 4
    assert log.collector.problem is None
    assert "not those that were read before" in str(log.collector.told)
    assert heartbeat(log.collector, log.now) is not None, "what was lost before does not make a log absent that is read"
    assert_conserved(log.world, 4)
