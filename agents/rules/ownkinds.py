"""What stands under `aupstream:` for the kinds that Sigma has no word for, read and checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_network
from math import inf, isfinite
from pathlib import Path
from typing import Any

from agents.context.calendar_settings import hours_of
from agents.context.csvfile import read_text, rows
from agents.rules.columns import ColumnType
from agents.rules.conditions import Column
from agents.rules.model import Threshold
from agents.rules.own import DAY, PERIODS, WEEK, Absence, Concurrent, NewValue, OwnKind, Quota, Spike, Travel
from agents.rules.shape import Checker, a, suggestion
from schemas.errors import AupstreamError, ConfigError, Errors

MEASURED_AS = {"concurrent": "value_count", "travel": "value_count", "spike": "event_count", "absence": "event_count"}
# What belongs to which of our kinds.
PARTS: Mapping[str, tuple[str, ...]] = {
    "new_value": ("learn", "known", "known-list", "forget"),
    "sequence": ("counts",),
    "concurrent": ("session",),
    "travel": ("travel",),
    "quota": ("per",),
    "spike": ("spike",),
    "absence": ("expect", "within", "by"),
}
_NOT_WITH: Mapping[str, tuple[str, ...]] = {
    "new_value": ("window", "lasting", "suppress", "rearm"),
    "concurrent": ("window", "lasting", "thresholds"),
    "travel": ("window", "lasting", "thresholds"),
    "quota": ("window", "lasting", "thresholds", "suppress", "rearm"),
    "spike": ("window", "lasting", "thresholds", "suppress", "rearm"),
    "absence": ("window", "lasting", "thresholds", "suppress", "rearm", "informational-bases"),
}
MAX_LISTED = 100_000  # values or keys of a list
MAX_PERIODS = 1_000
_SPANS = {DAY: 86_400_000_000, WEEK: 604_800_000_000}
ACCOUNTS = ("user_name", "target_user_name")


class OwnReader:
    """Reads what one rule of our kinds asks for.

    Args:
        check: Where errors go.
        own: What stands under `aupstream`.
        kind: As written there; Sigma's type where nothing is.
        bases: Names of the rules that it refers to.
        column: Finds the column of a name; see `agents.rules.conditions.Column`.
    """

    def __init__(self, check: Checker, own: Mapping[str, Any], kind: str, bases: Sequence[str], column: Column) -> None:
        self._check, self._own, self._kind, self._bases, self._column = check, own, kind, bases, column

    def read(self, group_by: Sequence[str], timespan_us: int, limits: Sequence[Threshold]) -> OwnKind | None:
        """What is asked for; None for one of Sigma's own kinds, and where it cannot be told, which is noted.

        Args:
            group_by: Columns that the rule is kept per.
            timespan_us: The rule's time span.
            limits: What the condition asks for.
        """
        self._refuse()
        if self._kind == "new_value":
            asked = NewValue(self._known(), self._span("forget"))
            return None if asked == NewValue() else asked
        if self._kind == "absence":
            return self._absence(group_by, timespan_us, limits)
        readers: dict[str, Callable[[], OwnKind | None]] = {
            "concurrent": self._concurrent,
            "travel": self._travel,
            "quota": lambda: self._quota(timespan_us),
            "spike": lambda: self._spike(timespan_us),
        }
        if self._kind not in readers:
            return None
        if any(t.lte < inf or t.neq is not None for t in limits):
            what = f"{a(self._kind)} rule takes a lower limit only"
            self._check.error(what, "correlation", "condition", hint="write `gte`")
        least = 2 if self._kind in ("concurrent", "travel") else -inf
        if any(t.gte < least for t in limits):
            self._check.error("it takes two of them at least", "correlation", "condition", hint="write `gte: 2`")
        if self._kind == "travel" and any(t.gte != least for t in limits):
            self._check.error("places are looked at two by two", "correlation", "condition", hint="write `gte: 2`")
        return readers[self._kind]()

    def _refuse(self) -> None:
        for kind, parts in PARTS.items():
            for part in parts:
                if part in self._own and kind != self._kind and part not in PARTS.get(self._kind, ()):
                    one = "belong" if part == "counts" else "belongs"
                    self._check.error(f"{part} {one} to kind {kind}", "aupstream", part, key=True, hint="remove it")
        for part in _NOT_WITH.get(self._kind, ()):
            if part in self._own:
                what = f"{a(self._kind)} rule knows no {part}"
                self._check.error(what, "aupstream", part, key=True, hint="remove it")

    def _known(self) -> frozenset[str]:
        listed = self._check.texts(self._own.get("known"), "aupstream", "known")
        lines: list[str] = []
        text = self._file("known-list")
        if text is not None:
            lines = [line.strip() for line in text.splitlines()]
            lines = [line for line in lines if line and not line.startswith("#")]
        if len(lines) + len(listed) > MAX_LISTED:
            self._check.error(f"more than {MAX_LISTED} values", "aupstream", "known-list")
        return frozenset(v.casefold() for v in (*listed, *lines))

    def _file(self, key: str) -> str | None:
        """Text of a file named beside the rule's own; None where there is none."""
        name = self._own.get(key)
        if name is None:
            return None
        if not isinstance(name, str) or not name:
            self._check.error(f"{key} must name a file", "aupstream", key, hint="beside the rule's own file")
            return None
        try:
            return read_text(Path(self._check.document.file).parent / name)
        except (AupstreamError, ValueError) as error:
            self._check.error(f"{key}: {error}", "aupstream", key)
            return None

    def _concurrent(self) -> Concurrent:
        session = self._check.mapping(self._own.get("session"), "aupstream", "session")
        self._check.keys("session", session, "aupstream", "session")
        ends = self._check.texts(session.get("ends"), "aupstream", "session", "ends")
        for name in ends:
            if name not in self._bases:
                hint = suggestion(name, self._bases)
                self._check.error(f"{name!r} is no rule of this correlation", "aupstream", "session", "ends", hint=hint)
        if ends and "id" not in session:
            self._check.error("what ends a session must say which", "aupstream", "session", hint="add `id: session_id`")
        if self._bases and not set(self._bases) - set(ends):
            self._check.error("no rule begins a session", "aupstream", "session", "ends", hint="name fewer")
        return Concurrent(
            frozenset(ends),
            self._named(session, "id", ColumnType.TEXT, ColumnType.NUMBER),
            self._named(session, "seconds", ColumnType.NUMBER),
        )

    def _named(self, holder: Mapping[str, Any], key: str, *allowed: ColumnType) -> str | None:
        name = self._check.text(holder, key, "aupstream", "session")
        return self._column(name, allowed, ("aupstream", "session", key)) if name else None

    def _travel(self) -> Travel:
        part = self._check.mapping(self._own.get("travel"), "aupstream", "travel")
        self._check.keys("travel", part, "aupstream", "travel")
        proxies = self._check.texts(part.get("proxies"), "aupstream", "travel", "proxies")
        for text in proxies:
            try:
                ip_network(text, strict=False)
            except ValueError:
                hint = "write it like 198.51.100.0/24"
                self._check.error(f"{text!r} is no network", "aupstream", "travel", "proxies", hint=hint)
        km = self._number(part, "km", "travel", default=150)
        return Travel(float(km or 0), float(self._number(part, "km-per-h", "travel", default=900) or 0), proxies)

    def _quota(self, timespan_us: int) -> Quota:
        per = self._per(self._own, "aupstream")
        if per is None:
            self._check.error("a quota says no period", "aupstream", hint="add `per: day` or `per: week`")
        self._same_span(per, timespan_us)
        return Quota(per or DAY)

    def _spike(self, timespan_us: int) -> Spike:
        part = self._check.mapping(self._own.get("spike"), "aupstream", "spike")
        here = ("aupstream", "spike")
        self._check.keys("spike", part, *here)
        per = self._per(part, *here)
        self._same_span(per, timespan_us)
        periods = self._check.whole(part, "periods", *here, low=1, high=MAX_PERIODS, default=14)
        least = self._check.whole(part, "least", *here, low=1, high=periods, default=min(7, periods))
        factor, deviations = self._number(part, "factor", "spike"), self._number(part, "deviations", "spike")
        if factor is None and deviations is None:
            self._check.error("a spike says not how high", "aupstream", hint="add `spike: {factor: 3}` or `deviations`")
        return Spike(per or "", periods, least, factor, deviations)

    def _per(self, holder: Mapping[str, Any], *path: str) -> str | None:
        per = holder.get("per")
        if per is not None and per not in PERIODS:
            self._check.error(f"per {per!r} is not known", *path, "per", hint=suggestion(str(per), PERIODS))
            return DAY
        return per

    def _same_span(self, per: str | None, timespan_us: int) -> None:
        if per is not None and timespan_us not in (0, _SPANS[per]):
            what = f"a rule per {per} has the timespan 1{per[0]}"
            hint = "so that tools which know only Sigma read the nearest there is"
            self._check.error(what, "correlation", "timespan", hint=hint)

    def _number(self, holder: Mapping[str, Any], key: str, part: str, *, default: int | None = None) -> Fraction | None:
        value = holder.get(key, default)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value) or not 0 < value < 1e9:
            self._check.error(f"{key} must be a number above 0, not {value!r}", "aupstream", part, key)
            return Fraction(1)
        return Fraction(str(value))

    def _span(self, key: str) -> int:
        return self._check.timespan(self._own[key], "aupstream", key) if key in self._own else 0

    def _absence(self, group_by: Sequence[str], timespan_us: int, limits: Sequence[Threshold]) -> Absence | None:
        if any(t.holds(1) or not t.holds(0) for t in limits):
            self._check.error("an absence needs the condition `lt: 1`", "correlation", "condition")
        by = None
        if "by" in self._own:
            if "within" in self._own:
                self._check.error("within and by exclude each other", "aupstream", "by", key=True, hint="keep one")
            by = self._minute(self._own["by"])
        expect = self._expected(group_by)
        within = self._span("within") if "within" in self._own else timespan_us
        return Absence(expect, 0 if by is not None else within, by)

    def _minute(self, text: object) -> int:
        found = hours_of(f"{text}-24:00") if isinstance(text, str) else None
        if found is None:
            self._check.error(f"{text!r} is no time of day", "aupstream", "by", hint='write "07:00", in quotes')
        return found[0] if found else 0

    def _expected(self, group_by: Sequence[str]) -> frozenset[str]:
        listed = self._own.get("expect")
        if isinstance(listed, str):
            listed = self._listed(group_by)
        elif not isinstance(listed, list) or not listed:
            hint = "expect: [{host_name: mail-1}], or a CSV file with the columns of group-by"
            self._check.error("an absence says not what it expects", "aupstream", "expect", hint=hint)
            return frozenset()
        if len(listed) > MAX_LISTED:
            self._check.error(f"more than {MAX_LISTED} keys", "aupstream", "expect")
        found = set()
        for i, item in enumerate(listed):
            one = item if isinstance(item, dict) else {}
            values = {k: _folded(k, v) for k, v in one.items() if isinstance(v, str | int) and not isinstance(v, bool)}
            if set(values) != set(group_by) or len(values) < len(one) or not all(values.values()):
                hint = f"give {', '.join(group_by)}"
                self._check.error(f"{item!r} is no key of this rule", "aupstream", "expect", i, hint=hint)
                continue
            if any(column in ACCOUNTS and "@" in value for column, value in values.items()):
                # In a group key it has none: it would be missed though it comes, and be said to be absent.
                hint = "give the account as the roster has it, without its mail domain"
                self._check.error(f"{item!r} names an account by an address", "aupstream", "expect", i, hint=hint)
                continue
            found.add(json.dumps(dict(sorted(values.items())), separators=(",", ":"), ensure_ascii=False))
        return frozenset(found)

    def _listed(self, group_by: Sequence[str]) -> list[dict[str, str]]:
        text = self._file("expect")
        errors: list[ConfigError] = []
        found = [] if text is None else [row for _, row in rows(text, str(self._own["expect"]), group_by, errors)]
        for error in errors[:20]:
            self._check.error(str(Errors([error])), "aupstream", "expect")
        if text is not None and not found and not errors:
            self._check.error("the list of what is expected is empty", "aupstream", "expect")
        return found


def _folded(column: str, value: str | int) -> str:
    """A value as it stands in group keys; see `agents.engine.enrich.Enricher.key`."""
    text = str(value).strip()
    if column in ACCOUNTS:
        return text.lower().rpartition("\\")[2]
    return text.lower() if column.startswith("email_") and column.endswith("_address") else text


def limits_of(kind: str, own: OwnKind | None, limits: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    """Thresholds as the kind measures them."""
    if isinstance(own, Travel):
        return (Threshold("km-per-h", own.km_per_h),)
    if isinstance(own, Absence):
        return ()
    return tuple(replace(t, name=kind) for t in limits) if kind in ("quota", "spike", "concurrent") else limits
