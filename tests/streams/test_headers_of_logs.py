"""Logs that all begin with the same header: told apart by their first data line, followed through being overwritten."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import generation_of
from streams.sources.abstract import Source, SourceChunk
from streams.sources.content import PREAMBLE_LINES, ContentSettings, open_content
from streams.sources.file_follow import GRACE_US, FileFollow
from streams.sources.file_once import FileOnce

HEADER = b"#Software: a web server\r\n#Version: 1.0\r\n#Fields: date time s-ip\r\n"
SETTINGS = ContentSettings(1_000, preamble=re.compile(rb"#").match)  # type: ignore[arg-type]  # a match is true enough
LONG_HEADER = b"#" + b"x" * 100 + b"\n"


def read_all(source: Source, times: int = 20) -> list[SourceChunk]:
    chunks = []
    for i in range(times):
        chunk = source.read(100, i * GRACE_US)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def lines_of(chunks: list[SourceChunk]) -> list[bytes]:
    return [line for chunk in chunks for line in chunk.lines]


def test_the_name_of_a_content_is_that_of_its_first_data_line_and_the_header_is_handed_out_too(tmp_path: Path) -> None:
    path = tmp_path / "u_ex1.log"
    path.write_bytes(HEADER + b"first\r\nsecond\r\n")
    (chunk,) = read_all(FileOnce(path, SETTINGS))
    assert chunk.generation == generation_of(b"first")
    assert chunk.offsets[0] == 0
    assert list(chunk.lines[-2:]) == [b"first", b"second"]
    assert len(chunk.lines) == 5


def test_a_log_that_has_only_a_header_so_far_gives_nothing_until_its_first_data_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HEADER)
    source = FileFollow(path, SETTINGS)
    assert not read_all(source)
    assert source.at_end
    with path.open("ab") as file:
        file.write(b"first\n")
    (chunk,) = read_all(source)
    assert (chunk.generation, len(chunk.lines)) == (generation_of(b"first"), 4)


def test_of_a_log_read_once_that_has_a_header_alone_the_header_is_the_content(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HEADER)
    (chunk,) = read_all(FileOnce(path, SETTINGS))
    assert len(chunk.lines) == 3
    assert chunk.generation == generation_of(HEADER.replace(b"\r", b"").rstrip(b"\n"))


def test_two_logs_with_the_same_header_are_two_contents_through_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HEADER + b"monday\n")
    source = FileFollow(path, SETTINGS)
    first = read_all(source)
    path.rename(tmp_path / "log.1")
    path.write_bytes(HEADER + b"tuesday\n")
    second = read_all(source)
    assert [c.generation for c in first + second] == [generation_of(b"monday"), generation_of(b"tuesday")]


def test_a_log_that_is_overwritten_in_place_is_noticed_behind_a_header_of_kilobytes(tmp_path: Path) -> None:
    path = tmp_path / "DhcpSrvLog-Mon.log"
    header = LONG_HEADER * 40  # about 4 KB, the same every week
    path.write_bytes(header + b"this monday\n")
    source = FileFollow(path, SETTINGS)
    first = read_all(source)
    with path.open("r+b") as file:
        file.write(header + b"next monday\nmore of it\n")
    second = read_all(source)
    assert lines_of(first)[-1] == b"this monday"
    assert lines_of(second)[-2:] == [b"next monday", b"more of it"]
    assert second[0].generation == generation_of(b"next monday")


def test_a_header_without_end_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"#%d\n" % i for i in range(PREAMBLE_LINES + 50)))
    content = open_content(path, SETTINGS)
    assert content.identify(final=False) == generation_of(b"#%d" % PREAMBLE_LINES)


def test_reading_goes_on_where_it_stopped_behind_a_header(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(HEADER + b"first\nsecond\n")
    source = FileFollow(path, SETTINGS)
    chunk = source.read(4, 0)
    assert chunk is not None
    again = FileFollow(path, SETTINGS)
    again.load(source.save())
    assert again.seek(chunk.generation, chunk.end_offset)
    assert lines_of(read_all(again)) == [b"second"]


@given(st.lists(st.sampled_from([b"#h", b"data", b""]), max_size=6), st.integers(1, 9))
def test_the_name_does_not_depend_on_when_the_bytes_come(lines: list[bytes], step: int) -> None:
    import tempfile

    content = b"".join(line + b"\n" for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.touch()
        source = FileFollow(path, SETTINGS)
        got = []
        for at in range(0, len(content), step):
            with path.open("ab") as file:
                file.write(content[at : at + step])
            got += read_all(source, 2)
        source.close()
    data = [line for line in lines if not line.startswith(b"#")]
    if data:
        assert {c.generation for c in got} == {generation_of(data[0])}
        assert lines_of(got) == lines
    else:
        assert not got
