"""Sigma correlation documents, and what `aupstream:` adds to them, to rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError

from agents.rules.columns import ColumnType, column_types, identity_columns
from agents.rules.compiled import Compiled
from agents.rules.detections import ERROR_PATHS, column_for, first_line
from agents.rules.model import Alias, Detection, Rule, Threshold
from agents.rules.positions import Document
from agents.rules.shape import LAST_CLAUSE, LEVELS, NAME, OWN_KINDS, Checker, suggestion
from schemas.kinds import EventKind

TYPES = ("event_count", "value_count", "value_sum", "temporal", "temporal_ordered")
TEMPORAL = ("temporal", "temporal_ordered")
MAX_COUNT = 10_000_000
THRESHOLD_PARTS = {"where": ("internal", "outside"), "per": ("message",)}
MAX_ROWS_OF_SEQUENCE = 10_000
# A rule without `group-by` (SigmaHQ's have none) is kept apart by where it came from.
DEFAULT_GROUP: Mapping[EventKind, str] = {
    EventKind.PROXY: "source_ip",
    EventKind.DHCP: "source_mac",
    EventKind.MAIL: "email_from_address",
    EventKind.LOGIN: "user_name",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What a document may refer to.

    Attributes:
        detections: Every detection by name and by id, as far as it could be read.
        broken: Names and ids of those that could not: a reference to one is no error of its own.
        correlations: Names and ids of correlation documents.
    """

    detections: Mapping[str, Detection]
    broken: frozenset[str]
    correlations: frozenset[str]


