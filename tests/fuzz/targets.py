"""What reads bytes, as functions of any bytes that raise where something is wrong. `bytes.py` runs them."""

from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Callable, Mapping

from streams.listen.framing import Framer
from streams.normalisers import moments, payload
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.journal import unwrap_journal
from streams.normalisers.masking import mask_bytes
from streams.normalisers.syslog import Splitter, split
from streams.normalisers.tables import cells
from streams.normalisers.times import SourceClock
from streams.sources.lines import LineCutter
from streams.sources.packed import reader_for

MAX_LINE = 64
MAX_CONTENT = 1 << 22


def lines(data: bytes) -> None:
    """Lines cut from blocks of any size are those of the whole, in their places."""
    size = data[0] % 17 + 1 if data else 1
    data = data[1:]
    whole, parts = LineCutter(MAX_LINE), LineCutter(MAX_LINE)
    once = [whole.feed(data), whole.finish()]
    several = [parts.feed(data[i : i + size]) for i in range(0, len(data), size)] + [parts.finish()]
    told = [(line, int(at)) for part in once for line, at in zip(part.lines, part.offsets, strict=True)]
    again = [(line, int(at)) for part in several for line, at in zip(part.lines, part.offsets, strict=True)]
    assert told == again
    for line, at in told:
        assert len(line) <= MAX_LINE + 1
        assert data[at : at + len(line)] == line


def compressed(data: bytes) -> None:
    """Damaged content gives bytes or a word about the damage, and never more than its limit."""
    packers: tuple[Callable[[bytes], bytes], ...] = (gzip.compress, bz2.compress, lambda b: b)
    packed = bytearray(packers[data[0] % 3 if data else 2](data[1:]))
    if len(data) > 4 and packed:
        packed[data[1] * 256 + data[2] % len(packed) if len(packed) > 65_536 else data[2] % len(packed)] ^= data[3]
    reader = reader_for(io.BytesIO(bytes(packed)), "fuzz", limit=MAX_CONTENT)
    made = 0
    while part := reader.read(4_096):
        made += len(part)
        assert made <= MAX_CONTENT
    reader.close()


def frames(data: bytes) -> None:
    """Frames of a connection are the same however its bytes come; none has a line end or is over the limit."""
    size = data[0] % 13 + 1 if data else 1
    data = data[1:]
    whole, parts = Framer(MAX_LINE), Framer(MAX_LINE)
    once = whole.feed(data) + whole.finish()
    several = [m for i in range(0, len(data), size) for m in parts.feed(data[i : i + size])] + parts.finish()
    assert once == several
    assert all(message and len(message) <= MAX_LINE + 1 and b"\n" not in message for message in once)


def headers(data: bytes) -> None:
    """Both ways to take a header off say the same."""
    text = data.decode("utf-8", "backslashreplace")
    assert Splitter().split(text) == split(text)
    unwrap_journal(text)


def payloads(data: bytes) -> None:
    """Pairs, CEF, LEEF and tables of anything."""
    text = data.decode("utf-8", "backslashreplace")
    assert all(isinstance(value, str) for value in payload.pairs(text).values())
    for found in (payload.cef("CEF:0|a|b|c|d|e|f|" + text), payload.leef("LEEF:2.0|a|b|c|d|" + text)):
        assert found is None or all(isinstance(value, str) for value in found.fields.values())
    for delimiter in ",\t;| ":
        values = cells(text, delimiter)
        assert values is None or all(isinstance(value, str) for value in values)


def times(data: bytes) -> None:
    """A text is a time or none; a time fits 64 bits and lies in the years 1 to 9999."""
    text = data.decode("utf-8", "backslashreplace")
    clock = SourceClock(NormaliserSettings())
    found = [clock.micros(text), moments.since_1970(text), moments.zoned(text), moments.common(text, clock)]
    found += [moments.numbers(text, clock, order) for order in ("ymd", "mdy", "dmy")]
    assert all(moment is None or abs(moment) < 2**63 for moment in found)


def masks(data: bytes) -> None:
    """Masking twice changes nothing more."""
    once, _ = mask_bytes(data)
    assert mask_bytes(once)[0] == once


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    found.__name__: found for found in (lines, compressed, frames, headers, payloads, times, masks)
}
