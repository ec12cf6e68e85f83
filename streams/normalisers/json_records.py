"""Formats whose records are JSON: a line an object, or an object that holds a list of them.

Exports and shippers wrap records: an array, a page of an interface (`value`, `items`, `records`, `Records`, `logs`,
`events`, `data`, `results`), a shipper's document that carries the text (`message`, `event.original`), a search
engine's (`_source`), an event bus's (`detail`), a collector's (`event`, `log`). `unwrapped` takes these off, at most
`MAX_DEPTH` deep, so that a format sees its own objects only.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from streams.normalisers.lines import Unreadable
from streams.normalisers.reasons import IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

MAX_DEPTH = 4
_LISTS = ("value", "items", "records", "Records", "logs", "events", "data", "result", "results", "entries")
_INNER = ("_source", "detail", "event", "log", "message", "_raw", "result", "record", "data")
_ORIGINAL = ("event", "original")

_decode = msgspec.json.Decoder().decode


def decoded(text: str) -> Any:
    """The JSON value of a text; `ValueError` where it is none."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise ValueError(str(error)) from error


def at(value: Any, *path: str | int) -> Any:
    """What stands at a path of keys and indices; None where the path ends before."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return None
            value = value[step]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def text(value: Any) -> str | None:
    """A scalar as text; None for null, empty text, lists and objects."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None or isinstance(value, (list, dict)) else str(value)


class JsonNormaliser(RecordNormaliser):
    """Objects of one product.

    A subclass says in `own` whether an object is one of its records, and in `fact` what it says. An object that is none
    is unwrapped; one that is none all the way down is `fact`'s to name.
    """

    WRAPPERS: ClassVar[tuple[str, ...]] = _INNER

    @abstractmethod
    def own(self, obj: dict[str, Any]) -> bool:
        """Whether an object is a record of the product, not a wrapper around one."""

    @abstractmethod
    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """What a record says."""

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        start = message.find("{") if message[:1] != "[" else 0
        if start < 0:
            return self.foreign(head)
        try:
            value = decoded(message[start:] if start else message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        if isinstance(value, dict) and self.own(value):
            return self.fact(value, head)
        return self._several(list(self.unwrapped(value, 0)), head)

    def foreign(self, head: Head) -> IgnoredReason | Unreadable:
        """A line without any JSON."""
        del head
        return Unreadable(Refused.UNKNOWN_FORM, "no JSON object in the line")

    def unwrapped(self, value: Any, depth: int) -> Iterator[dict[str, Any]]:
        """The product's objects in a value, in their order; an object that holds none is given as it is."""
        if isinstance(value, list):
            for inner in value:
                yield from self.unwrapped(inner, depth + 1)
            return
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                value = decoded(value)
            except ValueError:
                return
            yield from self.unwrapped(value, depth + 1)
            return
        if not isinstance(value, dict):
            return
        if self.own(value) or depth >= MAX_DEPTH:
            yield value
            return
        inner = self._inner(value)
        if inner is None:
            yield value
        else:
            yield from self.unwrapped(inner, depth + 1)

    def _inner(self, value: dict[str, Any]) -> Any:
        for key in _LISTS:
            if isinstance(value.get(key), list) and value[key] and isinstance(value[key][0], dict):
                return value[key]
        original = at(value, *_ORIGINAL)
        if isinstance(original, str) and original[:1] in "{[":
            return original
        for key in self.WRAPPERS:
            inner = value.get(key)
            if isinstance(inner, dict) or (isinstance(inner, str) and inner.lstrip()[:1] == "{"):
                return inner
        return None

    def _several(self, objects: list[dict[str, Any]], head: Head) -> Read:
        """What several objects of one line say together: their events; else the first that is refused or ignored."""
        facts: list[Fact] = []
        other: IgnoredReason | Unreadable | None = None
        for obj in objects:
            taken = self.fact(obj, head)
            if isinstance(taken, dict):
                facts.append(taken)
            elif isinstance(taken, list):
                facts += taken
            elif other is None or (isinstance(taken, Unreadable) and not isinstance(other, Unreadable)):
                other = taken
        if facts:
            return facts
        return other if other is not None else Unreadable(Refused.UNKNOWN_FORM, "no record in the JSON of the line")
