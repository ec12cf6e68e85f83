"""Compressed logs of every kind: whole, in several frames, damaged, and larger than anybody can mean."""

from __future__ import annotations

import bz2
import gzip
import io
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.memory import MemorySink
from streams.sources.abstract import SourceChunk
from streams.sources.content import ContentSettings
from streams.sources.file_once import FileOnce
from streams.sources.packed import reader_for, zstd
from streams.sources.siblings import siblings
from tests.streams.small import collector, config

LINES = [b"%d line %d" % (i, i * i) for i in range(20_000)]
PLAIN = b"\n".join(LINES)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
}
SETTINGS = ContentSettings(1_000)


def read_all(source: FileOnce) -> list[SourceChunk]:
    chunks = []
    while not source.ended:
        chunk = source.read(1_000, 0)
        if chunk is not None:
            chunks.append(chunk)
    return chunks


@pytest.fixture(params=PACK)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_frames_one_behind_the_other_are_one_content_with_the_places_of_the_plain_one(
    tmp_path: Path, kind: str
) -> None:
    pack = PACK[kind]
    (tmp_path / "plain").write_bytes(PLAIN)
    (tmp_path / "packed").write_bytes(pack(PLAIN[:70_000]) + pack(b"") + pack(PLAIN[70_000:]))
    plain, packed = (read_all(FileOnce(tmp_path / name, SETTINGS)) for name in ("plain", "packed"))
    for chunks in (plain, packed):
        assert [line for c in chunks for line in c.lines] == LINES
    assert [o for c in plain for o in c.offsets.tolist()] == [o for c in packed for o in c.offsets.tolist()]
    assert {c.generation for c in plain} == {c.generation for c in packed}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.999])
def test_half_a_file_gives_the_lines_before_the_cut_and_says_so(tmp_path: Path, kind: str, share: float) -> None:
    packed = PACK[kind](PLAIN[:100_000]) + PACK[kind](PLAIN[100_000:])
    (tmp_path / "half").write_bytes(packed[: int(len(packed) * share)])
    source = FileOnce(tmp_path / "half", SETTINGS)
    lines = [line for c in read_all(source) for line in c.lines]
    assert lines == LINES[: len(lines)]
    assert share < 0.5 or len(lines) > 5_000
    assert "ends in the middle" in str(source.damage)
    assert source.damage is not None
    assert source.damage.hint


def with_checksum(content: bytes) -> bytes:
    """As the `zstd` command writes it."""
    return zstd.compress(content, options={int(zstd.CompressionParameter.checksum_flag): 1})


