"""Copies in the place of a followed log: read on where they are longer, and said where they are something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.sources.losses import SAID_US
from tests.streams.rotating import Log, read_from


def test_a_longer_copy_in_the_place_of_the_log_is_read_on(log: Log) -> None:
    follower = read_from(log)
    log.replace(log.path.read_bytes())
    follower.poll()
    assert (follower.source.problem, follower.source.at_end) == (None, True)
    for _ in range(3):
        log.written.append(b"line %d" % len(log.written))
        log.replace(log.path.read_bytes() + log.written[-1] + b"\n")
        follower.poll()
    assert follower.got == log.written
    assert (follower.source.problem, follower.source.at_end) == (None, True)
    log.reopen()
    log.write(2)
    log.rename()
    log.reopen()
    log.write(1)
    follower.poll()
    assert follower.got == log.written


@pytest.mark.parametrize("then", ["renamed", "truncated", "compressed", "twice"])
def test_a_longer_copy_that_is_rotated_before_it_is_noticed_is_read_to_its_end(log: Log, then: str) -> None:
    follower = read_from(log)
    log.longer(3)
    if then == "truncated":
        log.copy_truncate()
    else:
        log.rename()
        log.reopen()
    if then == "compressed":
        log.compress()
    log.write(2)
    if then == "twice":
        log.rename()
        log.reopen()
        log.write(2)
    follower.poll()
    assert follower.got == log.written
    assert (follower.source.problem, follower.source.notice) == (None, None)
    assert (follower.source.at_end, follower.source.unread_bytes) == (True, 0)


def test_a_longer_copy_is_read_though_nothing_is_written_to_the_new_file(log: Log) -> None:
    follower = read_from(log)
    log.longer(1)
    log.rename()
    log.create()
    follower.poll()
    assert follower.got == log.written


def test_a_compressed_copy_of_what_was_read_is_left_alone(log: Log) -> None:
    follower = read_from(log)
    log.rename()
    log.reopen()
    log.compress()
    log.write(1)
    follower.poll()
    assert follower.got == log.written
    assert follower.source.notice is None


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("noticed", [False, True])
def test_what_an_edited_copy_has_more_is_counted_and_said_once_it_is_rotated(
    log: Log, *, packed: bool, noticed: bool
) -> None:
    follower = read_from(log)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.replace(b"".join([*lines[:-2], lines[-1], b"x" * 99, b"\n"]))
    more = 100 - len(lines[-2])
    if noticed:
        follower.poll()
        assert follower.source.unread_bytes == more
    log.rename()
    log.reopen()
    if packed:
        log.compress()
    log.write(2)
    follower.poll()
    follower.restart()
    follower.poll()
    assert follower.got == log.written
    assert follower.source.unread_bytes == more
    assert "is not read" in str(follower.source.notice)
    assert (follower.source.problem, follower.source.at_end) == (None, True)
    follower.skip(SAID_US)
    follower.poll()
    notice: object = follower.source.notice
    assert (notice, follower.source.unread_bytes) == (None, more)


def test_a_log_that_was_emptied_without_a_copy_is_said(log: Log) -> None:
    follower = read_from(log)
    log.empty()
    log.write(1)
    follower.poll()
    assert follower.got == log.written
    assert "no copy is beside it" in str(follower.source.notice)


def test_what_is_still_written_to_the_replaced_file_is_read(log: Log) -> None:
    follower = read_from(log)
    log.replace(log.path.read_bytes())
    log.write(2)  # by a program that has the old file open
    follower.poll()
    assert follower.got == log.written


@pytest.mark.parametrize("change", ["edited", "cut", "cut short"])
def test_a_file_in_the_place_of_the_log_that_is_no_copy_of_it_is_refused_with_a_word(log: Log, change: str) -> None:
    follower = read_from(log)
    lines = log.path.read_bytes().splitlines(keepends=True)
    del lines[-2 if change == "edited" else -1]
    log.replace(b"".join(lines) + (b"" if change == "cut short" else b"another one\n" * 5))
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
    log.replace(old + b"one more\n")
    follower.poll()
    assert follower.got == log.written
    assert "same line" in str(follower.source.problem)
