"""Logs that are a folder of files: read in order, followed from one to the next, what comes too late is said."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from schemas.errors import InputError
from streams.sources.content import ContentSettings
from streams.sources.file_follow import GRACE_US
from streams.sources.folder import in_order, is_pattern, matching, natural
from streams.sources.folder_read import FolderFollow, FolderOnce

SETTINGS = ContentSettings(1_000)
SECOND = 1_000_000


def write(folder: Path, name: str, *lines: str, at: int = 0) -> Path:
    path = folder / name
    with path.open("ab") as file:
        file.write(b"".join(f"{line}\n".encode() for line in lines))
    if at:
        os.utime(path, (at, at))
    return path


class Reader:
    """Reads on, and restarts from where it was."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.now = pattern, 0
        self.source = FolderFollow(pattern, SETTINGS)
        self.place: tuple[str, int] | None = None

    def poll(self) -> list[str]:
        got: list[str] = []
        for _ in range(12):
            chunk = self.source.read(3, self.now)
            self.now += GRACE_US
            if chunk is not None:
                got += [line.decode() for line in chunk.lines]
                self.place = (chunk.generation, chunk.end_offset)
        return got

    def restart(self) -> None:
        state = self.source.save()
        self.source.close()
        self.source = FolderFollow(self.pattern, SETTINGS)
        self.source.load(state)
        assert self.place is None or self.source.seek(*self.place)


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["log10", "log9", "log1", "log2.gz", "log1.2", "log1.10"]
    assert sorted(names, key=natural) == ["log1", "log1.2", "log1.10", "log2.gz", "log9", "log10"]


def test_files_that_match_are_read_once_each_in_the_order_of_their_names(tmp_path: Path) -> None:
    for day in (10, 9, 2):
        write(tmp_path, f"u_ex{day}.log", f"{day} first", f"{day} second")
    write(tmp_path, "u_ex3.log")
    (tmp_path / "u_ex4.log").write_bytes(gzip.compress(b"4 packed\n"))
    (tmp_path / "u_ex5.log").write_bytes(gzip.compress(b"5 damaged, but random text 1 2 3\n" * 99)[:60])
    write(tmp_path, "u_ex6.log", "9 first", "the same first line")
    (tmp_path / "u_ex7.log").mkdir()
    source, got = FolderOnce(str(tmp_path / "u_ex*.log"), SETTINGS), []
    while not source.ended:
        chunk = source.read(1, 0)
        got += [] if chunk is None else [line.decode() for line in chunk.lines]
    assert [line for line in got if "damaged" not in line and line != "the same first line"] == [
        *("2 first", "2 second", "4 packed", "9 first", "10 first", "10 second"),
    ]
    assert source.damage is not None


@pytest.mark.parametrize("lines", range(1, 7))
def test_reading_them_once_goes_on_where_it_stopped(tmp_path: Path, lines: int) -> None:
    for n in (1, 2, 3):
        write(tmp_path, f"log{n}", f"{n} a", f"{n} b")
    source = FolderOnce(str(tmp_path / "log*"), SETTINGS)
    got: list[bytes] = []
    place = ("", 0)
    for _ in range(lines):
        chunk = source.read(1, 0)
        assert chunk is not None
        got += chunk.lines
        place = (chunk.generation, chunk.end_offset)
    again = FolderOnce(str(tmp_path / "log*"), SETTINGS)
    again.load(source.save())
    assert again.seek(*place)
    while (more := again.read(10, 0)) is not None:
        got += more.lines
    assert got == [b"%d %c" % (n, c) for n in (1, 2, 3) for c in b"ab"]


def test_no_file_at_all_is_an_error_that_names_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        FolderOnce(str(tmp_path / "*.log"), SETTINGS).read(1, 0)


def test_the_newest_file_is_followed_and_a_new_one_takes_over(tmp_path: Path) -> None:
    write(tmp_path, "u_ex9.log", "9 a")
    write(tmp_path, "u_ex10.log", "10 a")
    reader = Reader(str(tmp_path / "u_ex*.log"))
    assert reader.poll() == ["9 a", "10 a"]
    assert reader.source.at_end
    write(tmp_path, "u_ex10.log", "10 b")
    assert reader.poll() == ["10 b"]
    write(tmp_path, "u_ex10.log", "10 c")
    write(tmp_path, "u_ex11.log", "11 a")
    assert reader.poll() == ["10 c", "11 a"]
    reader.restart()
    assert reader.poll() == []
    write(tmp_path, "u_ex11.log", "11 b")
    assert reader.poll() == ["11 b"]
    assert reader.source.problem is None


def test_files_that_came_while_it_was_stopped_are_read_in_order(tmp_path: Path) -> None:
    write(tmp_path, "u_ex1.log", "1 a")
    reader = Reader(str(tmp_path / "u_ex*.log"))
    reader.poll()
    write(tmp_path, "u_ex1.log", "1 b")
    for n in (2, 3, 10):
        write(tmp_path, f"u_ex{n}.log", f"{n} a")
    (tmp_path / "u_ex1.log").rename(tmp_path / "u_ex01.log")
    reader.restart()
    assert reader.poll() == ["1 b", "2 a", "3 a", "10 a"]


def test_an_older_file_that_grows_or_comes_late_is_not_read_but_said_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, "u_ex2.log", "2 a")
    write(tmp_path, "u_ex3.log", "3 a")
    reader = Reader(str(tmp_path / "u_ex*.log"))
    reader.poll()
    write(tmp_path, "u_ex2.log", "2 b")
    assert reader.poll() == []
    assert reader.source.unread_bytes == 4
    assert "4 bytes in u_ex2.log are not read" in str(reader.source.problem)
    assert "declare a source for each name pattern" in str(reader.source.problem)
    assert reader.source.at_end
    write(tmp_path, "u_ex1.log", "1 a")
    reader.restart()
    reader.poll()
    assert reader.source.unread_bytes == 8


def test_what_cannot_be_read_or_is_empty_does_not_stop_the_rest(tmp_path: Path) -> None:
    write(tmp_path, "log1", "1 a")
    write(tmp_path, "log2")
    (tmp_path / "log3").symlink_to(tmp_path / "nowhere")
    (tmp_path / "log4").write_bytes(gzip.compress(b"x" * 100)[:20])
    write(tmp_path, "log5", "5 a")
    assert Reader(str(tmp_path / "log*")).poll() == ["1 a", "5 a"]


def test_logs_named_after_days_of_the_week_are_in_the_order_of_writing(tmp_path: Path) -> None:
    for n, day in enumerate(("Sun", "Mon", "Tue"), 1):
        write(tmp_path, f"DhcpSrvLog-{day}.log", f"{day} this week", at=n * 1_000)
    reader = Reader(str(tmp_path / "DhcpSrvLog-*.log"))
    assert reader.poll() == ["Sun this week", "Mon this week", "Tue this week"]
    (tmp_path / "DhcpSrvLog-Sun.log").write_text("")
    write(tmp_path, "DhcpSrvLog-Sun.log", "Sun next week", at=9_000)
    assert reader.poll() == ["Sun next week"]
    assert [f.path.name[11:14] for f in in_order(matching(reader.pattern), by_time=False)] == ["Mon", "Tue", "Sun"]


def test_a_name_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    write(tmp_path, "strange[1].log")
    assert not is_pattern(str(tmp_path / "strange[1].log"))
    assert is_pattern(str(tmp_path / "strange[2].log"))
    assert not is_pattern(str(tmp_path / "plain.log"))
