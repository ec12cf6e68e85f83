"""What firewalls and cloud filters share: an envelope around a record, pairs in a known order, and how values are read.

Their records state a time, so that the header's counts only where they do not. A device writes the same keys in the
same order line after line: `Shapes` learns that order and reads the next line with one expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.columns import event_columns
from streams.normalisers.payload import pairs
from streams.normalisers.proxy.facts import ProxyFacts, completed
from streams.normalisers.proxy.values import Column, Values, columns_of
from streams.normalisers.records import Fact, Head, RecordNormaliser
from streams.normalisers.syslog import split

RAW = "raw"
"""Where a fact keeps its record, for `Appliance.columns`."""

MAX_ALIKE = 6
_MAX_PREFIX = 512
_MANY = 256
_LOST_PRIORITY = re.compile(r"<\d{1,3}> +", re.ASCII)


class Shapes:
    """Reads `key=value` pairs as `payload.pairs` does, quickly where the keys come in an order already seen.

    A line is of a shape where its pairs are separated by one sign and nothing else stands between them, where quoted
    values hold no quote, and bare ones neither backslash, blank, comma, semicolon nor quote: then there is one way to
    read it. Any other line is `pairs`' to read.

    Args:
        wanted: Keys whose values are given; others are passed over.
    """

    def __init__(self, wanted: frozenset[str], read: Callable[[str], dict[str, str]] = pairs) -> None:
        self._wanted, self._read = wanted, read
        self._known: dict[int, list[_Shape]] = {}
        self._missed = 0

    def pairs(self, text: str) -> dict[str, str]:
        """Values of the wanted keys; where a key comes twice, the first."""
        for match, keys in self._known.get(text.count('="'), ()):
            found = match(text)
            if found is not None:
                return dict(zip(keys, found.groups(), strict=True))
        self._missed += 1
        if self._missed <= _MANY or self._missed % 16 == 0:  # learning costs more than one line can bring
            self._learn(text)
        values = self._read(text)
        return {key: values[key] for key in self._wanted if key in values}

    def _learn(self, text: str) -> None:
        parts: list[str] = []
        keys: list[str] = []
        at, sign = 0, ""
        for pair in _PAIR.finditer(text):
            if pair.start() != at or (sign and pair[4] not in (sign, "")):
                return
            sign = sign or pair[4]
            at = pair.end()
            value = _BARE if pair[2] is None else _ESCAPED if "\\" in pair[2] else _QUOTED
            if pair[1] in self._wanted and pair[1] not in keys:
                keys.append(pair[1])
                value = f"({value})"
            parts.append(f"{re.escape(pair[1])}=" + (f'"{value}"' if pair[2] is not None else value))
        if at == len(text) and keys:
            alike = self._known.setdefault(text.count('="'), [])
            whole = re.compile(re.escape(sign).join(parts) + r"\Z", re.ASCII)
            alike.insert(0, (whole.match, tuple(keys)))
            del alike[MAX_ALIKE:]


_Shape: TypeAlias = tuple[Callable[[str], re.Match[str] | None], tuple[str, ...]]
_QUOTED = r'[^"\\]*+'
_ESCAPED = r'(?:[^"\\]|\\[^"])*+'
_BARE = r"[^\s,;\"'\\]*+"
_PAIR = re.compile(rf'([A-Za-z_][\w.\-/]*+)=(?:"({_ESCAPED})"|({_BARE}))( |,|\Z)', re.ASCII)


class RawFacts(ProxyFacts):
    """Facts that keep their record under `RAW`: whole columns are made of it by `COLUMNS`, faster than one by one.

    What a fact states itself counts before what its record says.
    """

    COLUMNS: ClassVar[tuple[Column, ...]]

    def columns(self, facts: Sequence[Fact]) -> Mapping[str, Sequence[Any] | pl.Series]:
        """See `RecordNormaliser.columns`."""
        types = event_columns(EventKind.PROXY)
        records: list[Values] = [fact.get(RAW) or {} for fact in facts]
        made = columns_of(records, self.COLUMNS)
        for name in {name for fact in facts for name in fact} - {"timestamp", RAW}:
            given = pl.Series(name, [fact.get(name) for fact in facts], dtype=types[name])
            made[name] = given if name not in made else given.zip_with(given.is_not_null(), made[name])
        return {"timestamp": [fact["timestamp"] for fact in facts], **completed(made, len(facts), self.masker)}


class Appliance(RawFacts, RecordNormaliser):
    """Records of an appliance behind whatever header.

    Attributes:
        START: Matches where a record begins, in the first `_MAX_PREFIX` characters; all before it is the header.
    """

    START: ClassVar[re.Pattern[str]]

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._prefix = ""
        self._envelope = Head("", None, None, None, "")

    def _head(self, text: str) -> Head:
        if text[:1] == "{":
            inner = super()._head(text)
            if inner.message is not text:
                return inner
        found = self.START.search(text, 0, _MAX_PREFIX)
        if found is None:
            return super()._head(text)
        start = found.start()
        prefix = text[:start]
        if prefix != self._prefix:
            self._prefix, self._envelope = prefix, self.envelope(prefix)
        stamp, host, program, pid, _ = self._envelope
        return Head(stamp, host, program, pid, text[start:] if start else text)

    def envelope(self, prefix: str) -> Head:
        """What stands before a record; a format with a header of its own reads it here."""
        header = _LOST_PRIORITY.sub("", prefix.lstrip(), count=1)
        line = split(f"{header.rstrip()} x") if header.strip() else None
        return Head("", None, None, None, "") if line is None else Head(*line)
