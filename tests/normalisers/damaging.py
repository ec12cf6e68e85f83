"""Lines that no device writes: golden ones, damaged, and such as patterns that repeat would take for ever to read."""

from __future__ import annotations

import time

from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, Normalised
from streams.normalisers.lines import MAX_MESSAGE
from streams.normalisers.registry import make
from tests.normalisers.golden_files import SETTINGS, lines_of

_DAMAGES = ("none", "cut", "insert", "splice", "random")
_VALUES = (b"null", b"-1e400", b"[]", b"{}", b"[[]]", b'"\\ud800"', b"1e999", b"true", b'""')


@st.composite
def damaged_lines(draw: st.DrawFn, type_name: str, *, values: bool = False) -> list[bytes]:
    """Golden lines: some cut, spliced, with bytes put in, or where `values` asks for it with values of other types."""
    golden = [line for line in lines_of(type_name) if line]
    lines = []
    for _ in range(draw(st.integers(1, 12))):
        line = draw(st.sampled_from(golden))
        at = draw(st.integers(0, len(line)))
        damage = draw(st.sampled_from([*_DAMAGES, "value"] if values else _DAMAGES))
        if damage == "cut":
            line = line[:at]
        elif damage == "insert":
            line = line[:at] + draw(st.binary(max_size=8)).replace(b"\n", b"") + line[at:]
        elif damage == "splice":
            line = line[:at] + draw(st.sampled_from(golden))[at:]
        elif damage == "value":  # another type where a text, a number or an object stood
            value, colon = draw(st.sampled_from(_VALUES)), line.find(b":", at)
            comma = line.find(b",", colon)
            line = line[: colon + 1] + value + line[comma:] if 0 <= colon < comma else line
        elif damage == "random":
            line = draw(st.binary(max_size=60)).replace(b"\n", b"")
        lines.append(line)
    return lines


def assert_each_decided_once(out: Normalised, lines: list[bytes]) -> None:
    """Every line is exactly one of event, ignored and rejected."""
    decided = sorted({*out.events["line"].to_list()}) + [i for i, _ in out.ignored] + [r.line for r in out.rejects]
    assert sorted(decided) == list(range(len(lines)))


def hostile(unit: str, head: str = "", tail: str = "") -> bytes:
    """60 KB of what a pattern repeats over."""
    return (head + unit * (60_000 // len(unit)) + tail).encode()


def assert_quick(type_name: str, line: bytes, within_s: float = 1) -> None:
    """A line, and as much of it as a message may have, take no longer than their length warrants: milliseconds."""
    for hostile_line in (line, line[:MAX_MESSAGE]):
        started = time.process_time()
        out = make(type_name, SETTINGS).normalise(LineChunk([hostile_line], [0]))
        assert time.process_time() - started < within_s
        assert out.events.height + len(out.ignored) + len(out.rejects) >= 1
