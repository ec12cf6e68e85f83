"""Pairs without quotes, whose values may hold blanks and signs of equality: where one ends, only the next key tells.

A client may write what looks like a key. So where a key comes twice, the first counts of those in front of what the
client wrote, the last of those behind it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

MAX_ALIKE, MAX_SIZES = 6, 256
_LEARNT_ALWAYS = 256
_WORD = re.compile(r"\W(\w*)\Z", re.ASCII)


class _Order(NamedTuple):
    """Where the values of lines stand whose words are alike.

    Attributes:
        ends: What every part ends with.
        single: Name, part and length of what stands behind the value, of values of one part.
        several: Name, first part, last part and that length, of values with signs of equality in them.
        doubtful: Whether a key comes twice, so that blanks around values are taken off.
    """

    ends: tuple[str, ...]
    single: tuple[tuple[str, int, int | None], ...]
    several: tuple[tuple[str, int, int, int | None], ...]
    doubtful: bool


class Unquoted:
    """Reads lines of a product, quickly where the words in front of the signs of equality were seen before.

    Args:
        first: Keys up to what a client wrote.
        last: Keys behind it.
        passed_over: Keys of these that nobody asks for.
    """

    def __init__(self, first: Collection[str], last: Collection[str], passed_over: Collection[str] = ()) -> None:
        self._passed_over = frozenset(passed_over)
        self._keys, self._behind = frozenset((*first, *last)), frozenset(last)
        keys = sorted(self._keys, key=len, reverse=True)
        self._key = re.compile(rf"(?:(?<=\s)|\A)({'|'.join(keys)})=")
        self._known: dict[tuple[str, int], list[_Order]] = {}
        self._missed = 0

    def pairs(self, text: str) -> dict[str, str]:
        """The values by their keys; see the module."""
        parts = text.split("=")
        for ends, single, several, doubtful in self._known.get((parts[0], len(parts)), ()):
            if all(map(str.endswith, parts, ends)):
                values = {name: parts[place][:end] for name, place, end in single}
                for name, start, stop, end in several:
                    values[name] = "=".join(parts[start:stop])[:end]
                return {name: value.strip() for name, value in values.items()} if doubtful else values
        self._missed += 1
        if self._missed <= _LEARNT_ALWAYS or self._missed % 16 == 0:  # learning costs more than one line can bring
            self._learn(parts)
        return {name: value for name, value in self._read(text).items() if name not in self._passed_over}

    def _learn(self, parts: list[str]) -> None:
        words = [(parts[0], 0)]
        ends = [parts[0]]
        for place, part in enumerate(parts[1:-1], 1):
            end = _WORD.search(part)
            if end is None or (end[0][0] != " " and end[0][0].isspace()):
                return  # one of the two ways to read it may see a key here, the other none
            ends.append(end[0])
            if end[0][0] == " " and end[1] in self._keys:
                words.append((end[1], place))
        if parts[0] not in self._keys or len(parts) < 3:
            return
        doubtful = len({word for word, _ in words}) < len(words)
        if doubtful:
            chosen: dict[str, int] = {}
            for word, place in words:
                if word in self._behind or word not in chosen:
                    chosen[word] = place
            words = sorted(chosen.items(), key=itemgetter(1))
        single: list[tuple[str, int, int | None]] = []
        several: list[tuple[str, int, int, int | None]] = []
        for (name, place), (following, stop) in pairwise([*words, ("", len(parts) - 1)]):
            end_of = -len(following) - 1 if following else None
            if name in self._passed_over:
                continue
            if stop == place + 1:
                single.append((name, stop, end_of))
            else:
                several.append((name, place + 1, stop + 1, end_of))
        if len(self._known) >= MAX_SIZES:
            self._known.clear()
        alike = self._known.setdefault((parts[0], len(parts)), [])
        alike.insert(0, _Order((*ends, ""), tuple(single), tuple(several), doubtful))
        del alike[MAX_ALIKE:]

    def _read(self, text: str) -> dict[str, str]:
        first, *pieces = text.split("=")
        key, values = first, dict[str, str]()
        for piece in pieces:
            value, _, word = piece.rpartition(" ")
            if word not in self._keys:  # a sign of equality inside a value, or the last value
                values[key] = f"{values[key]}={piece}" if key in values else piece
                continue
            values[key] = f"{values[key]}={value}" if key in values else value
            if word in values:
                return self._of_doubt(text)
            key = word
        return values

    def _of_doubt(self, text: str) -> dict[str, str]:
        """As `_read`, where a key comes twice: one of them is part of what a client wrote."""
        chosen: dict[str, tuple[int, int]] = {}
        for key in self._key.finditer(text):
            if key[1] in self._behind or key[1] not in chosen:
                chosen[key[1]] = (key.start(), key.end())
        following = dict(pairwise([*sorted(start for start, _ in chosen.values()), len(text)]))
        return {key: text[end : following[start]].strip() for key, (start, end) in chosen.items()}
