"""Lines from a pipe: as they come, compressed or not, and again from the start to resume."""

from __future__ import annotations

import gzip
import io
import os

import pytest

from streams.sources.content import ContentSettings
from streams.sources.stdin import Stdin

LINES = [b"line %d" % n for n in range(2_000)]
CONTENT = b"\n".join(LINES) + b"\n"


def read_all(source: Stdin) -> list[bytes]:
    out: list[bytes] = []
    while not source.ended:
        chunk = source.read(100, 0)
        out += chunk.lines if chunk is not None else []
    return out


@pytest.mark.parametrize("data", [CONTENT, CONTENT[:-1], gzip.compress(CONTENT)], ids=["plain", "no last LF", "gzip"])
def test_a_pipe_is_read_to_its_end(data: bytes) -> None:
    assert read_all(Stdin(io.BytesIO(data), ContentSettings(1_000))) == LINES


def test_nothing_is_waited_for_while_the_writer_thinks() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor has no path
        source = Stdin(stream, ContentSettings(1_000))
        assert source.read(10, 0) is None
        os.write(writing, b"one\ntw")
        chunk = source.read(10, 0)
        assert chunk is not None
        assert list(chunk.lines) == [b"one"]
        assert source.read(10, 0) is None
        assert not source.ended
        os.write(writing, b"o")
        os.close(writing)
        assert read_all(source) == [b"two"]


def test_an_empty_pipe_ends_without_lines() -> None:
    assert read_all(Stdin(io.BytesIO(b""), ContentSettings(1_000))) == []


def test_the_same_bytes_piped_in_again_go_on_at_the_saved_place() -> None:
    first = Stdin(io.BytesIO(CONTENT), ContentSettings(1_000)).read(700, 0)
    assert first is not None
    again = Stdin(io.BytesIO(CONTENT), ContentSettings(1_000))
    again.seek(first.generation, first.end_offset)
    assert read_all(again) == LINES[700:]


def test_other_bytes_are_read_from_their_start() -> None:
    again = Stdin(io.BytesIO(CONTENT), ContentSettings(1_000))
    again.seek("0" * 16, 500)
    assert read_all(again) == LINES


def test_half_a_gzip_from_a_pipe_says_so() -> None:
    whole = gzip.compress(CONTENT)
    source = Stdin(io.BytesIO(whole[: len(whole) // 2]), ContentSettings(1_000))
    lines = read_all(source)
    assert lines == LINES[: len(lines)]
    assert "standard input" in str(source.damage)