def test_what_a_damaged_file_gives_does_not_depend_on_how_it_is_read(kind: str) -> None:
    pack = with_checksum if kind == "zstd" else PACK[kind]
    packed = bytearray(pack(PLAIN) + pack(PLAIN))
    packed[len(packed) * 3 // 4] ^= 0xFF
    got = set()
    for size in (7, 1_000, 1 << 20):
        reader = reader_for(io.BytesIO(packed), "x")
        out = b""
        while data := reader.read(size):
            out += data
        assert reader.damage is not None
        assert "damaged" in str(reader.damage)
        got.add(out)
    (out,) = got
    assert len(out) >= len(PLAIN)


def test_there_is_a_limit_to_the_content_of_a_compressed_file_and_it_is_said(tmp_path: Path, kind: str) -> None:
    (tmp_path / "large").write_bytes(PACK[kind](PLAIN))
    source = FileOnce(tmp_path / "large", ContentSettings(1_000, max_content_bytes=50_000))
    lines = [line for c in read_all(source) for line in c.lines]
    assert lines == LINES[: len(lines)]
    assert sum(len(line) + 1 for line in lines) <= 50_000
    assert "more in it than 50000 bytes" in str(source.damage)
    assert "max_content_bytes" in str(source.damage)


def test_a_frame_that_wants_gigabytes_of_memory_is_refused(tmp_path: Path) -> None:
    options = {int(zstd.CompressionParameter.window_log): 30}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(PLAIN) + packer.compress(PLAIN) + packer.flush()
    (tmp_path / "wide.zst").write_bytes(packed)
    source = FileOnce(tmp_path / "wide.zst", SETTINGS)
    assert not read_all(source)
    assert "too much memory" in str(source.damage)


def test_compressed_files_of_all_kinds_are_found_as_rotated_ones(tmp_path: Path) -> None:
    for name in ("log", "log.1", "log.2.zst", "log.3.bz2", "log.4.gz"):
        (tmp_path / name).touch()
    assert [s.path.name for s in siblings(tmp_path / "log")] == ["log.4.gz", "log.3.bz2", "log.2.zst", "log.1", "log"]


BOMB = """
import resource, sys
from pathlib import Path
from streams.sources.content import ContentSettings
from streams.sources.file_once import FileOnce
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
source = FileOnce(Path(sys.argv[1]), ContentSettings(65_536))
lines, long, turns = [], {}, 0
while not source.ended:
    chunk = source.read(10_000, 0)
    turns += 1
    if chunk is not None:
        long |= {len(lines) + i: n for i, n in chunk.long_lines.items()}
        lines += chunk.lines
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(len(lines), [len(line) for line in lines], list(long.values()), turns, grown)
"""
BOMB_BYTES = 1 << 30


def _read_apart(path: Path) -> tuple[list[str], int]:
    """Read a file in a process of its own: what it says, and by how many KiB it grew."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(BOMB), str(path)], capture_output=True, text=True, check=True
    )
    *said, grown = done.stdout.split(" ")
    return said, int(grown) // (1024 if sys.platform == "darwin" else 1)


def _bomb(kind: str, letter: bytes) -> bytes:
    """1 GiB of one letter, compressed; made of the same frame again and again."""
    part = PACK[kind](letter * (64 << 20))
    return part * (BOMB_BYTES // (64 << 20))


def test_a_bomb_is_one_line_too_long_read_in_turns_with_little_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(_bomb(kind, b"0") + PACK[kind](b"\nlast\n"))
    said, grown = _read_apart(path)
    assert said[:4] == ["2", "[65537,", "4]", f"[{BOMB_BYTES}]"]
    assert int(said[4]) > BOMB_BYTES >> 25  # others had their turn every 32 MiB
    assert grown < 64_000


def test_a_bomb_of_nothing_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(_bomb("zstd", b"\0") + zstd.compress(b"first\n"))
    said, grown = _read_apart(path)
    assert said[:3] == ["1", "[5]", "[]"]
    assert grown < 64_000


def test_a_file_of_gigabytes_of_nothing_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "hole"
    with path.open("wb") as file:
        file.seek(3 << 30)
        file.write(b"first\n")
    said, grown = _read_apart(path)
    assert said[:3] == ["1", "[5]", "[]"]
    assert grown < 64_000


def test_a_line_of_a_hundred_megabytes_is_one_line_and_costs_the_next_nothing(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"before\n" + b"x" * 100_000_000 + b"\nafter\n")
    said, grown = _read_apart(path)
    assert said[:5] == ["3", "[6,", "65537,", "5]", "[100000000]"]
    assert grown < 64_000


def test_a_bomb_and_a_hole_do_not_hold_up_another_log(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(_bomb("zstd", b"0"))
    with (tmp_path / "hole").open("wb") as file:
        file.truncate(1 << 30)
    (tmp_path / "log").write_bytes(b"".join(b"%d ev\n" % i for i in range(100)))
    sink = MemorySink(1)
    bomb, hole, log = (collector(config(tmp_path / name, name=name), sink) for name in ("bomb", "hole", "log"))
    while not log.done:
        for each in (bomb, hole, log):
            each.step(0)
        sink.take()
    assert log.lines == 100
    assert not bomb.done
    assert not hole.done
    for each in (bomb, hole, log):
        each.close()
