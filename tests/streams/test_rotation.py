"""A followed log through every form of rotation: each line once, in order, whenever the collector runs or not."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from streams.sources.content import ContentSettings
from streams.sources.file_follow import GRACE_US, FileFollow


class Log:
    """A log's writer and logrotate, played by hand."""

    def __init__(self, folder: Path, *, dated: bool = False, header: bytes = b"") -> None:
        self.path = folder / "access.log"
        self.written: list[bytes] = []
        self._dated, self._day, self._header = dated, 0, header
        self._handle = self.path.open("ab", buffering=0)
        self._head()
        self.clock = 0

    def _head(self) -> None:
        if self.path.stat().st_size == 0:
            self._handle.write(self._header)

    def write(self, count: int, *, half: bool = False) -> None:
        for _ in range(count):
            line = b"line %d" % len(self.written)
            self.written.append(line)
            self._handle.write(line + b"\n")
        if half:
            line = b"line %d in two halves" % len(self.written)
            self.written.append(line)
            self._handle.write(line[:6])
            self._rest = line[6:] + b"\n"

    def finish_half(self) -> None:
        self._handle.write(self._rest)

    def _shift(self) -> Path:
        if self._dated:
            self._day += 1
            return self.path.with_name(f"access.log-202605{self._day:02d}")
        for n in range(9, 0, -1):
            for ending in ("", ".gz"):
                old = self.path.with_name(f"access.log.{n}{ending}")
                if old.exists():
                    old.rename(self.path.with_name(f"access.log.{n + 1}{ending}"))
        return self.path.with_name("access.log.1")

    def rename(self) -> None:
        """The old file goes on being written until `reopen`."""
        self.path.rename(self._shift())

    def create(self) -> None:
        self.path.touch()

    def reopen(self) -> None:
        self._handle.close()
        self._handle = self.path.open("ab", buffering=0)
        self._head()

    def copy_truncate(self) -> None:
        shutil.copyfile(self.path, self._shift())
        os.truncate(self.path, 0)
        self._head()

    def compress(self) -> None:
        for old in self.path.parent.glob("access.log?[0-9]*"):
            if old.suffix != ".gz":
                packed = old.with_name(old.name + ".gz")
                packed.write_bytes(gzip.compress(old.read_bytes()))
                stat = old.stat()
                os.utime(packed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
                old.unlink()


class Follower:
    """Reads, and restarts from where it was; lines of a header are left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._settings = ContentSettings(1_000, preamble=lambda line: line.startswith(b"#"))
        self.source = FileFollow(path, self._settings)
        self.got: list[bytes] = []
        self.places: list[tuple[str, int]] = []
        self._place: tuple[str, int] | None = None
        self._now = 0

    def poll(self) -> None:
        """Read all there is, with the time that a writer is given to move over to a new file."""
        for _ in range(40):
            chunk = self.source.read(3, self._now)
            self._now += GRACE_US
            if chunk is not None:
                self.got += [line for line in chunk.lines if not line.startswith(b"#")]
                self.places += [(chunk.generation, o) for o in chunk.offsets.tolist()]
                self._place = (chunk.generation, chunk.end_offset)

    def one(self) -> None:
        chunk = self.source.read(2, self._now)
        self._now += 1
        if chunk is not None:
            self.got += [line for line in chunk.lines if not line.startswith(b"#")]
            self.places += [(chunk.generation, o) for o in chunk.offsets.tolist()]
            self._place = (chunk.generation, chunk.end_offset)

    def restart(self) -> None:
        state = self.source.save()
        self.source.close()
        self.source = FileFollow(self._path, self._settings)
        self.source.load(state)
        if self._place is not None:
            self.source.seek(*self._place)


@pytest.fixture(params=[(False, b""), (True, b""), (False, b"#Fields: a\n")], ids=["numbered", "dated", "headed"])
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Log:
    dated, header = request.param
    return Log(tmp_path, dated=dated, header=header)


def read_from(log: Log) -> Follower:
    follower = Follower(log.path)
    log.write(5)
    follower.poll()
    return follower


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


def _replace(log: Log, content: bytes) -> None:
    """As `rsync`, `sed -i` and editors do: another file under the same name."""
    copy = log.path.with_name("copy")
    copy.write_bytes(content)
    copy.rename(log.path)


def test_a_longer_copy_in_the_place_of_the_log_is_read_on(log: Log) -> None:
    follower = read_from(log)
    _replace(log, log.path.read_bytes())
    follower.poll()
    assert (follower.source.problem, follower.source.at_end) == (None, True)
    for _ in range(3):
        log.written.append(b"line %d" % len(log.written))
        _replace(log, log.path.read_bytes() + log.written[-1] + b"\n")
        follower.poll()
    assert follower.got == log.written
    assert (follower.source.problem, follower.source.at_end) == (None, True)
    log._handle = log.path.open("ab", buffering=0)
    log.write(2)
    log.rename()
    log.reopen()
    log.write(1)
    follower.poll()
    assert follower.got == log.written


def test_what_is_still_written_to_the_replaced_file_is_read(log: Log) -> None:
    follower = read_from(log)
    _replace(log, log.path.read_bytes())
    log.write(2)  # by a program that has the old file open
    follower.poll()
    assert follower.got == log.written


@pytest.mark.parametrize("change", ["edited", "cut", "cut short"])
def test_a_file_in_the_place_of_the_log_that_is_no_copy_of_it_is_refused_with_a_word(log: Log, change: str) -> None:
    follower = read_from(log)
    lines = log.path.read_bytes().splitlines(keepends=True)
    del lines[-2 if change == "edited" else -1]
    _replace(log, b"".join(lines) + (b"" if change == "cut short" else b"another one\n" * 5))
    follower.poll()
    assert len(follower.got) == 5
    assert not follower.source.at_end
    assert "not what was read so far" in str(follower.source.problem)


def test_an_older_content_in_the_place_of_the_log_is_refused_with_a_word(tmp_path: Path) -> None:
    log = Log(tmp_path)
    follower = read_from(log)
    old = log.path.read_bytes()
    log.rename()
    log.reopen()
    log.write(2)
    follower.poll()
    (tmp_path / "access.log.1").unlink()
    _replace(log, old + b"one more\n")
    follower.poll()
    assert follower.got == log.written
    assert "same line" in str(follower.source.problem)


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
