"""UTF-16 and byte order marks: lines come as UTF-8, at the places that they have in the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from streams.config import SourceConfig
from streams.sources.content import ContentSettings
from streams.sources.file_follow import GRACE_US, FileFollow
from streams.sources.file_once import FileOnce
from streams.sources.wide import WideCutter

LIMIT = 8
text = st.text(st.sampled_from("ab\r\n\nÄ€\u0a00\u000d\u0d0a\U0001f600x"), max_size=40)
encodings = st.sampled_from(["utf-16-le", "utf-16-be"])


def cut(data: bytes, encoding: str, sizes: list[int]) -> list[tuple[bytes, int, int]]:
    cutter, out, at, turn = WideCutter(LIMIT, encoding), [], 0, 0
    while at < len(data):
        got = cutter.feed(data[at : at + sizes[turn % len(sizes)]])
        at, turn = at + sizes[turn % len(sizes)], turn + 1
        out += list(zip(got.lines, got.offsets.tolist(), got.ends.tolist(), strict=True))
    got = cutter.finish()
    return out + list(zip(got.lines, got.offsets.tolist(), got.ends.tolist(), strict=True))


def one_at_a_time(content: str, encoding: str) -> list[tuple[bytes, int, int]]:
    """The obvious way."""
    out, place = [], 0
    for line in _lines(content):
        end = place + len(line.encode(encoding))
        shown = line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line
        out.append((shown.encode()[: LIMIT + 1], place, end))
        place = end
    return out


def _lines(content: str) -> list[str]:
    parts = content.split("\n")
    return [p + "\n" for p in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


@given(text, encodings, st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_lines_of_two_byte_letters_are_the_same_whatever_the_blocks(
    content: str, encoding: str, sizes: list[int]
) -> None:
    assert cut(content.encode(encoding), encoding, sizes) == one_at_a_time(content, encoding)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_what_is_no_utf_16_and_half_a_letter_at_the_end_cost_no_other_line(encoding: str) -> None:
    data = "one\n".encode(encoding) + "\ud800".encode(encoding, "surrogatepass") + "\ntwo\n".encode(encoding) + b"x"
    first, strange, last = (line for line, _, _ in cut(data, encoding, [3]))
    assert (first, last) == (b"one", b"two")
    assert strange in (b"\\x00\\xd8", b"\\xd8\\x00")


CASES = {
    "le-bom": (b"\xff\xfe", "utf-16-le", "utf-8"),
    "be-bom": (b"\xfe\xff", "utf-16-be", "utf-8"),
    "le-configured": (b"", "utf-16-le", "utf-16-le"),
    "be-configured": (b"", "utf-16-be", "utf-16-be"),
    "without-bom-windows": (b"", "utf-16-le", "utf-16"),
    "bom-against-configuration": (b"\xfe\xff", "utf-16-be", "utf-16-le"),
    "utf-8-bom": (b"\xef\xbb\xbf", "utf-8", "utf-8"),
}


@pytest.mark.parametrize(("mark", "encoding", "configured"), CASES.values(), ids=CASES.keys())
def test_a_log_is_decoded_by_its_mark_or_as_configured_and_its_places_are_those_in_the_file(
    tmp_path: Path, mark: bytes, encoding: str, configured: str
) -> None:
    path, lines = tmp_path / "log", ["Zürich one", "zwei €", "three"]
    content = mark + "".join(f"{line}\r\n" for line in lines).encode(encoding)
    path.write_bytes(content)
    source = FileOnce(path, ContentSettings(1_000, configured))
    chunk = source.read(10, 0)
    assert chunk is not None
    assert [line.decode() for line in chunk.lines] == lines
    assert chunk.offsets.tolist() == [content.index(line.encode(encoding)) for line in lines]
    again = FileOnce(path, ContentSettings(1_000, configured))
    assert again.seek(chunk.generation, int(chunk.offsets[2]))
    rest = again.read(10, 0)
    assert rest is not None
    assert list(rest.lines) == [b"three"]


@given(st.integers(1, 6), st.booleans())
def test_a_log_of_two_byte_letters_is_followed_while_letters_are_half_written(step: int, little: bool) -> None:
    encoding, mark = ("utf-16-le", b"\xff\xfe") if little else ("utf-16-be", b"\xfe\xff")
    lines = ["first", "zweite €", "", "dritte"]
    content = mark + "".join(f"{line}\n" for line in lines).encode(encoding)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        path.touch()
        source, got = FileFollow(path, ContentSettings(1_000)), []
        for at in range(0, len(content), step):
            with path.open("ab") as file:
                file.write(content[at : at + step])
            while (chunk := source.read(10, at * GRACE_US)) is not None:
                got += [line.decode() for line in chunk.lines]
        source.close()
    assert got == lines


def test_an_encoding_whose_lines_cannot_be_found_is_refused() -> None:
    for encoding in ("utf-16", "UTF_16_LE", "latin-1"):
        SourceConfig("x", "squid", encoding=encoding)
    with pytest.raises(ConfigError, match="utf-32"):
        SourceConfig("x", "squid", encoding="utf-32")
