"""A followed log through every form of rotation: each line once, in order, whenever the collector runs or not."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.streams.rotating import Follower, Log, read_from


def test_what_is_written_to_the_renamed_file_until_the_writer_reopens_is_read_first(log: Log) -> None:
    follower = read_from(log)
    log.write(2)
    log.rename()
    follower.poll()
    log.create()
    log.write(2)
    follower.poll()
    log.reopen()
    log.write(3)
    follower.poll()
    assert follower.got == log.written


def test_the_rest_of_a_truncated_content_is_read_in_its_copy(log: Log) -> None:
    follower = read_from(log)
    log.write(4)
    log.copy_truncate()
    log.write(20)  # longer than before: only the first line tells
    follower.poll()
    assert follower.got == log.written


def test_the_rest_is_found_in_a_compressed_copy(log: Log) -> None:
    follower = read_from(log)
    log.write(4)
    log.copy_truncate()
    log.compress()
    log.write(1)
    follower.poll()
    assert follower.got == log.written


def test_several_rotations_while_it_was_stopped_are_read_in_order(log: Log) -> None:
    follower = read_from(log)
    for _ in range(3):
        log.write(4)
        log.rename()
        log.reopen()
        log.write(4)
        log.copy_truncate()
        log.compress()
    log.write(2)
    follower.restart()
    follower.poll()
    assert follower.got == log.written


def test_half_a_line_waits_for_its_other_half(log: Log) -> None:
    follower = read_from(log)
    log.write(1, half=True)
    follower.poll()
    assert follower.got == log.written[:-1]
    log.finish_half()
    follower.poll()
    assert follower.got == log.written


def test_half_a_line_cut_by_a_truncation_is_read_in_the_copy(log: Log) -> None:
    follower = read_from(log)
    log.write(0, half=True)
    follower.poll()
    log.copy_truncate()
    log.finish_half()
    log.write(2)
    follower.poll()
    assert follower.got[:5] == log.written[:5]
    assert follower.got[5] == log.written[5][:6]  # all that is left of it in the copy
    assert follower.got[-2:] == log.written[-2:]


def test_a_copy_that_is_made_before_the_truncation_is_not_read_twice(log: Log) -> None:
    follower = read_from(log)
    shutil.copyfile(log.path, log.path.with_name("access.log.1"))
    log.write(2)
    follower.restart()
    follower.poll()
    assert follower.got == log.written


def test_a_hole_left_by_truncating_a_file_being_written_is_no_line(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log._handle.close()
    log._handle = log.path.open("wb", buffering=0)  # not in append mode: goes on at its old place
    follower = read_from(log)
    shutil.copyfile(log.path, tmp_path / "access.log.1")
    os.truncate(log.path, 0)
    log.write(3)
    follower.poll()
    assert log.path.read_bytes().startswith(b"\0")
    assert follower.got == log.written


def test_a_log_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "access.log")
    follower.poll()
    assert len(follower.got) == 0
    before: tuple[object, bool] = (follower.source.problem, follower.source.at_end)
    assert "not there yet" in str(before[0])
    assert not before[1]
    log = Log(tmp_path)
    log.write(2)
    follower.poll()
    assert follower.got == log.written
    now: tuple[object, bool] = (follower.source.problem, follower.source.at_end)
    assert now == (None, True)


def test_a_directory_in_its_place_is_waited_for_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "access.log").mkdir()
    follower = Follower(tmp_path / "access.log")
    follower.poll()
    assert "directory" in str(follower.source.problem)


def test_older_rotated_files_are_not_read_when_a_log_is_followed_for_the_first_time(tmp_path: Path) -> None:
    (tmp_path / "access.log.1").write_bytes(b"yesterday\n")
    log = Log(tmp_path)
    follower = read_from(log)
    log.rename()
    log.reopen()
    log.write(1)
    follower.poll()
    assert follower.got == log.written


def test_a_log_that_begins_like_one_read_before_is_refused_with_a_word(log: Log) -> None:
    follower = read_from(log)
    os.truncate(log.path, 0)
    with log.path.open("ab") as file:
        file.write(b"line 0\n")
    follower.poll()
    assert len(follower.got) == 5
    assert "same line" in str(follower.source.problem)


class Rotations(RuleBasedStateMachine):
    """Anything in any order, restarts between any two steps."""

    @initialize(dated=st.booleans(), header=st.sampled_from([b"", b"#one\n#two\n", b"#%b\n" % (b"x" * 2_000)]))
    def begin(self, dated: bool, header: bytes) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rotations-"))
        self.log = Log(self.folder, dated=dated, header=header)
        self.log.write(1)
        self.follower = Follower(self.log.path)
        self.follower.poll()
        self.rotations = 0

    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        self.log.write(count)

    @precondition(lambda self: self.rotations < 8 and self.log.path.stat().st_size > 0)
    @rule()
    def rename(self) -> None:
        self.rotations += 1
        self.log.rename()
        self.log.create()
        self.log.reopen()

    @precondition(lambda self: self.rotations < 8 and self.log.path.stat().st_size > 0)
    @rule()
    def copy_truncate(self) -> None:
        self.rotations += 1
        self.log.copy_truncate()

    @precondition(lambda self: self.log.path.stat().st_size > 0)
    @rule(count=st.integers(1, 3))
    def longer_copy(self, count: int) -> None:
        self.log.longer(count)

    @rule()
    def compress(self) -> None:
        self.log.compress()

    @rule()
    def read_a_little(self) -> None:
        self.follower.one()

    @rule()
    def poll(self) -> None:
        self.follower.poll()

    @rule()
    def restart(self) -> None:
        self.follower.restart()

    def teardown(self) -> None:
        if hasattr(self, "log"):
            self.log.write(1)
            self.follower.poll()
            self.follower.restart()
            self.follower.poll()
            self.follower.source.close()
            shutil.rmtree(self.folder)
            assert self.follower.got == self.log.written
            assert len(set(self.follower.places)) == len(self.follower.places)


TestRotations = Rotations.TestCase
TestRotations.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