class RuleReader:
    """Reads one document that makes violations: a correlation, or a detection by itself.

    Args:
        document: The document.
        check: Where errors go.
        known: What it may refer to.
    """

    def __init__(self, document: Document, check: Checker, known: Known) -> None:
        self.document, self.check, self.known = document, check, known
        self.own = check.mapping(document.data.get("aupstream"), "aupstream")
        check.keys("aupstream", self.own, "aupstream")

    def correlation(self) -> Rule | None:
        """The rule of a correlation document, its version still empty; None where anything is wrong with it."""
        before = len(self.check.errors)
        data = self.document.data
        self.check.keys("correlation rule", data)
        part = self.check.mapping(data.get("correlation"), "correlation")
        self.check.keys("correlation", part, "correlation")
        kind = self._kind(part)
        bases = self._bases(part)
        aliases = self._aliases(part, bases)
        group_by = self._group_by(part.get("group-by"), bases, aliases, "correlation", "group-by")
        timespan = self.check.timespan(part.get("timespan"), "correlation", "timespan")
        counts = self._counts(kind, bases)
        value_field, thresholds = self._condition(kind, part, bases, counts)
        learn_us, unless = self._learn(kind)
        informational = self._informational(bases)
        common = self._common()
        if len(self.check.errors) == before:
            self._through_pysigma()
        if len(self.check.errors) > before or any(r in self.known.broken for r in self._references(part)):
            return None
        used = {*group_by, *([value_field] if value_field else [])}
        return Rule(
            **common,
            kind=kind,
            bases=tuple(b.name for b in bases),
            kinds=frozenset(b.kind for b in bases),
            group_by=group_by,
            timespan_us=0 if kind == "new_value" else timespan,
            thresholds=thresholds,
            counts=counts,
            value_field=value_field,
            learn_us=learn_us,
            learn_unless_inventory=unless,
            informational_when=frozenset(informational),
            attributed=any(_waits(b, used, aliases) for b in bases),
            aliases=aliases,
        )

    def _informational(self, bases: Sequence[Detection]) -> Sequence[str]:
        """Bases whose rows make an episode informational."""
        known = [b.name for b in bases]
        names = self.check.texts(self.own.get("informational-bases"), "aupstream", "informational-bases")
        for name in names:
            if name not in known:
                what = f"{name!r} is no rule of this correlation"
                self.check.error(what, "aupstream", "informational-bases", hint=suggestion(name, known))
        return names

    def single(self, detection: Detection) -> Rule | None:
        """The rule of a detection that stands by itself; None where anything is wrong with it."""
        before = len(self.check.errors)
        for key in ("kind", "counts", "thresholds", "learn", "informational-bases"):
            if key in self.own:
                self.check.error(f"{key} belongs to a correlation", "aupstream", key, hint="add one", key=True)
        given = self.own.get("group-by", [DEFAULT_GROUP[detection.kind]])
        group_by = self._group_by(given, (detection,), (), "aupstream", "group-by")
        common = self._common()
        if len(self.check.errors) > before:
            return None
        return Rule(
            **common,
            kind="single",
            bases=(detection.name,),
            kinds=frozenset({detection.kind}),
            group_by=group_by,
            attributed=_waits(detection, set(group_by), ()),
        )

    def _common(self) -> dict[str, Any]:
        """What every rule says of itself, whatever its kind."""
        check, data = self.check, self.document.data
        name = check.text(data, "name") or check.text(data, "id")
        if not name:
            check.error("name is missing", hint="give the rule a stable name: it is part of every violation's id")
        elif "name" in data and not NAME.fullmatch(name):
            check.error(f"name {name!r} must be lower-case words joined by hyphens", "name", hint="such as mass-mail")
        level = check.text(data, "level") or "medium"
        if level not in LEVELS:
            check.error(f"level {level!r} is none of Sigma's", "level", hint=suggestion(level, LEVELS))
        clause = check.whole(self.own, "clause", "aupstream", low=0, high=LAST_CLAUSE, default=0)
        causes = check.texts(data.get("falsepositives"), "falsepositives")
        if clause and not causes:
            hint = "list the known innocent causes under `falsepositives`"
            check.error("a rule of the policy must say what else may look like this", hint=hint)
        if clause and not data.get("description"):
            check.error("a rule of the policy must describe what it finds", hint="add `description:`")
        return {
            "id": name,
            "version": "",
            "title": check.text(data, "title", required=True),
            "description": check.text(data, "description"),
            "clause": clause,
            "severity": level,
            "permit_tolerance": check.whole(
                self.own, "permit-tolerance", "aupstream", low=0, high=MAX_COUNT, default=0
            ),
            "innocent_causes": causes,
            "examples": self._examples(),
            "file": self.document.file,
            "line": self.document.line,
        }

    def _examples(self) -> tuple[Mapping[str, Any], ...]:
        examples = self.own.get("examples", [])
        if not isinstance(examples, list) or not all(isinstance(e, dict) for e in examples):
            self.check.error("examples must be a list of mappings", "aupstream", "examples")
            return ()
        for i, example in enumerate(examples):
            self.check.keys("example", example, "aupstream", "examples", i)
        return tuple(examples)

    def _kind(self, part: Mapping[str, Any]) -> str:
        sigma_type = part.get("type")
        if sigma_type not in TYPES:
            hint = suggestion(str(sigma_type), TYPES)
            self.check.error(f"correlation type {sigma_type!r} is not supported", "correlation", "type", hint=hint)
        own = self.own.get("kind")
        if own is None:
            return str(sigma_type)
        if not isinstance(own, str) or own not in OWN_KINDS:
            self.check.error(f"kind {own!r} is not known", "aupstream", "kind", hint=suggestion(str(own), OWN_KINDS))
        elif sigma_type != OWN_KINDS[own]:
            what = f"kind {own} must stand on correlation type {OWN_KINDS[own]}"
            hint = "so that tools which know only Sigma read the nearest there is"
            self.check.error(what, "correlation", "type", hint=hint)
        return str(own)

    def _references(self, part: Mapping[str, Any]) -> tuple[str, ...]:
        rules = part.get("rules")
        return (rules,) if isinstance(rules, str) else tuple(r for r in rules or () if isinstance(r, str))

    def _bases(self, part: Mapping[str, Any]) -> tuple[Detection, ...]:
        self.check.texts(part.get("rules"), "correlation", "rules")
        if not part.get("rules"):
            self.check.error("the correlation refers to no rule", "correlation", hint="list names under `rules`")
        found = []
        for i, name in enumerate(self._references(part)):
            place = ("correlation", "rules") if isinstance(part["rules"], str) else ("correlation", "rules", i)
            if name in self.known.detections:
                found.append(self.known.detections[name])
            elif name in self.known.correlations:
                hint = "refer to detection rules"
                self.check.error(f"{name!r} is a correlation: chains are not supported", *place, hint=hint)
            elif name not in self.known.broken:
                hint = suggestion(name, self.known.detections)
                self.check.error(f"there is no rule {name!r}", *place, hint=hint)
        return tuple(found)

    def _aliases(self, part: Mapping[str, Any], bases: tuple[Detection, ...]) -> tuple[Alias, ...]:
        found = []
        for name, by_rule in self.check.mapping(part.get("aliases"), "correlation", "aliases").items():
            for rule, field in self.check.mapping(by_rule, "correlation", "aliases", name).items():
                base = next((b for b in bases if rule == b.name), None)
                column = column_for(base.kind, str(field)) if base else None
                if base is None or column is None:
                    what = f"alias {name!r} names rule {rule!r} and field {field!r}, which do not go together"
                    self.check.error(what, "correlation", "aliases", name, rule, hint="name a rule listed above")
                else:
                    found.append(Alias(str(name), base.name, column))
        return tuple(found)

    def _group_by(
        self, value: Any, bases: tuple[Detection, ...], aliases: tuple[Alias, ...], *path: str
    ) -> tuple[str, ...]:
        names = self.check.texts(value, *path)
        if not names:
            if value is None or value == []:
                self.check.error("group-by is missing", path[0], hint="name what a window is kept per, e.g. user_name")
            return ()
        columns = []
        for i, name in enumerate(names):
            if any(a.name == name for a in aliases):
                columns.append(name)
                continue
            place: tuple[str | int, ...] = (*path, i) if isinstance(value, list) else path
            columns.extend(self._column(name, bases, (ColumnType.TEXT, ColumnType.NUMBER), *place))
        return tuple(columns)

    def _column(
        self, name: str, bases: tuple[Detection, ...], allowed: tuple[ColumnType, ...], *place: str | int
    ) -> tuple[str, ...]:
        """The one column that a field name stands for in every base; empty where there is none, which is noted."""
        found: set[str] = set()
        for base in bases:
            column = column_for(base.kind, name)
            types = column_types(base.kind)
            if column is None:
                hint = suggestion(name, types)[:200]
                self.check.error(f"there is no column {name!r} in {base.kind.value} events", *place, hint=hint)
                return ()
            if types[column] not in allowed:
                what = f"column {column!r} is {types[column].value} and cannot be used here"
                self.check.error(what, *place, hint=f"take one that is {' or '.join(a.value for a in allowed)}")
                return ()
            found.add(column)
        if len(found) > 1:
            what = f"{name!r} means {' and '.join(sorted(found))}: not the same in all rules"
            self.check.error(what, *place, hint="give it an alias")
            return ()
        return tuple(found)

    def _counts(self, kind: str, bases: tuple[Detection, ...]) -> tuple[int, ...]:
        counts = self.own.get("counts")
        if kind != "sequence":
            if counts is not None:
                self.check.error("counts belong to kind sequence", "aupstream", "counts", key=True, hint="remove them")
            return ()
        good = isinstance(counts, list) and all(
            isinstance(c, int) and not isinstance(c, bool) and 1 <= c <= MAX_ROWS_OF_SEQUENCE for c in counts
        )
        if not isinstance(counts, list) or not good or len(counts) != len(bases) or len(counts) != 2:
            hint = "such as [8, 1]: eight of the first and then one of the second"
            self.check.error("a sequence needs two rules and two counts", "aupstream", "counts", hint=hint)
            return ()
        return tuple(counts)

    def _condition(
        self, kind: str, part: Mapping[str, Any], bases: tuple[Detection, ...], counts: tuple[int, ...]
    ) -> tuple[str | None, tuple[Threshold, ...]]:
        condition = part.get("condition")
        if kind in (*TEMPORAL, "sequence"):
            if condition is not None:
                hint = "leave it out: all rules must match"
                self.check.error(f"a {kind} rule takes no condition", "correlation", "condition", hint=hint)
            if kind == "sequence" and counts:
                return None, (Threshold(bases[0].name, float(counts[0])),)
            return None, ()
        condition = self.check.mapping(condition, "correlation", "condition")
        self.check.keys("condition", condition, "correlation", "condition")
        limit = self._limit(condition)
        field = condition.get("field")
        value_field: str | None = None
        if kind in ("value_count", "value_sum"):
            counted = (ColumnType.TEXT, ColumnType.TEXTS, ColumnType.NUMBER)
            allowed = counted if kind == "value_count" else (ColumnType.NUMBER,)
            if not isinstance(field, str):
                hint = "name the column whose values are counted"
                self.check.error("the condition names no field", "correlation", "condition", hint=hint)
            else:
                value_field = next(iter(self._column(field, bases, allowed, "correlation", "condition", "field")), None)
        if kind == "new_value":
            if limit != 1:
                self.check.error("a new value needs the condition `gte: 1`", "correlation", "condition")
            return None, ()
        return value_field, self._thresholds(kind, limit, value_field)

    def _limit(self, condition: Mapping[str, Any]) -> float:
        """What `gte` (or `gt`, of whole numbers) asks for; 0 where it is wrong."""
        operators = [op for op in ("gte", "gt", "lt", "lte", "eq", "neq") if op in condition]
        value = condition[operators[0]] if len(operators) == 1 else None
        if len(operators) != 1 or operators[0] not in ("gte", "gt"):
            hint = "write `gte: 10`; other comparisons would hold before anything happened"
            self.check.error("the condition must have one limit, `gte` or `gt`", "correlation", "condition", hint=hint)
            return 0
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1e15:
            what = f"the limit must be a number above 0, not {value!r}"
            self.check.error(what, "correlation", "condition", operators[0])
            return 0
        return float(value) if operators[0] == "gte" else float(int(value) + 1)

    def _thresholds(self, kind: str, limit: float, value_field: str | None) -> tuple[Threshold, ...]:
        listed = self.own.get("thresholds")
        if listed is None:
            return (Threshold(kind, limit),)
        path = ("aupstream", "thresholds")
        if kind != "value_count" or not isinstance(listed, list) or not listed:
            self.check.error("thresholds are a list, and of value_count only", *path, hint="use the condition")
            return ()
        found = []
        for i, item in enumerate(listed):
            one = self.check.mapping(item, *path, i)
            self.check.keys("threshold", one, *path, i)
            name = self.check.text(one, "name", *path, i, required=True)
            gte = self.check.whole(one, "gte", *path, i, low=1, high=MAX_COUNT, default=0)
            if not gte and "gte" not in one:
                self.check.error("gte is missing", *path, i, hint="say how many it takes")
            parts = {k: self.check.text(one, k, *path, i) or None for k in ("where", "per")}
            for key, part in parts.items():
                known = THRESHOLD_PARTS[key] if value_field == "delivered_recipients" else ()
                if part is not None and part not in known:
                    hint = (
                        f"known: {', '.join(known)}" if known else "only delivered_recipients has classes and messages"
                    )
                    self.check.error(f"{key} {part!r} is not known", *path, i, key, hint=hint)
            found.append(Threshold(name, float(gte), parts["where"], parts["per"]))
        if len({t.name for t in found}) < len(found):
            self.check.error("two thresholds have the same name", *path, hint="a violation lists them by name")
        if found and min(t.gte for t in found) != limit:
            what = f"the condition's limit must be the lowest threshold, {min(t.gte for t in found):g}"
            hint = "so that tools which know only Sigma miss nothing"
            self.check.error(what, "correlation", "condition", hint=hint)
        return tuple(found)

    def _learn(self, kind: str) -> tuple[int, bool]:
        learn = self.own.get("learn")
        if learn is None:
            return 0, False
        if kind != "new_value":
            self.check.error("learn belongs to kind new_value", "aupstream", "learn", key=True, hint="remove it")
            return 0, False
        learn = self.check.mapping(learn, "aupstream", "learn")
        self.check.keys("learn", learn, "aupstream", "learn")
        unless = learn.get("unless")
        if unless not in (None, "inventory"):
            self.check.error(f"unless {unless!r} is not known", "aupstream", "learn", "unless", hint="known: inventory")
        return self.check.timespan(learn.get("time"), "aupstream", "learn", "time"), unless == "inventory"

    def _through_pysigma(self) -> None:
        """Let pySigma read the document too: what it refuses is no Sigma."""
        try:
            errors = list(SigmaCorrelationRule.from_dict(self.document.data, collect_errors=True).errors)
        except (SigmaError, TypeError, ValueError, AttributeError) as error:
            self.check.error(first_line(error), "correlation", hint="see the Sigma specification of correlations")
            return
        for found in errors:
            self.check.error(first_line(found), *ERROR_PATHS.get(type(found).__name__, ("correlation",)))


def _waits(base: Detection, used: set[str], aliases: tuple[Alias, ...]) -> bool:
    """True where a base's condition, group key or counted value needs identity."""
    columns = {next((a.column for a in aliases if a.name == u and a.base == base.name), u) for u in used}
    compiled = base.expression
    condition_waits = isinstance(compiled, Compiled) and compiled.waits
    return condition_waits or bool(columns & identity_columns(base.kind))
