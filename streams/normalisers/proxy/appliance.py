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
from streams.normalisers.lines import Unreadable
from streams.normalisers.moments import numbers
from streams.normalisers.payload import pairs
from streams.normalisers.proxy.facts import ProxyFacts, completed
from streams.normalisers.proxy.values import Column, columns_of
from streams.normalisers.reasons import Ignored, IgnoredReason
from streams.normalisers.records import Fact, Gathered, Head, RecordNormaliser
from streams.normalisers.syslog import split
from streams.normalisers.times import SourceClock

RAW = "raw"
"""Where a fact keeps its record, for `Appliance.columns`."""

MAX_ALIKE, MAX_SIZES = 6, 256
MAX_ENVELOPES = 4_096
"""Headers that are remembered; then it starts anew."""

_MAX_PREFIX = 512
_MANY = 256
_LOST_PRIORITY = re.compile(r"<\d{1,3}> +", re.ASCII)


class Shapes:
    """Reads `key=value` pairs as `payload.pairs` does, quickly where the keys come in an order already seen.

    A line is of a shape where its pairs are separated by one sign and nothing else stands between them, where quoted
    values hold no quote, and bare ones neither backslash, blank, comma, semicolon nor quote: then there is one way to
    read it, by the shape's expression. Any other line is `pairs`' to read.

    Args:
        wanted: Keys whose values are given, by what they are called in the result; others are passed over.
    """

    def __init__(self, wanted: Mapping[str, str] | frozenset[str]) -> None:
        self._wanted = wanted if isinstance(wanted, Mapping) else {key: key for key in wanted}
        self._known: dict[int, list[_Shape]] = {}
        self._missed = 0

    def pairs(self, text: str) -> dict[str, str]:
        """Values of the wanted keys; where a key comes twice, the first."""
        escaped = '\\"' in text
        plain = text.replace('\\"', _QUOTE) if escaped and '\\\\"' not in text and _QUOTE not in text else text
        quotes = plain.count('"')
        if not escaped or plain is not text:
            for match, names in self._known.get(quotes, ()):
                found = match(plain)
                if found is not None:
                    values = dict(zip(names, found.groups(), strict=True))
                    return _unescaped(values) if escaped else values
            self._missed += 1
            if self._missed <= _MANY or self._missed % 16 == 0:  # learning costs more than one line can bring
                self._learn(plain, quotes)
        values = {}
        for key, value in pairs(text).items():
            name = self._wanted.get(key)
            if name is not None and name not in values:
                values[name] = value
        return values

    def _learn(self, text: str, quotes: int) -> None:
        expression: list[str] = []
        names: list[str] = []
        at, quoted, sign = 0, 0, ""
        for pair in _PAIR.finditer(text):
            if pair.start() != at or (sign and pair[4] not in (sign, "")):
                return
            sign = sign or pair[4]
            at = pair.end()
            name = self._wanted.get(pair[1], "")
            start, end = ("(", ")") if name and name not in names else ("", "")
            if start:
                names.append(name)
            if pair[2] is None:
                expression.append(f"{re.escape(pair[1])}={start}{_BARE}{end}")
            else:
                expression.append(f'{re.escape(pair[1])}="{start}[^"]*+{end}"')
                quoted += 1
        if at == len(text) and quoted and names:
            if len(self._known) >= MAX_SIZES:
                self._known.clear()
            alike = self._known.setdefault(quotes, [])
            whole = re.compile(re.escape(sign).join(expression) + r"\Z", re.ASCII)
            alike.insert(0, (whole.match, tuple(names)))
            del alike[MAX_ALIKE:]


def _unescaped(values: dict[str, str]) -> dict[str, str]:
    """As `payload.pairs` takes escapes off: in values that hold an escaped quote."""
    for key, value in values.items():
        if _QUOTE in value:
            values[key] = _ESCAPE.sub(r"\1", value.replace(_QUOTE, '\\"'))
    return values


