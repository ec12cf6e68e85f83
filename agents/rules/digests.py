"""What tells one version of a rule from another, and one condition: checksums of what they are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from re import findall
from typing import Any

from sigma.conditions import ConditionFieldEqualsValueExpression, ConditionItem, ConditionValueExpression
from sigma.types import SigmaExpansion, SigmaRegularExpression, SigmaString, SigmaType

from agents.rules.model import Detection, Rule
from agents.rules.own import Absence, NewValue

_SOURCE = ("category", "product", "service")
# What a rule is called and what comes of its episodes, and not when they open.
_OF_NO_EFFECT = frozenset(
    "version title description clause severity permit_tolerance innocent_causes informational_when attributed root "
    "root_by silent shadow examples file line".split()
)


def digest(content: object) -> str:
    """12 hexadecimal digits of plain values."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return blake2b(text.encode(), digest_size=6, person=b"aup-rule").hexdigest()


def version_of_rule(rule: Rule, documents: Sequence[Mapping[str, Any]], inner: Sequence[str], leans: list[Any]) -> str:
    """Version of a correlation.

    Args:
        rule: As read.
        documents: Its own and those of its detections.
        inner: Versions of the correlations that it is over.
        leans: What it leans on beside them; see `Detection.leans_on`. Empty where that is nothing.
    """
    return digest([*map(without_examples, documents), *inner, *_lists(rule), *leans])


def version_of_detection(document: Mapping[str, Any], leans_on: str) -> str:
    """Version of a detection that stands by itself."""
    return digest([without_examples(document), *([leans_on] if leans_on else [])])


def without_examples(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A document without its examples, which change nothing."""
    own = data.get("aupstream")
    if not isinstance(own, dict):
        return data
    return {**data, "aupstream": {k: v for k, v in own.items() if k != "examples"}}


def condition_of(data: Mapping[str, Any], leans_on: str) -> str:
    """Checksum of which events a detection matches, as far as its document and what it leans on say it."""
    source = data.get("logsource")
    log = {key: source[key] for key in _SOURCE if key in source} if isinstance(source, dict) else {}
    return digest([log, data.get("detection"), leans_on])


def condition_of_rule(rule: Rule) -> str:
    """Checksum of when a rule's episodes open: what the rows are of a rule over it."""
    said = {f.name: getattr(rule, f.name) for f in fields(rule) if f.name not in _OF_NO_EFFECT}
    if not rule.visits:
        del said["visits"]  # the release before did not know it: its chains are the same
    return digest(_plain(said))


def asked_of(rule: Rule, bases: Sequence[Detection | Rule]) -> str:
    """Checksum of what an event must be to be a row of a rule: its windows are good for no rule that asks otherwise.

    What new values are compared with is what is known, and no ground for a violation: that is kept.
    """
    aliases = sorted([a.name, a.base, a.column] for a in rule.aliases if a.name in rule.group_by)
    if rule.kind == "new_value":
        return digest(aliases) if aliases else ""
    conditions = {b.name: b.condition for b in bases if isinstance(b, Detection)}
    conditions |= {b.id: condition_of_rule(b) for b in bases if isinstance(b, Rule)}
    hours = None if rule.kind == "absence" else _plain(rule.when)  # of an absence it says when something is expected
    return digest([conditions, aliases, hours])


def lists_in(detection: object) -> Iterator[str]:
    """Names of the lists that values with `expand` stand for."""
    if isinstance(detection, list):
        for part in detection:
            yield from lists_in(part)
    for key, value in detection.items() if isinstance(detection, dict) else ():
        if "expand" in str(key).split("|")[1:]:
            yield from findall(r"%([^%]+)%", json.dumps(value, ensure_ascii=False, default=str))
        else:
            yield from lists_in(value)


def said(tree: Any) -> Any:
    """A condition as plain values: columns, and what is looked for in them."""
    if isinstance(tree, ConditionFieldEqualsValueExpression):
        return [tree.field, _value(tree.value)]
    if isinstance(tree, ConditionValueExpression):
        return [None, _value(tree.value)]
    assert isinstance(tree, ConditionItem)
    return [type(tree).__name__, *(said(part) for part in tree.args if part is not None)]


def _value(value: SigmaType) -> list[Any]:
    kind = type(value).__name__
    if isinstance(value, SigmaString):
        return [kind, *(part if isinstance(part, str) else str(part) for part in value.s)]
    if isinstance(value, SigmaExpansion):
        return [kind, *map(_value, value.values)]
    if isinstance(value, SigmaRegularExpression):
        return [kind, str(value.regexp), sorted(flag.name for flag in value.flags)]
    return [kind, str(value)]


def _lists(rule: Rule) -> list[list[str]]:
    """Lists that may stand in files of their own: another list is another version."""
    listed = rule.own.known if isinstance(rule.own, NewValue) else ()
    listed = rule.own.expect if isinstance(rule.own, Absence) else listed
    return [sorted(listed)] if listed else []


def _plain(value: Any) -> Any:
    """Plain values, whose order is always the same."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value
