"""The normaliser of a format of one's own.

Whatever the syntax, a line may stand behind a syslog header or in a journal's JSON, as for all formats. An expression
is run by Polars over a whole chunk, in linear time whatever it is and whatever the lines are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers.abstract import LineChunk, Normalised, NormaliserSettings
from streams.normalisers.columns import event_columns
from streams.normalisers.custom.mail import mail_columns
from streams.normalisers.custom.spec import FormatSpec
from streams.normalisers.custom.values import BadValue, clock_of, columns_of
from streams.normalisers.json_records import decoded, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.payload import pairs
from streams.normalisers.proxy.facts import URL_FIELDS, ProxyFacts
from streams.normalisers.proxy.values import with_scheme
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Gathered, Head, Read, RecordNormaliser
from streams.normalisers.tables import MAX_COLUMNS, cells

Fields = Mapping[str, str | None]
MAX_DEPTH = 16


class CustomReason(IgnoredReason):
    """Why a line of a format of one's own is ignored."""

    AS_CONFIGURED = "as_configured"  # the format's own `ignore`


class CustomNormaliser(RecordNormaliser):
    """Reads lines as a `FormatSpec` says.

    Args:
        name: Name of the format: `event_dataset`, and type name.
        spec: The format; one without mistakes (`checks`).
        settings: What the source's configuration tells.
    """

    def __init__(self, name: str, spec: FormatSpec, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.kind, self.type_name, self.DATASET = spec.kind, name, name  # type: ignore[misc]
        self._spec = spec
        zone = spec.time.timezone
        if zone is not None:
            self.clock.use_zone(zone)
        self._columns, self._when = columns_of(spec), clock_of(spec.time, self.clock)
        self._names: tuple[str, ...] = spec.columns
        self._time = frozenset((spec.time.field,) if isinstance(spec.time.field, str) else spec.time.field)
        self._nulls = frozenset(spec.nulls)
        self._found: list[Fields | None] = []
        self._ignored: list[bool] = []
        self._at = 0

    @staticmethod
    def fields_of(spec: FormatSpec) -> tuple[str, ...]:
        """Columns that a format fills, in the order of the schema."""
        given = {*spec.fields, "timestamp", "event_dataset", "event_outcome"}
        if "url_original" in spec.fields:
            given.update(URL_FIELDS)
        return tuple(name for name in event_columns(spec.kind) if name in given)

    def normalise(self, chunk: LineChunk) -> Normalised:
        """Take the next lines; see `Normaliser.normalise`."""
        texts = pl.Series([raw.decode("utf-8", "backslashreplace") for raw in chunk.lines], dtype=pl.String)
        self._at = 0
        self._ignored = texts.str.contains(self._spec.ignore).to_list() if self._spec.ignore else []
        self._found = _extracted(texts, self._spec.pattern) if self._spec.syntax == "regex" else []
        return super().normalise(chunk)

    def _line(self, out: Gathered, index: int, raw: bytes) -> None:
        self._at = index
        super()._line(out, index, raw)

    def _head(self, text: str) -> Head:
        """The line as it is: a time and a host in front may be the format's own. `read` takes a header off."""
        return Head("", None, None, None, text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`. A line that is no record of the format may be one behind a header."""
        if self._ignored and self._ignored[self._at] and not self._names_columns(head.message):
            return CustomReason.AS_CONFIGURED
        found = self._found[self._at] if self._found else None
        taken = self._record(head, found)
        if not isinstance(taken, Unreadable):
            return taken
        inner = super()._head(head.message)
        if inner.message == head.message:
            return taken
        if self._spec.ignore and pl.Series([inner.message]).str.contains(self._spec.ignore)[0]:
            return CustomReason.AS_CONFIGURED
        found = _extracted(pl.Series([inner.message]), self._spec.pattern)[0] if self._found else None
        behind = self._record(inner, found)
        return taken if isinstance(behind, Unreadable) else behind

    def _record(self, head: Head, found: Fields | None) -> Read:
        fields = self._fields(head.message, found)
        if not isinstance(fields, Mapping):
            return fields
        nulls = self._nulls
        stated = {name: value for name, value in fields.items() if value and value not in nulls}
        when = self._when(stated)
        if when is None and head.stamp and self._time.isdisjoint(stated):
            when = self.clock.micros(head.stamp)
        if when is None:
            return Unreadable(Refused.BAD_TIME, "no time in the field that should hold it, or none that exists")
        try:
            fact: Fact = self._columns(stated)
        except BadValue as error:
            return Unreadable(Refused.BAD_FIELD, str(error))
        fact["timestamp"] = when
        if self.kind is EventKind.PROXY:
            _complete_url(fact)
        if head.stamp:
            fact |= {"observer_hostname": head.host, "process_name": head.program, "process_pid": head.pid}
        return fact

    def _names_columns(self, message: str) -> bool:
        return self._spec.syntax == "w3c" and message.startswith("#")

    def columns(self, facts: Sequence[Fact]) -> Mapping[str, Sequence[Any] | pl.Series]:
        """See `RecordNormaliser.columns`."""
        if self.kind is EventKind.PROXY:
            return ProxyFacts.columns(self, facts)  # type: ignore[arg-type]
        return mail_columns(facts) if self.kind is EventKind.MAIL else super().columns(facts)

    def _fields(self, message: str, found: Fields | None) -> Fields | IgnoredReason | Unreadable:
        """A record's fields, or what else the line is."""
        match self._spec.syntax:
            case "regex":
                return Unreadable(Refused.UNKNOWN_FORM, "the pattern does not fit") if found is None else found
            case "pairs":
                return pairs(message) or Unreadable(Refused.UNKNOWN_FORM, "no key=value pair in the line")
            case "json":
                return _json(message)
            case "w3c":
                return self._w3c(message)
            case _:
                return self._delimited(message)

    def _w3c(self, message: str) -> Fields | IgnoredReason | Unreadable:
        if message.startswith("#"):
            if message.startswith("#Fields:"):
                self._names = tuple(message.removeprefix("#Fields:").split())[:MAX_COLUMNS]
            return Ignored.HEADER
        tab = "\t" in message
        return self._row(cells(message, "\t" if tab else " "))

    def _delimited(self, message: str) -> Fields | IgnoredReason | Unreadable:
        values = cells(message, self._spec.delimiter, self._spec.quote)
        if self._spec.header and values is not None and self._is_header(values):
            self._names = tuple(value.strip() for value in values)[:MAX_COLUMNS]
            return Ignored.HEADER
        return self._row(values)

    def _is_header(self, values: Sequence[str]) -> bool:
        """A line that holds the name of the time's field as a value: no record does."""
        return self._time <= {value.strip() for value in values}

    def _row(self, values: list[str] | None) -> Fields | Unreadable:
        if values is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if not self._names:
            return Unreadable(Refused.NO_FIELDS, "no line before this one names the columns")
        if len(values) > len(self._names):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(values)} values, {len(self._names)} columns")
        return dict(zip(self._names, values, strict=False))

    def remember(self) -> dict[str, Any]:
        """Names of the columns."""
        return {"names": list(self._names)}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        if not self._spec.columns:
            self._names = tuple(str(name) for name in saved.get("names", ()))


def _complete_url(fact: Fact) -> None:
    """Give `www.example.org/a`, as filters write it, the scheme without which it has no parts."""
    url = fact.get("url_original")
    if url and url[0] not in "/-" and fact.get("http_request_method") != "CONNECT":
        fact["url_original"] = with_scheme(url, secure=fact.get("url_scheme") == "https")


def _extracted(texts: pl.Series, pattern: str) -> list[Fields | None]:
    """The named groups of each text; None where the expression does not fit."""
    rows = texts.str.extract_groups(pattern).struct.unnest().iter_rows(named=True)
    return [row if fits else None for row, fits in zip(rows, texts.str.contains(pattern).to_list(), strict=True)]


def _json(message: str) -> Fields | Unreadable:
    start = message.find("{")
    if start < 0:
        return Unreadable(Refused.UNKNOWN_FORM, "no JSON object in the line")
    try:
        value = decoded(message[start:])
    except ValueError as error:
        return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
    fields: dict[str, str | None] = {}
    _flatten(value, "", fields, 0)
    return fields


def _flatten(value: Any, path: str, into: dict[str, str | None], depth: int) -> None:
    """Scalars by their paths, `a.b[0].c`; a list of scalars also joined by commas under its own path."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(inner, f"{path}.{key}" if path else str(key), into, depth + 1)
    elif isinstance(value, list):
        into[path] = ",".join(part for part in map(text, value) if part)
        for number, inner in enumerate(value[:100]):
            _flatten(inner, f"{path}[{number}]", into, depth + 1)
    else:
        into[path] = text(value)
