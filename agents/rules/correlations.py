"""Sigma correlation documents, and what `aupstream:` adds to them, to rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError

from agents.rules.columns import VISITS, ColumnType, identity_columns
from agents.rules.compiled import Compiled
from agents.rules.complaints import ERROR_PATHS, in_words
from agents.rules.conditions import MAX_COUNT, ConditionReader
from agents.rules.digests import asked_of
from agents.rules.examplechecks import check_examples
from agents.rules.fieldnames import FieldNames
from agents.rules.grouping import Base, GroupReader, name_of
from agents.rules.model import EVERY_VISIT, VICTIM, WINDOWS, Alias, Detection, Rule
from agents.rules.ownkinds import MEASURED_AS, PARTS, OwnReader, limits_of
from agents.rules.positions import Document
from agents.rules.references import plain_sigma, references
from agents.rules.shape import LAST_CLAUSE, LEVELS, NAME, OWN_KINDS, Checker, suggestion
from agents.rules.whens import read_when
from schemas.kinds import EventKind

TYPES = (
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
    "temporal",
    "temporal_ordered",
)
OF_CORRELATIONS = (
    "kind", "counts", "thresholds", "learn", "informational-bases", "window", "lasting", "suppress", "rearm",
    "visits",
    *(part for parts in PARTS.values() for part in parts),
)  # fmt: skip
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
        broken: Names and ids of those that could not, correlations too: a reference to one is no error of its own.
        rules: Correlations that have been read, by name and by id.
        fields: What field names stand for.
    """

    detections: Mapping[str, Detection]
    broken: frozenset[str]
    rules: Mapping[str, Rule]
    fields: FieldNames = field(default_factory=FieldNames)


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
        grouping = GroupReader(self.check, self.known.fields, bases)
        aliases = grouping.aliases(part)
        group_by = grouping.group_by(part.get("group-by"), "correlation", "group-by")
        if kind in ("new_value", "absence") and part.get("group-by") is None:
            hint = "name what is new or expected, e.g. user_name"
            self.check.error("group-by is missing", "correlation", hint=hint)
        timespan = self.check.timespan(part.get("timespan"), "correlation", "timespan")
        asked = self._asked(part, kind, bases, group_by, timespan)
        self._placed(kind, bases)
        timing = self._timing(kind)
        informational = self._informational(bases)
        common = self._common()
        if len(self.check.errors) == before:
            self._through_pysigma()
        if len(self.check.errors) > before or any(r in self.known.broken for r in references(part)):
            return None
        inner = [b for b in bases if isinstance(b, Rule)]
        used = {*group_by, *([asked["value_field"]] if asked["value_field"] else []), *asked["value_with"]}
        rule = Rule(
            **common,
            **asked,
            bases=tuple(name_of(b) for b in bases),
            kinds=frozenset(k for b in bases for k in (b.kinds if isinstance(b, Rule) else (b.kind,))),
            group_by=group_by,
            timespan_us=0 if kind == "new_value" else timespan,
            **timing,
            inner=frozenset(b.id for b in inner),
            informational_when=frozenset(informational),
            attributed=any(b.attributed if isinstance(b, Rule) else _waits(b, used, aliases) for b in bases),
            aliases=aliases,
        )
        return replace(rule, asked=asked_of(rule, bases))

    def _asked(
        self, part: Mapping[str, Any], kind: str, bases: tuple[Base, ...], group_by: tuple[str, ...], timespan_us: int
    ) -> dict[str, Any]:
        """What the condition, and a kind of our own, ask for."""
        names = [name_of(b) for b in bases]
        grouping = GroupReader(self.check, self.known.fields, bases)
        measured = str(part.get("type")) if kind == "quota" else MEASURED_AS.get(kind, kind)

        def column(name: str, allowed: tuple[ColumnType, ...], place: tuple[str | int, ...]) -> str | None:
            return grouping.column(name, allowed, *place)

        condition = ConditionReader(self.check, self.own, measured, names, column)
        condition.read(part)
        own = OwnReader(self.check, self.own, kind, names, column).read(group_by, timespan_us, condition.thresholds)
        if kind == "travel" and condition.value_field not in (None, "source_ip"):
            what = f"places are told by source_ip, and not by {condition.value_field}"
            self.check.error(what, "correlation", "condition", "field", hint="write `field: source_ip`")
        return {
            "kind": measured if kind == "quota" else kind,
            "presence": condition.presence,
            "percentile": condition.percentile,
            "thresholds": limits_of(kind, own, condition.thresholds),
            "counts": condition.counts,
            "value_field": None if kind == "travel" else condition.value_field,
            "value_with": condition.value_with,
            "visits": self._visits(condition.value_field),
            "own": own,
        }

    def _visits(self, field: str | None) -> str:
        said = self.check.text(self.own, "visits", "aupstream")
        if said and (said != EVERY_VISIT or field not in VISITS):
            hint = f"write `visits: {EVERY_VISIT}` where one of {', '.join(sorted(VISITS))} is counted"
            self.check.error(f"visits {said!r} is not known here", "aupstream", "visits", hint=hint)
        return said

    def _placed(self, kind: str, bases: Sequence[Base]) -> None:
        """Note what a kind cannot be made of."""
        for i, base in enumerate(bases):
            what = ""
            if isinstance(base, Rule) and (kind in ("concurrent", "travel", "absence") or base.kind == "absence"):
                what = f"{base.id} is a correlation: {kind} and absence are no parts of a chain"
            elif isinstance(base, Detection) and kind == "travel" and base.kind is EventKind.MAIL:
                what = "mail events know no place"
            if what:
                self.check.error(what, "correlation", "rules", i, hint="name detections of logins")

    def _window(self, kind: str) -> str:
        window = self.own.get("window", WINDOWS[0])
        if window not in WINDOWS or (kind == "new_value" and "window" in self.own):
            known = WINDOWS if kind != "new_value" else ()
            self.check.error(
                f"window {window!r} is not known", "aupstream", "window", hint=suggestion(str(window), known)
            )
            return WINDOWS[0]
        return str(window)

    def _timing(self, kind: str) -> dict[str, Any]:
        """How the rule's windows are laid and what its opened episodes wait for."""
        learn_us, unless = self._learn(kind)
        return {
            "window": self._window(kind),
            "lasting_us": self._span("lasting"),
            "suppress_us": self._span("suppress"),
            "rearm_us": self._span("rearm"),
            "learn_us": learn_us,
            "learn_unless_inventory": unless,
        }

    def _span(self, key: str) -> int:
        return self.check.timespan(self.own[key], "aupstream", key) if key in self.own else 0

    def _informational(self, bases: Sequence[Base]) -> Sequence[str]:
        """Bases whose rows make an episode informational."""
        known = [name_of(b) for b in bases]
        names = self.check.texts(self.own.get("informational-bases"), "aupstream", "informational-bases")
        for name in names:
            if name not in known:
                what = f"{name!r} is no rule of this correlation"
                self.check.error(what, "aupstream", "informational-bases", hint=suggestion(name, known))
        return names

    def single(self, detection: Detection) -> Rule | None:
        """The rule of a detection that stands by itself; None where anything is wrong with it."""
        before = len(self.check.errors)
        for key in OF_CORRELATIONS:
            if key in self.own:
                self.check.error(f"{key} belongs to a correlation", "aupstream", key, hint="add one", key=True)
        given = self.own.get("group-by", [DEFAULT_GROUP[detection.kind]])
        group_by = GroupReader(self.check, self.known.fields, (detection,)).group_by(given, "aupstream", "group-by")
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
            "about": self._about(),
            "shadow": check.flag(self.own, "shadow", "aupstream"),
            "when": read_when(check, self.own),
            "file": self.document.file,
            "line": self.document.line,
        }

    def _about(self) -> str:
        said = self.check.text(self.own, "about", "aupstream")
        if said not in ("", VICTIM):
            self.check.error(f"about {said!r} is not known", "aupstream", "about", hint=f"leave it out, or {VICTIM!r}")
        return said

    def _examples(self) -> tuple[Mapping[str, Any], ...]:
        examples = self.own.get("examples", [])
        if not isinstance(examples, list) or not all(isinstance(e, dict) for e in examples):
            self.check.error("examples must be a list of mappings", "aupstream", "examples")
            return ()
        check_examples(self.check, examples)
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
        elif sigma_type not in OWN_KINDS[own]:
            what = f"kind {own} must stand on correlation type {' or '.join(OWN_KINDS[own])}"
            hint = "so that tools which know only Sigma read the nearest there is"
            self.check.error(what, "correlation", "type", hint=hint)
        return str(own)

    def _bases(self, part: Mapping[str, Any]) -> tuple[Base, ...]:
        self.check.texts(part.get("rules"), "correlation", "rules")
        if not part.get("rules"):
            self.check.error("the correlation refers to no rule", "correlation", hint="list names under `rules`")
        found: list[Base] = []
        for i, name in enumerate(references(part)):
            place = ("correlation", "rules") if isinstance(part["rules"], str) else ("correlation", "rules", i)
            if name in self.known.detections:
                found.append(self.known.detections[name])
            elif name in self.known.rules:
                found.append(self.known.rules[name])
            elif name not in self.known.broken:
                hint = suggestion(name, [*self.known.detections, *self.known.rules, *self.known.broken])
                self.check.error(f"there is no rule {name!r}", *place, hint=hint)
        return tuple(found)

    def _learn(self, kind: str) -> tuple[int, bool]:
        learn = self.own.get("learn")
        if learn is None:
            return 0, False
        if kind != "new_value":
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
            errors = list(SigmaCorrelationRule.from_dict(plain_sigma(self.document.data), collect_errors=True).errors)
        except (SigmaError, TypeError, ValueError, AttributeError) as error:
            self.check.error(in_words(error), "correlation", hint="see the Sigma specification of correlations")
            return
        for found in errors:
            self.check.error(in_words(found), *ERROR_PATHS.get(type(found).__name__, ("correlation",)))


def _waits(base: Detection, used: set[str], aliases: tuple[Alias, ...]) -> bool:
    """True where a base's condition, group key or counted value needs identity."""
    columns = {next((a.column for a in aliases if a.name == u and a.base == base.name), u) for u in used}
    compiled = base.expression
    condition_waits = isinstance(compiled, Compiled) and compiled.waits
    return condition_waits or bool(columns & identity_columns(base.kind))
