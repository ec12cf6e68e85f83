"""Every small change of a rule's document that its examples should notice: one part taken out, moved or turned around.

A change is said in words and given as the changed document's content. Limits that are counted move by one, those of
sums and averages by a tenth; times are halved and doubled. Not all of what comes out is a rule: whoever builds it finds
out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from sigma.conditions import ConditionIdentifier, ConditionItem, ConditionNOT

from agents.rules.compiled import Compiled
from agents.rules.explain import condition_trees, parts_of, takes_every
from agents.rules.own import DAY, WEEK
from agents.rules.positions import Document, Path
from agents.rules.shape import TIMESPAN, UNIT_SECONDS

Change = tuple[str, dict[str, Any]]  # in words, and the document's content
MAX_LISTED = 50  # a longer list is one of data: no example shows each of its values
_EVERYTHING, _NOTHING = {"event_id|exists": True}, {"event_id|exists": False}
_COUNTED = ("event_count", "value_count")
_SPANS: tuple[Path, ...] = (("learn", "time"), ("forget",), ("lasting",), ("suppress",), ("rearm",), ("within",))
_FACTORS: tuple[Path, ...] = (("spike", "factor"), ("spike", "deviations"), ("travel", "km"), ("travel", "km-per-h"))
_WHOLE: tuple[Path, ...] = (("spike", "periods"), ("spike", "least"), ("permit-tolerance",))
_LISTED: tuple[Path, ...] = (
    ("known",), ("expect",), ("session", "ends"), ("travel", "proxies"), ("informational-bases",), ("when", "days"),
)  # fmt: skip
_OPTIONAL: tuple[Path, ...] = (
    ("learn", "unless"), ("visits",), ("known-list",), ("session", "id"), ("session", "seconds"), ("window",),
    ("spike", "factor"), ("spike", "deviations"), ("when", "hours"), ("when", "days"), ("when", "school-days"),
    ("when",),
)  # fmt: skip
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


def of_detection(document: Document, compiled: object, counted: Iterable[str]) -> Iterator[Change]:
    """Changes of a detection: without a selection, one of its fields, or one of a field's values.

    Args:
        document: The rule, filters applied.
        compiled: Its condition; see `Detection.expression`.
        counted: Columns that every rule over it groups by or counts. Rows without them count for nothing, so that to
            ask for their existence changes no outcome and is no change here.
    """
    if not isinstance(compiled, Compiled) or compiled.sigma is None:
        return
    name = str(document.data.get("name") or document.data.get("id"))
    anyway = {f"{column}|exists" for column in counted}
    neutral: dict[str, bool] = {}
    for tree in condition_trees(compiled.sigma):
        neutral.update(_neutral(tree, compiled.sigma, wanted=True))
    for selection, definition in document.data["detection"].items():
        if selection == "condition":
            continue
        of_no_account = isinstance(definition, dict) and definition.keys() <= anyway and neutral.get(selection)
        if selection in neutral and not of_no_account:
            gone = _EVERYTHING if neutral[selection] else _NOTHING
            yield f"{name} without {selection}", _put(document, ("detection", selection), gone)
        for what, smaller in _smaller(definition, anyway):
            yield f"{name}: {selection} without {what}", _put(document, ("detection", selection), smaller)


def _smaller(definition: Any, anyway: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """A selection without one of its fields, or one of its alternatives, down to each value."""
    if isinstance(definition, dict):
        for key in definition if len(definition) > 1 else ():
            if key not in anyway:
                yield str(key), {k: v for k, v in definition.items() if k != key}
        for key, values in definition.items():
            if isinstance(values, list) and 1 < len(values) <= MAX_LISTED:
                for i, value in enumerate(values):
                    yield f"{key}: {value}", {**definition, key: values[:i] + values[i + 1 :]}
    elif isinstance(definition, list):
        for i, one in enumerate(definition):
            if len(definition) > 1:
                yield f"{one}"[:80], definition[:i] + definition[i + 1 :]
            if isinstance(one, dict):
                for what, smaller in _smaller(one, anyway):
                    yield what, [*definition[:i], smaller, *definition[i + 1 :]]


def _neutral(tree: Any, sigma: Any, *, wanted: bool) -> dict[str, bool]:
    """What each selection must say for the condition to be as if it were not there."""
    if isinstance(tree, ConditionIdentifier):
        return {tree.identifier: wanted}
    if isinstance(tree, ConditionNOT):
        return _neutral(parts_of(tree, sigma)[0], sigma, wanted=not wanted)
    parts = parts_of(tree, sigma)
    if len(parts) > 1 or not isinstance(tree, ConditionItem):
        wanted = takes_every(tree)
    return {name: value for part in parts for name, value in _neutral(part, sigma, wanted=wanted).items()}


def of_correlation(document: Document) -> Iterator[Change]:
    """Changes of a correlation: its limits, its time span, what it is kept per and made of."""
    part, own = document.data["correlation"], _mapping(document.data.get("aupstream"))
    if "thresholds" in own:
        yield from _of_thresholds(document, own["thresholds"])
    else:
        yield from _of_condition(document, _mapping(part.get("condition")))
    yield from _moved(document, ("aupstream", "counts"), own.get("counts"))
    if own.get("kind") != "new_value" and not own.keys() & {"within", "by"}:  # those have no window, or say their time
        yield from _stretched(document, ("correlation", "timespan"))
    for what, groups in _without_one(part.get("group-by"), least=1):
        yield f"group-by without {what}", _put(document, ("correlation", "group-by"), groups)
    yield from _without_rules(document, part, own)


def _of_condition(document: Document, condition: Mapping[str, Any]) -> Iterator[Change]:
    kind = document.data["correlation"].get("type")
    for key in ("gte", "gt", "lte", "lt", "eq", "neq", "percentile"):
        value = condition.get(key)
        if not _number(value):
            continue
        tenth = abs(value) // 10 if isinstance(value, int) else abs(value) / 10
        by = 1 if kind in _COUNTED else 10 if key == "percentile" else tenth or 1
        for moved in (value + by, value - by):
            yield f"{key}: {moved}", _put(document, ("correlation", "condition", key), moved)


def _of_thresholds(document: Document, listed: Any) -> Iterator[Change]:
    """Each limit moved by one, without its class, and gone; the condition's own limit stays the lowest of them."""
    if not isinstance(listed, list) or not all(isinstance(t, dict) and _number(t.get("gte")) for t in listed):
        return
    changed: list[tuple[str, list[Any]]] = []
    for i, limit in enumerate(listed):
        name, before, after = limit.get("name"), listed[:i], listed[i + 1 :]
        changed += [
            (f"{name}: gte: {moved}", [*before, {**limit, "gte": moved}, *after])
            for moved in (limit["gte"] + 1, limit["gte"] - 1)
        ]
        changed += [
            (f"{name} without {key}", [*before, {k: v for k, v in limit.items() if k != key}, *after])
            for key in ("where", "per")
            if key in limit
        ]
        if len(listed) > 1:
            changed.append((f"thresholds without {name}", [*before, *after]))
    for what, thresholds in changed:
        data = _put(document, ("aupstream", "thresholds"), thresholds)
        condition = _mapping(data["correlation"].get("condition"))
        data["correlation"]["condition"] = {**condition, "gte": min(t["gte"] for t in thresholds)}
        yield what, data


