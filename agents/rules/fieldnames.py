"""What a field name of a correlation stands for: the same column as in the detections that it is about.

Conditions of a detection go through the user's processing pipelines and then through our own mapping; so do the names
under a correlation's `group-by`, `condition` and `aliases`, each in the rule whose events are meant.
"""

from __future__ import annotations

from typing import Any

from sigma.exceptions import SigmaError
from sigma.rule import SigmaDetection, SigmaRule

from agents.rules.columns import FIELDS, column_types
from agents.rules.compiled import Compiled
from agents.rules.logsources import Route
from agents.rules.model import Detection
from agents.rules.taxonomy import NO_TAXONOMY, Taxonomy
from agents.rules.vendorfields import fields_of

_PROBE = "x"  # any value: only the name counts


class FieldNames:
    """Finds columns by the names that rules use.

    Args:
        taxonomy: Pipelines that are in force.
    """

    def __init__(self, taxonomy: Taxonomy = NO_TAXONOMY) -> None:
        self._taxonomy = taxonomy
        self._found: dict[tuple[str, str], tuple[str, ...]] = {}

    @property
    def piped(self) -> bool:
        """True where pipelines are in force."""
        return bool(self._taxonomy.pipelines)

    def columns(self, base: Detection, name: str) -> tuple[str, ...]:
        """Columns that a name stands for in a detection's events: mostly one, none where there is no such field.

        Several where a pipeline maps it to several.
        """
        key = (base.name, name)
        if key not in self._found:
            types = column_types(base.kind)
            self._found[key] = tuple(column for column in self._mapped(base, name) if column in types)
        return self._found[key]

    def _mapped(self, base: Detection, name: str) -> tuple[str, ...]:
        compiled = base.expression
        route = compiled.route if isinstance(compiled, Compiled) else None
        if route is None or not self._taxonomy.pipelines:
            vendors = {} if route is None else fields_of(route)
            return (vendors.get(name) or FIELDS[base.kind].get(name, name),)
        assert isinstance(compiled, Compiled)
        return self._through(compiled.sigma, route, name)

    def _through(self, rule: SigmaRule | None, route: Route, name: str) -> tuple[str, ...]:
        """By way of the pipelines: a rule about the same log, of that field alone."""
        source = rule.logsource if rule is not None else None
        parts = {"category": source.category, "product": source.product, "service": source.service} if source else {}
        plain: dict[str, Any] = {
            "title": "t",
            "logsource": {key: value for key, value in parts.items() if value},
            "detection": {"s": {name: _PROBE}, "condition": "s"},
        }
        try:
            probe = SigmaRule.from_dict(plain)
            self._taxonomy.pipeline(route).apply(probe)
        except SigmaError:
            return (name,)  # a pipeline that fails here fails in the detection too, and is named there
        return tuple(dict.fromkeys(_fields(probe.detection.detections["s"])))


def _fields(definition: SigmaDetection) -> list[str]:
    found: list[str] = []
    for item in definition.detection_items:
        if isinstance(item, SigmaDetection):
            found += _fields(item)
        elif item.field is not None:
            found.append(item.field)
    return found
