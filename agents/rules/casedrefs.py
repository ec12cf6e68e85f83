"""`cased` together with `fieldref`, which pySigma forgets or refuses, by the order in which they stand."""

from __future__ import annotations

from typing import Any

from sigma.modifiers import SigmaCaseSensitiveModifier
from sigma.rule import SigmaDetection, SigmaRule
from sigma.types import SigmaFieldReference


class CasedFieldReference(SigmaFieldReference):
    """Another field of the same event, compared with regard to case."""


def read_sigma(data: dict[str, Any], *, collect_errors: bool = False) -> SigmaRule:
    """A detection rule as pySigma reads it, `fieldref|cased` as `cased|fieldref`.

    Raises:
        SigmaError: without `collect_errors`, what is wrong with it.
    """
    return SigmaRule.from_dict({**data, "detection": _ordered(data.get("detection"))}, collect_errors=collect_errors)


def mark_cased(definition: SigmaDetection) -> None:
    """Make the references of a selection cased where the rule says so, in place; last of all, pipelines drop it."""
    for item in definition.detection_items:
        if isinstance(item, SigmaDetection):
            mark_cased(item)
        elif SigmaCaseSensitiveModifier in item.modifiers:
            item.value = [
                CasedFieldReference(value.field, value.starts_with, value.ends_with)
                if isinstance(value, SigmaFieldReference)
                else value
                for value in item.value
            ]


def _ordered(definition: Any) -> Any:
    if isinstance(definition, list):
        return [_ordered(part) for part in definition]
    if not isinstance(definition, dict):
        return definition
    return {_key(key): _ordered(value) for key, value in definition.items()}


def _key(key: Any) -> Any:
    if not isinstance(key, str) or "fieldref" not in key or "cased" not in key:
        return key
    name, *words = key.split("|")
    if not {"fieldref", "cased"} <= set(words):
        return key
    return "|".join([name, "cased", *(word for word in words if word != "cased")])
