"""Damaged lines from good ones, the same for the same seed."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_INTERESTING = (
    *(b"\x00", b"\xff", b"\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\r", b"\t"),
    *(b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"|", b",", b"=", b"[", b"]", b"{", b"}", b"<", b">", b":", b"-"),
    *(b"%00", b"%s", b"#Fields:", b"99999999999999999999", b"-1", b"1e309", b"NaN", b"null", b"true"),
    *(b"\xe2\x80\xae", b"CEF:0|", b"LEEF:2.0|", b"<134>1 ", b"::ffff:1.2.3.4%eth0", b"2024-02-30T24:00:00Z"),
    *(b"message repeated 1000000 times: [ ", b"31/Feb/2024:25:61:61 +9999"),
)
_NUMBER = re.compile(rb"\d+")
_WORD = re.compile(rb"[A-Za-z]{3,}")
MAX_BYTES = 4_096


class Mutator:
    """Makes damaged lines.

    Args:
        lines: Good lines of a format.
        others: Good lines of other formats, spliced in now and then.
        seed: The same seed gives the same lines.
    """

    def __init__(self, lines: Sequence[bytes], others: Sequence[bytes], seed: str) -> None:
        self._lines, self._others = list(lines), list(others)
        self._dice = random.Random(seed)
        self._ways = (
            self._cut, self._insert, self._flip, self._splice, self._number, self._repeat, self._delete, self._shuffle,
            self._foreign, self._word, self._noise,
        )  # fmt: skip

    def line(self) -> bytes:
        """One line, damaged in one to three ways; never with a line end in it."""
        line = self._dice.choice(self._lines)
        for _ in range(self._dice.choice((1, 1, 1, 2, 3))):
            line = self._dice.choice(self._ways)(line)
        return line.replace(b"\n", b" ")[:MAX_BYTES]

    def _at(self, line: bytes) -> int:
        return self._dice.randint(0, len(line))

    def _cut(self, line: bytes) -> bytes:
        return line[: self._at(line)] if self._dice.random() < 0.8 else line[self._at(line) :]

    def _insert(self, line: bytes) -> bytes:
        at = self._at(line)
        return line[:at] + self._dice.choice(_INTERESTING) * self._dice.choice((1, 1, 2, 40)) + line[at:]

    def _flip(self, line: bytes) -> bytes:
        out = bytearray(line)
        for _ in range(self._dice.randint(1, 4)):
            if out:
                out[self._dice.randrange(len(out))] = self._dice.randrange(256)
        return bytes(out)

    def _splice(self, line: bytes) -> bytes:
        return line[: self._at(line)] + (other := self._dice.choice(self._lines))[self._at(other) :]

    def _foreign(self, line: bytes) -> bytes:
        other = self._dice.choice(self._others)
        return other if self._dice.random() < 0.2 else line[: self._at(line)] + other[self._at(other) :]

    def _number(self, line: bytes) -> bytes:
        found = list(_NUMBER.finditer(line))
        if not found:
            return line
        match = self._dice.choice(found)
        new = str(self._dice.choice((0, 1, 59, 60, 99, 256, 65_536, 2**31, 2**63, 10**30, self._dice.randrange(10**6))))
        return line[: match.start()] + new.encode() + line[match.end() :]

    def _word(self, line: bytes) -> bytes:
        found = list(_WORD.finditer(line))
        if not found:
            return line
        match, other = self._dice.choice(found), self._dice.choice(found)
        return line[: match.start()] + other[0] + line[match.end() :]

    def _repeat(self, line: bytes) -> bytes:
        start, stop = sorted((self._at(line), self._at(line)))
        return line[:stop] + line[start:stop] * self._dice.choice((1, 2, 20)) + line[stop:]

    def _delete(self, line: bytes) -> bytes:
        start, stop = sorted((self._at(line), self._at(line)))
        return line[:start] + line[min(stop, start + 20) :]

    def _shuffle(self, line: bytes) -> bytes:
        sign = self._dice.choice((b" ", b",", b"\t", b"|", b"&"))
        parts = line.split(sign)
        self._dice.shuffle(parts)
        return sign.join(parts)

    def _noise(self, line: bytes) -> bytes:
        return self._dice.randbytes(self._dice.randint(0, 60)) if self._dice.random() < 0.5 else line