_QUOTE = "\0"  # stands for an escaped quote while a line is matched
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_Shape: TypeAlias = tuple[Callable[[str], re.Match[str] | None], tuple[str, ...]]
_QUOTED = r'(?:[^"\\]|\\[^"])*+'
_BARE = r"[^\s,;\"'\\]*+"
_PAIR = re.compile(rf'([A-Za-z_][\w.\-/]*+)=(?:"({_QUOTED})"|({_BARE}))( |,|\Z)', re.ASCII)


class RawFacts(ProxyFacts):
    """Facts that keep their record under `RAW`: whole columns are made of it by `COLUMNS`, faster than one by one.

    `read` puts the record's values there by their keys; `kept` leaves those of `KEYS` of them. What a fact states
    itself counts before what its record says.
    """

    COLUMNS: ClassVar[tuple[Column, ...]]
    KEYS: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.KEYS = tuple(dict.fromkeys(key for made in getattr(cls, "COLUMNS", ()) for key in made.keys))

    def kept(self, fact: Fact) -> Fact:
        """The fact with what its record has for `COLUMNS`."""
        fact[RAW] = tuple(map(fact[RAW].get, self.KEYS))
        return fact

    def columns(self, facts: Sequence[Fact]) -> Mapping[str, Sequence[Any] | pl.Series]:
        """See `RecordNormaliser.columns`."""
        types = event_columns(EventKind.PROXY)
        made = columns_of([fact[RAW] for fact in facts], self.KEYS, self.COLUMNS)
        for name in set().union(*facts) - {"timestamp", RAW}:
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
        self._text = ""
        self._moment_of: int | None = None
        self._envelopes: dict[str, Head] = {}

    def _line(self, out: Gathered, index: int, raw: bytes) -> None:
        head = self._head(raw.decode("utf-8", "backslashreplace"))
        if not head.message or head.message.isspace():
            out.ignored.append((index, Ignored.BLANK_LINE))
            return
        taken = self.read(head)
        if type(taken) is dict:  # most lines by far; where it has a time, the header's is not looked at
            if "timestamp" not in taken and head.stamp:
                taken["timestamp"] = self.clock.micros(head.stamp)
            if taken.get("timestamp") is not None:
                if "event_dataset" not in taken:
                    taken["event_dataset"] = self.DATASET
                if head.host is not None and "observer_hostname" not in taken:
                    taken["observer_hostname"] = head.host
                if head.program is not None:
                    taken["process_name"], taken["process_pid"] = head.program, head.pid
                taken[RAW] = tuple(map(taken[RAW].get, self.KEYS))
                out.facts.append(taken)
                out.lines.append(index)
                out.subs.append(0)
                return
        if isinstance(taken, IgnoredReason):
            out.ignored.append((index, taken))
            return
        timestamp = self.clock.micros(head.stamp) if head.stamp else None
        if isinstance(taken, Unreadable):
            self._refuse(out, index, raw, taken, timestamp)
        else:
            facts = [taken] if isinstance(taken, dict) else taken
            self._add(out, index, raw, [self.kept(fact) for fact in facts], head, timestamp)

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
        known = self._envelopes.get(prefix)
        if known is None:
            if len(self._envelopes) >= MAX_ENVELOPES:
                self._envelopes.clear()
            known = self._envelopes[prefix] = self.envelope(prefix)
        stamp, host, program, pid, _ = known
        return Head(stamp, host, program, pid, text[start:] if start else text)

    def local(self, text: str, read: Callable[[str, SourceClock], int | None] = numbers) -> int | None:
        """A time in the source's zone; the text of the line before is not read again."""
        if text != self._text:
            self._text, self._moment_of = text, read(text, self.clock)
        return self._moment_of

    def envelope(self, prefix: str) -> Head:
        """What stands before a record; a format with a header of its own reads it here."""
        header = _LOST_PRIORITY.sub("", prefix.lstrip(), count=1)
        line = split(f"{header.rstrip()} x") if header.strip() else None
        return Head("", None, None, None, "") if line is None else Head(*line)
