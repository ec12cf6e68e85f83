"""The shape of a rule document: which keys there may be and of what type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from agents.rules.positions import Document
from schemas.errors import RuleError

LEVELS = ("informational", "low", "medium", "high", "critical")
LAST_CLAUSE = 13
OWN_KINDS: Mapping[str, tuple[str, ...]] = {  # our kind: Sigma types nearest to it
    "new_value": ("event_count",),
    "sequence": ("temporal_ordered",),
    "concurrent": ("value_count",),
    "travel": ("value_count",),
    "quota": ("event_count", "value_count", "value_sum"),
    "spike": ("event_count",),
    "absence": ("event_count",),
}
TIMESPAN = re.compile(r"([1-9][0-9]{0,6})([smhdwMy])")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
MAX_CONDITION = 5_000  # characters; and so many brackets and nots within each other: more overflow the parser's stack
MAX_NESTING = 20
_TOKEN = re.compile(r"[()]|[^\s()]+")

_COMMON = (
    "title", "id", "name", "related", "taxonomy", "status", "description", "license", "author", "references", "date",
    "modified", "fields", "falsepositives", "level", "tags", "scope", "aupstream",
)  # fmt: skip
KEYS: Mapping[str, tuple[str, ...]] = {
    "detection rule": (*_COMMON, "logsource", "detection"),
    "correlation rule": (*_COMMON, "correlation"),
    "correlation": ("type", "rules", "group-by", "timespan", "condition", "generate", "aliases"),
    "condition": ("gte", "gt", "lt", "lte", "eq", "neq", "field", "percentile"),
    "aupstream": (
        "clause", "kind", "counts", "thresholds", "learn", "informational-bases", "permit-tolerance", "group-by",
        "examples", "window", "lasting", "suppress", "rearm", "shadow", "when", "known", "known-list",
        "forget", "session", "travel", "per", "spike", "expect", "within", "by", "about", "visits",
    ),
    "threshold": ("name", "gte", "where", "per"),
    "learn": ("time", "unless"),
    "session": ("id", "ends", "seconds"),
    "travel": ("km", "km-per-h", "proxies"),
    "spike": ("per", "periods", "least", "factor", "deviations"),
    "when": ("hours", "days", "school-days", "outside", "zone"),
    "logsource": ("category", "product", "service", "definition"),
    "example": ("name", "context", "events", "violations"),
}  # fmt: skip


def a(word: str) -> str:
    """A word with its article."""
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"


def suggestion(word: str, known: Iterable[str], most: int = 100) -> str:
    """A hint that names what was probably meant, or what there is, at most so many."""
    names = list(known)
    near = get_close_matches(word, names, n=1, cutoff=0.55)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(names)[:most])}{more}"


def nested(condition: str) -> int:
    """How many brackets and nots of a condition are within each other."""
    deepest, around = 0, [0]  # nots before what comes next, by bracket
    depth = 0
    for word in _TOKEN.findall(condition):
        if word == "(":
            around.append(0)
            depth += 1
        elif word == "not":
            around[-1] += 1
            depth += 1
        else:
            if word == ")" and len(around) > 1:
                depth -= 1 + around.pop()
            depth -= around[-1]
            around[-1] = 0
        deepest = max(deepest, depth)
    return deepest


class Checker:
    """Reads parts of one document and collects what is wrong with them.

    Every reading gives a usable value or its default, so that one wrong key does not hide the next.
    """

    def __init__(self, document: Document, errors: list[RuleError]) -> None:
        self.document, self.errors = document, errors

    def error(self, what: str, *path: str | int, hint: str = "", key: bool = False) -> None:
        """Note an error at a path."""
        self.errors.append(self.document.error(what, *path, hint=hint, key=key))

    def keys(self, part: str, value: Mapping[str, Any], *path: str | int) -> None:
        """Note every key that a part of this sort does not have."""
        for key in value:
            if key not in KEYS[part]:
                self.error(f"unknown key {key!r} in {part}", *path, key, hint=suggestion(key, KEYS[part]), key=True)

    def mapping(self, value: Any, *path: str | int) -> dict[str, Any]:
        """A mapping; empty where it is none."""
        if value is None or isinstance(value, dict):
            return value or {}
        self.error(f"{_name(path)} must be a mapping", *path, hint="write keys and values below it")
        return {}

    def text(self, holder: Mapping[str, Any], key: str, *path: str | int, required: bool = False) -> str:
        """A text; empty where there is none."""
        value = holder.get(key)
        if value is None:
            if required:
                self.error(f"{key} is missing", *path, hint=f"add `{key}:`")
            return ""
        if not isinstance(value, str) or not value.strip():
            self.error(f"{key} must be text", *path, key, hint="put it in quotes")
            return ""
        return value.strip()

    def texts(self, value: Any, *path: str | int) -> tuple[str, ...]:
        """A list of texts; one text counts as a list of one."""
        listed = [value] if isinstance(value, str) else value
        if listed is None:
            return ()
        if not isinstance(listed, list) or not all(isinstance(v, str) and v for v in listed):
            self.error(f"{_name(path)} must be a list of texts", *path, hint="write it like [a, b]")
            return ()
        return tuple(listed)

    def whole(self, holder: Mapping[str, Any], key: str, *path: str | int, low: int, high: int, default: int) -> int:
        """A whole number within bounds."""
        value = holder.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.error(f"{key} must be a whole number from {low} to {high}, not {value!r}", *path, key)
            return default
        return value

    def flag(self, holder: Mapping[str, Any], key: str, *path: str | int) -> bool:
        """True or false; false where it is not said."""
        value = holder.get(key, False)
        if not isinstance(value, bool):
            self.error(f"{key} must be true or false, not {value!r}", *path, key)
        return value is True

    def nesting(self, condition: str, *path: str | int) -> bool:
        """True where a condition is not too much for a parser; else that is noted."""
        if len(condition) > MAX_CONDITION:
            what = f"condition has more than {MAX_CONDITION} characters"
        elif nested(condition) > MAX_NESTING:
            what = f"condition has more than {MAX_NESTING} brackets or nots within each other"
        else:
            return True
        self.error(what, *path, hint="split the rule")
        return False

    def timespan(self, value: Any, *path: str | int) -> int:
        """Sigma time span in microseconds; 0 where it is wrong. A month is 30.4368 days, a year twelve of them."""
        if value is None:
            self.error(f"{_name(path)} is missing", *path, hint="add one such as 30m")
            return 0
        match = TIMESPAN.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            hint = "a whole number and s, m, h, d, w, M (month) or y, such as 30m"
            self.error(f"{value!r} is no time span", *path, hint=hint)
            return 0
        return int(match[1]) * UNIT_SECONDS[match[2]] * 1_000_000


# As pySigma has them (SigmaCorrelationTimespan); a test holds the two against each other.
UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "M": 2_629_746, "y": 31_556_952}


def _name(path: tuple[str | int, ...]) -> str:
    return str(path[-1]) if path else "document"
