"""Sigma filters: documents that take what is known and harmless out of the rules they name.

A filter is written into its rules before these are read: its selections under names of their own, its condition behind
theirs with `and`. So a rule's version changes with its filters, and everything that is checked of a rule is checked of
them. Names begin with an underscore, which `them` leaves out (Sigma specification 2.1.0, "Sigma filters").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter

from agents.rules.positions import Document
from agents.rules.shape import suggestion
from schemas.errors import RuleError

_TOKEN = re.compile(r"[a-zA-Z_*][a-zA-Z0-9*_-]*")
_WORDS = frozenset({"not", "and", "or", "all", "any", "of", "1"})


@dataclass(frozen=True, slots=True)
class _Filter:
    document: Document
    name: str
    rules: tuple[str, ...]  # empty: any that its log source covers
    source: dict[str, str]
    selections: dict[str, Any]
    condition: str
    prefix: str = ""  # of its selections, in the rules that it is written into


def filtered(documents: Sequence[Document], aside: Callable[[Document], list[RuleError]]) -> list[Document]:
    """Documents with their filters written in; the filters themselves are taken out.

    Args:
        documents: Of all files.
        aside: Where mistakes of a document go.
    """
    others = [d for d in documents if "filter" not in d.data]
    names = {name for d in others if "detection" in d.data for name in _names(d)}
    filters = [made for d in documents if "filter" in d.data if (made := _read(d, names, aside(d))) is not None]
    for one in _apart(filters):
        others = [_applied(d, one, aside(one.document)) if "detection" in d.data else d for d in others]
    return others


def _apart(filters: Sequence[_Filter]) -> list[_Filter]:
    """Filters with prefixes of which none begins another: a pattern of one would find selections of the other."""
    plain = [f"_filter_{re.sub('[^a-zA-Z0-9]', '_', one.name)}_" for one in filters]
    alike = [any(a.startswith(b) or b.startswith(a) for b in plain[:i] + plain[i + 1 :]) for i, a in enumerate(plain)]
    ordered = sorted(range(len(filters)), key=lambda i: filters[i].name)
    made = [plain[i].replace("_filter_", f"_filter{n}_", 1) if alike[i] else plain[i] for n, i in enumerate(ordered)]
    return [replace(filters[i], prefix=prefix) for i, prefix in sorted(zip(ordered, made, strict=True))]


def _names(document: Document) -> list[str]:
    return [v for v in (document.data.get("name"), document.data.get("id")) if isinstance(v, str)]


def _read(document: Document, names: Iterable[str], errors: list[RuleError]) -> _Filter | None:
    try:
        read = SigmaFilter.from_dict(document.data)
    except (SigmaError, TypeError, ValueError, AttributeError, KeyError) as error:
        errors.append(document.error(" ".join(str(error).split())[:300], "filter", hint="see Sigma's filters"))
        return None
    part = document.data["filter"]
    given = part["rules"]
    rules = () if isinstance(read.filter.rules, str) else tuple(r.reference for r in read.filter.rules)
    for i, rule in enumerate(rules):
        if rule not in names:
            at: tuple[str | int, ...] = ("filter", "rules", i) if isinstance(given, list) else ("filter", "rules")
            errors.append(document.error(f"there is no rule {rule!r}", *at, hint=suggestion(rule, names)[:200]))
            return None
    name = next(iter(_names(document)), f"line{document.line}")
    selections = {key: value for key, value in part.items() if key not in ("rules", "condition")}
    condition = read.filter.condition[0]
    for word in _TOKEN.findall(condition):
        if word.lower() not in _WORDS and word != "them" and not any(fnmatchcase(key, word) for key in selections):
            what = f"the condition names {word!r}, which is no selection of the filter"
            errors.append(document.error(what, "filter", "condition", hint=suggestion(word, selections)[:200]))
            return None
    source = {k: str(v) for k, v in document.data["logsource"].items() if k != "definition"}
    return _Filter(document, name, rules, source, selections, condition)


def _applied(document: Document, one: _Filter, errors: list[RuleError]) -> Document:
    if one.rules and not set(one.rules) & set(_names(document)):
        return document
    source, detection = document.data.get("logsource"), document.data["detection"]
    covered = isinstance(source, dict) and all(source.get(key) == value for key, value in one.source.items())
    if not covered or not isinstance(detection, dict) or "condition" not in detection:
        if one.rules:
            what = f"the log source of rule {next(iter(_names(document)), '?')!r} is not the filter's"
            errors.append(one.document.error(what, "logsource", hint="a filter acts on rules of its own log source"))
        return document
    prefix = one.prefix
    condition = _TOKEN.sub(lambda found: _renamed(found[0], prefix), one.condition)
    own = detection["condition"]
    joined = [f"({c}) and ({condition})" for c in own] if isinstance(own, list) else f"({own}) and ({condition})"
    selections = {prefix + key: value for key, value in one.selections.items()}
    data = document.data | {"detection": detection | selections | {"condition": joined}}
    told = {
        ("detection", prefix + str(path[1]), *path[2:]): (one.document.file, *place)
        for path, place in one.document.places.items()
        if path[:1] == ("filter",) and len(path) > 1
    }
    return replace(document, data=data, elsewhere={**document.elsewhere, **told})


def _renamed(word: str, prefix: str) -> str:
    if word.lower() in _WORDS:
        return word
    return f"{prefix}*" if word == "them" else prefix + word