def _without_rules(document: Document, part: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[Change]:
    """Without one of the rules, and what is said of it elsewhere."""
    rules = part.get("rules")
    for i, (name, rest) in enumerate(_without_one(rules, least=1)):
        data = _put(document, ("correlation", "rules"), rest)
        inside = data.get("aupstream", {})
        counts = own.get("counts")
        if isinstance(counts, list):
            inside["counts"] = counts[:i] + counts[i + 1 :]
        if name not in rest:
            for holder, key in ((inside, "informational-bases"), (_mapping(inside.get("session")), "ends")):
                if isinstance(holder.get(key), list):
                    holder[key] = [n for n in holder[key] if n != name]
        yield f"rules without {name}", data


def of_own(document: Document) -> Iterator[Change]:
    """Changes of what stands under `aupstream`, of any rule."""
    own = _mapping(document.data.get("aupstream"))
    for path in _SPANS:
        if _at(own, path) is not None:
            yield from _stretched(document, ("aupstream", *path))
    for path in _FACTORS:
        value = _at(own, path)
        if _number(value):
            for moved in (value * 2, value / 2):
                yield f"{path[-1]}: {moved:g}", _put(document, ("aupstream", *path), moved)
    for path in _WHOLE:
        value = _at(own, path)
        if _number(value):
            yield from _moved(document, ("aupstream", *path), [value], alone=True)
    for path in _LISTED:
        for what, rest in _without_one(_at(own, path)):
            yield f"{path[-1]} without {what}", _put(document, ("aupstream", *path), rest)
    for path in _OPTIONAL:
        if _at(own, path) is not None:
            yield f"without {' '.join(map(str, path))}", _put(document, ("aupstream", *path), None)
    yield from _of_calendar(document, own)


def _of_calendar(document: Document, own: Mapping[str, Any]) -> Iterator[Change]:
    when = _mapping(own.get("when"))
    if when:
        turned = not when.get("outside", False)
        yield f"outside: {turned}".lower(), _put(document, ("aupstream", "when", "outside"), turned)
    hours = when.get("hours")
    for i, text in enumerate(hours if isinstance(hours, list) else [hours]):
        for moved in _hours_moved(str(text)):
            path: Path = (
                ("aupstream", "when", "hours", i) if isinstance(hours, list) else ("aupstream", "when", "hours")
            )
            yield f"hours: {moved}", _put(document, path, moved)
    for moved in _hours_moved(f"{own.get('by')}-24:00"):
        by = moved.partition("-")[0]
        if moved.endswith("-24:00"):
            yield f"by: {by}", _put(document, ("aupstream", "by"), by)
    for path in (("per",), ("spike", "per")):
        per = _at(own, path)
        if per in (DAY, WEEK):
            other, span = (WEEK, "1w") if per == DAY else (DAY, "1d")
            data = _put(document, ("aupstream", *path), other)
            data["correlation"]["timespan"] = span
            yield f"per: {other}", data


def _hours_moved(text: str) -> Iterator[str]:
    """Hours that begin or end an hour earlier or later."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return
    begin, end = int(found[1]), int(found[3])
    for a, b in ((begin - 1, end), (begin + 1, end), (begin, end - 1), (begin, end + 1)):
        if 0 <= a <= 23 and 0 <= b <= 24 and not (b == 24 and found[4] != "00"):
            yield f"{a:02}:{found[2]}-{b:02}:{found[4]}"


def _moved(document: Document, path: Path, numbers: Any, *, alone: bool = False) -> Iterator[Change]:
    """Each of some whole numbers one more and one less."""
    for i, number in enumerate(numbers if isinstance(numbers, list) else ()):
        for moved in (number + 1, number - 1):
            if moved >= (0 if alone else 1):
                made = moved if alone else [*numbers[:i], moved, *numbers[i + 1 :]]
                yield f"{path[-1]}: {made}", _put(document, path, made)


def _stretched(document: Document, path: Path) -> Iterator[Change]:
    """A time span doubled and halved."""
    found = TIMESPAN.fullmatch(str(_at(document.data, path)))
    if found is not None:
        seconds = int(found[1]) * UNIT_SECONDS[found[2]]
        for text in (f"{int(found[1]) * 2}{found[2]}", f"{seconds // 2}s"):
            yield f"{path[-1]}: {text}", _put(document, path, text)


def _without_one(listed: Any, *, least: int = 0) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(listed, list) and least < len(listed) <= MAX_LISTED:
        for i, one in enumerate(listed):
            yield str(one), listed[:i] + listed[i + 1 :]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(data: Any, path: Sequence[str | int]) -> Any:
    """What stands at a path; None where nothing does."""
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _put(document: Document, path: Sequence[str | int], value: Any) -> dict[str, Any]:
    """The document's content with one part replaced, or taken out for None."""
    made: dict[str, Any] = copy.deepcopy(dict(document.data))
    inside: Any = made
    for key in path[:-1]:
        inside = inside[key]
    if value is None:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return made
