"""Bytes to lines: any blocks, long lines, holes, line ends."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from streams.sources.content import ContentSettings
from streams.sources.decompress import GzipReader
from streams.sources.file_once import FileOnce
from streams.sources.lines import LineCutter

LIMIT = 8
content = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\0", b"\0\0\0", b"x" * 9, b"\r"]), max_size=40).map(
    b"".join
)


def cut(data: bytes, sizes: list[int]) -> list[tuple[bytes, int, int, int | None]]:
    cutter, out, at, turn = LineCutter(LIMIT), [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        got = cutter.feed(data[at : at + size])
        at, turn = at + size, turn + 1
        out += [
            (line, int(o), int(e), got.long.get(i))
            for i, (line, o, e) in enumerate(zip(got.lines, got.offsets, got.ends, strict=True))
        ]
    got = cutter.finish()
    return out + [(line, int(got.offsets[0]), int(got.ends[0]), got.long.get(0)) for line in got.lines]


def one_at_a_time(data: bytes) -> list[tuple[bytes, int, int, int | None]]:
    """The obvious way."""
    out, start = [], 0
    while start < len(data):
        newline = data.find(b"\n", start)
        end = len(data) if newline < 0 else newline + 1
        line = data[start:newline] if newline >= 0 else data[start:]
        if newline >= 0:
            line = line.removesuffix(b"\r")
        stripped = line.lstrip(b"\0")
        start += len(line) - len(stripped)
        if newline >= 0 or stripped:
            out.append((stripped[: LIMIT + 1], start, end, len(stripped) if len(stripped) > LIMIT else None))
        start = end
    return out


@given(content, st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_lines_are_the_same_whatever_the_blocks(data: bytes, sizes: list[int]) -> None:
    assert cut(data, sizes) == one_at_a_time(data)


def test_a_line_without_end_needs_no_more_memory_than_the_limit() -> None:
    cutter = LineCutter(1_000)
    for _ in range(200):
        assert not cutter.feed(b"x" * 10_000).lines
    assert len(cutter._tail) <= 1_002
    got = cutter.feed(b"y\nnext\n")
    assert [len(line) for line in got.lines] == [1_001, 4]
    assert got.long == {0: 2_000_001}
    assert got.offsets.tolist() == [0, 2_000_002]


def read_all(path: Path) -> tuple[list[bytes], FileOnce]:
    source = FileOnce(path, ContentSettings(1_000))
    out: list[bytes] = []
    while (chunk := source.read(7, 0)) is not None:
        out += chunk.lines
    return out, source


LINES = [b"%d line %d" % (i, i * i) for i in range(3_000)]
PLAIN = b"\n".join(LINES)


def test_a_gzip_file_has_the_lines_offsets_and_generation_of_the_plain_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(PLAIN)
    (tmp_path / "b").write_bytes(gzip.compress(PLAIN[:5_000]) + gzip.compress(PLAIN[5_000:]))
    chunks = []
    for name in "ab":
        source, got = FileOnce(tmp_path / name, ContentSettings(1_000)), []
        while (chunk := source.read(100, 0)) is not None:
            got += [(chunk.generation, o, line) for o, line in zip(chunk.offsets.tolist(), chunk.lines, strict=True)]
        chunks.append(got)
    assert chunks[0] == chunks[1]
    assert [line for _, _, line in chunks[0]] == LINES


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.9999])
def test_half_a_gzip_gives_the_lines_before_the_cut_and_says_where_it_ends(tmp_path: Path, share: float) -> None:
    whole = gzip.compress(PLAIN)
    (tmp_path / "half.gz").write_bytes(whole[: int(len(whole) * share)])
    lines, source = read_all(tmp_path / "half.gz")
    assert lines == LINES[: len(lines)]
    assert share < 0.2 or lines
    assert isinstance(source.damage, InputError)
    assert "ends in the middle" in str(source.damage)
    assert f"half.gz: byte {int(len(whole) * share)}" in str(source.damage)


def test_what_a_damaged_gzip_gives_does_not_depend_on_how_it_is_read() -> None:
    whole = bytearray(gzip.compress(PLAIN))
    whole[len(whole) // 2] ^= 0xFF
    got = []
    for size in (1, 1_000, 1 << 20):
        reader = GzipReader(io.BytesIO(whole), "x")
        out = b""
        while data := reader.read(size):
            out += data
        assert reader.damage is not None
        got.append((out, str(reader.damage)))
    assert got[0] == got[1] == got[2]
    with pytest.raises(zlib.error):
        zlib.decompressobj(31).decompress(bytes(whole))


def test_an_empty_file_ends_without_lines(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    lines, source = read_all(tmp_path / "empty")
    assert (lines, source.ended, source.damage) == ([], True, None)


@pytest.mark.parametrize(("name", "word"), [("absent", "no such file"), (".", "directory")])
def test_what_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, name: str, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        FileOnce(tmp_path / name, ContentSettings(1_000)).read(1, 0)
    assert caught.value.hint
    assert str(tmp_path) in caught.value.where


def test_a_read_resumes_at_a_place_of_the_same_content_only(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(PLAIN))
    first = FileOnce(tmp_path / "a.gz", ContentSettings(1_000)).read(10, 0)
    assert first is not None
    again = FileOnce(tmp_path / "a.gz", ContentSettings(1_000))
    assert again.seek(first.generation, first.end_offset)
    chunk = again.read(10, 0)
    assert chunk is not None
    assert list(chunk.lines) == LINES[10:20]
    assert not FileOnce(tmp_path / "a.gz", ContentSettings(1_000)).seek("0" * 16, first.end_offset)
