"""Sigma detection documents to compiled detections, through pySigma."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from sigma.exceptions import SigmaError
from sigma.modifiers import modifier_mapping
from sigma.processing.pipeline import ProcessingPipeline
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaRule
from sigma.types import SigmaType

from agents.rules.casedrefs import mark_cased, read_sigma
from agents.rules.columns import FIELDS
from agents.rules.compiled import Compiled, Compiler, Tree
from agents.rules.complaints import ERROR_PATHS, in_words
from agents.rules.digests import condition_of, digest, lists_in, said
from agents.rules.leaves import LeafError, is_expression, keyword, single_values
from agents.rules.logsources import CATEGORIES, Route, Unknown, route_of
from agents.rules.model import Detection
from agents.rules.positions import Document, Path
from agents.rules.shape import NAME, Checker, suggestion
from agents.rules.taxonomy import MAX_VALUES, NO_TAXONOMY, Taxonomy
from agents.rules.vendorfields import codes_of, details_of, fields_of, translate

MAX_KEYWORDS = 500  # of a rule: each is looked for in every column of text
MAX_SELECTIONS = 500  # of a rule: SigmaHQ's longest has some sixty
MAX_EXPRESSIONS = 1_000  # of a rule: each is a pass of its own

_CONDITION = ("detection", "condition")
_SAID = (("detection",), ("logsource",))  # where each mistake has been said at its place already
_WORDS = ("and", "or", "not", "of", "1", "any", "all", "them")
_Items = list[SigmaDetectionItem]


@dataclass(frozen=True, slots=True)
class DetectionReader:
    """Reads one detection document.

    Attributes:
        document: The document.
        check: Where its errors go.
        taxonomy: Pipelines and lists that it may lean on.
        lenient: It is not ours to mend: keys that we do not know are passed over.
    """

    document: Document
    check: Checker
    taxonomy: Taxonomy = NO_TAXONOMY
    lenient: bool = False

    def read(self) -> Detection | None:
        """The compiled detection; None where anything is wrong with it, which is noted."""
        before = len(self.check.errors)
        data = self.document.data
        if not self.lenient:
            self.check.keys("detection rule", data)
        title = self.check.text(data, "title", required=True)
        name = self.check.text(data, "name") or self.check.text(data, "id")
        if not name:
            hint = "correlations refer to a rule by it"
            self.check.error("name is missing", hint=hint)
        elif "name" in data and not self.lenient and not NAME.fullmatch(name):
            self.check.error(
                f"name {name!r} must be lower-case words joined by hyphens", "name", hint="such as mass-mail"
            )
        route = self._route()
        if route is not None:
            self._items(route)
        self._conditions()
        if len(self.check.errors) > before:
            self._others()
        compiled = self._compile(route) if route is not None and len(self.check.errors) == before else None
        if compiled is None or route is None:
            return None
        doc, leans_on = self.document, self._leans_on(route, compiled)
        condition = condition_of(data, leans_on)
        return Detection(name, route.kind, title, compiled, compiled.columns, leans_on, condition, doc.file, doc.line)

    def _route(self) -> Route | None:
        source = self.check.mapping(self.document.data.get("logsource"), "logsource")
        self.check.keys("logsource", source, "logsource")
        found = route_of(source)
        if isinstance(found, Unknown):
            category = source.get("category")
            hint = found.why or (suggestion(str(category), CATEGORIES) if category else "see logsources.py")
            self.check.error(f"logsource {found.label!r} is none that is collected", "logsource", hint=hint)
            return None
        return found

    def _items(self, route: Route) -> None:
        """Try every field and value by itself, because only here is it known where each stands."""
        detection = self.check.mapping(self.document.data.get("detection"), "detection")
        if len(detection) > MAX_SELECTIONS + 1:
            what = f"{len(detection) - 1} selections are more than {MAX_SELECTIONS}"
            self.check.error(what, "detection", hint="put values that mean the same into one list, or split the rule")
            return
        trial = _Trial(
            Compiler(route.kind), route, self.taxonomy.pipeline(route), self.document.data, codes_of(detection)
        )
        for selection, definition in detection.items():
            if selection == "condition":
                continue
            if definition in ({}, [], None):
                self.check.error(
                    f"selection {selection!r} is empty", "detection", selection, hint="remove it or fill it"
                )
                continue
            self._definition(definition, trial, ("detection", selection))

    def _definition(self, definition: Any, trial: _Trial, path: Path) -> None:
        if definition == []:
            self.check.error("an empty list matches nothing", *path, hint="remove it or fill it")
        elif isinstance(definition, dict):
            for key, value in definition.items():
                self._item(key, value, trial, (*path, key))
        elif isinstance(definition, list) and any(isinstance(d, dict | list) for d in definition):
            for i, inner in enumerate(definition):
                self._definition(inner, trial, (*path, i))
        else:
            self._item(None, definition, trial, path)

    def _item(self, key: str | None, value: Any, trial: _Trial, path: Path) -> None:
        if value == []:  # which pySigma takes for null
            hint = "remove the field, fill the list, or write null for a field that is missing"
            self.check.error("an empty list matches nothing", *path, hint=hint)
            return
        try:
            for item in trial.items(key, value):
                if item.field is not None and item.field not in trial.compiler.types:
                    hint = _short(suggestion(item.field, trial.known()))
                    what = f"there is no field {item.field!r} in {trial.route.kind.value} events"
                    self.check.error(what, *path, hint=hint, key=True)
                    return
                trial.compile(item)
        except LeafError as error:
            self.check.error(error.what, *path, hint=error.hint)
        except (SigmaError, TypeError, ValueError) as error:
            unknown = next((word for word in (key or "").split("|")[1:] if word not in modifier_mapping), "")
            hint = suggestion(unknown, modifier_mapping) if unknown else "see the modifiers of the Sigma specification"
            self.check.error(in_words(error), *path, hint=_short(hint), key=bool(unknown))

    def _conditions(self) -> None:
        """Refuse conditions that are too much for a parser, and names that are no selection's."""
        detection = self.document.data.get("detection")
        if not isinstance(detection, dict):
            return
        names = [str(name) for name in detection if name != "condition"]
        given = detection.get("condition")
        for condition in given if isinstance(given, list) else [given]:
            if not self.check.nesting(str(condition), "detection", "condition") or not isinstance(condition, str):
                continue
            for word in dict.fromkeys(_words(condition.partition("|")[0])):
                if word.lower() not in _WORDS and not any(fnmatchcase(name, word) for name in names):
                    what = f"the condition names {word!r}, which is no selection of the rule"
                    self.check.error(what, "detection", "condition", hint=_short(suggestion(word, names)))

    def _others(self) -> None:
        """What else is wrong with a rule that is refused already, so that all can be mended in one pass."""
        said = {error.where for error in self.check.errors}
        try:
            rule = read_sigma(self.document.data, collect_errors=True)
            rule.errors += _syntax(self.document.data["detection"])
        except (SigmaError, TypeError, ValueError, AttributeError, KeyError, RecursionError):
            return  # it is no rule at all, which has been said
        for error in rule.errors:
            path = ERROR_PATHS.get(type(error).__name__, ("detection",))
            place = self.document.error("", *path).where
            if path in _SAID or (path != _CONDITION and place in said):
                continue
            self.check.error(in_words(error), *path)

    def _compile(self, route: Route) -> Compiled | None:
        """Through pySigma: parse, map the fields, build the condition tree, compile it."""
        try:
            rule = read_sigma(self.document.data, collect_errors=True)
            for error in rule.errors:
                self.check.error(in_words(error), *ERROR_PATHS.get(type(error).__name__, ()))
            if rule.errors:
                return None
            trees = self._mapped(rule, route, self.taxonomy)
            if not trees:
                self.check.error("the condition matches nothing", "detection", "condition")
                return None
            return replace(Compiler(route.kind).compile(trees, route), sigma=rule)
        except LeafError as error:
            self.check.error(error.what, "detection", hint=error.hint)
        except (SigmaError, TypeError, ValueError, AttributeError, RecursionError) as error:
            self.check.error(
                in_words(error), "detection", "condition", hint="see conditions in the Sigma specification"
            )
        return None

    def _mapped(self, rule: SigmaRule, route: Route, taxonomy: Taxonomy) -> list[Tree]:
        """Conditions of a rule whose fields become columns; pySigma's own object is changed."""
        for definition in rule.detection.detections.values():
            translate(definition, route, codes_of(self.document.data["detection"]))
        taxonomy.pipeline(route).apply(rule)
        for definition in rule.detection.detections.values():
            mark_cased(definition)
        return [parsed for c in rule.detection.parsed_condition if (parsed := c.parsed) is not None]

    def _leans_on(self, route: Route, compiled: Compiled) -> str:
        """Checksum of the lists that it names, and of what it becomes by pipelines where these change it."""
        lists, detection = self.taxonomy.lists, self.document.data["detection"]
        used = [[name, sorted(lists[name])] for name in sorted(set(lists_in(detection))) if name in lists]
        piped: object = None
        if self.taxonomy.pipelines and compiled.sigma is not None:
            mine = _said(c.parsed for c in compiled.sigma.detection.parsed_condition)
            try:
                rule = read_sigma(self.document.data, collect_errors=True)
                piped = None if _said(self._mapped(rule, route, replace(self.taxonomy, pipelines=()))) == mine else mine
            except (SigmaError, TypeError, ValueError, AttributeError):
                piped = mine  # without them it is no rule
        return digest([used, piped]) if used or piped is not None else ""


def _said(trees: Iterable[Any]) -> list[Any]:
    return [said(tree) for tree in trees if tree is not None]


def _words(condition: str) -> list[str]:
    return re.findall(r"[^\s()]+", condition)


def _syntax(detection: dict[str, Any]) -> list[SigmaError]:
    """What is wrong with the conditions as such, whatever the selections are."""
    given = detection["condition"]
    words = _words(" ".join(map(str, given if isinstance(given, list) else [given])))
    names = [word.replace("*", "x") for word in words if word not in _WORDS]  # also of what is no selection
    plain = {name: [{"x": 1}] for name in [*detection, *names] if name != "condition"}
    rule = read_sigma({"title": "t", "logsource": {"category": "x"}, "detection": {**plain, "condition": given}})
    found: list[SigmaError] = []
    for condition in rule.detection.parsed_condition:
        try:
            _ = condition.parsed
        except SigmaError as error:
            found.append(error)
    return found


@dataclass(slots=True)
class _Trial:
    """A rule of one field, through all that is done to the whole rule; counts what costs more than other values."""

    compiler: Compiler
    route: Route
    pipeline: ProcessingPipeline
    data: dict[str, Any]
    codes: frozenset[str] = frozenset()
    keywords: int = 0
    expressions: int = 0

    def items(self, key: str | None, value: Any) -> _Items:
        """What becomes of a field and its values; values without a field have None for one.

        Raises:
            SigmaError: pySigma cannot read it, or a pipeline refuses it.
        """
        selection = {key: value} if key is not None else value if isinstance(value, list) else [value]
        detection = {"s": selection, "condition": "s"}
        rule = read_sigma({"title": "t", "logsource": self.data["logsource"], "detection": detection})
        translate(rule.detection.detections["s"], self.route, self.codes)
        self.pipeline.apply(rule)
        mark_cased(rule.detection.detections["s"])
        return _flat(rule.detection.detections["s"])

    def compile(self, item: SigmaDetectionItem) -> None:
        """Compile an item for nothing.

        Raises:
            LeafError: it cannot be.
        """
        values = [single for value in item.value for single in single_values(value)]
        if len(values) > MAX_VALUES:
            raise LeafError(f"{len(values)} values are more than {MAX_VALUES}", "split the list over several rules")
        self._count(item.field, values)
        for value in values:
            if item.field is None:
                keyword(value, self.compiler.types, self.compiler.keyword_columns)
            else:
                self.compiler.field(item.field, value)

    def _count(self, field: str | None, values: Sequence[SigmaType]) -> None:
        """Keep to what a whole rule may have; said once, where it becomes too much.

        Raises:
            LeafError: it is too much.
        """
        before = self.keywords, self.expressions
        self.keywords += len(values) if field is None else 0
        self.expressions += sum(map(is_expression, values))
        if before[0] <= MAX_KEYWORDS < self.keywords:
            raise LeafError(
                f"the rule has more than {MAX_KEYWORDS} values without a field", "name the field, or split it"
            )
        if before[1] <= MAX_EXPRESSIONS < self.expressions:
            what = f"the rule has more than {MAX_EXPRESSIONS} regular expressions and values with a wildcard inside"
            raise LeafError(what, "split it")

    def known(self) -> list[str]:
        """Names that a rule about these events may use."""
        return [*self.compiler.types, *FIELDS[self.route.kind], *fields_of(self.route), *details_of(self.route)]


def _flat(definition: SigmaDetection) -> _Items:
    found: _Items = []
    for item in definition.detection_items:
        found += _flat(item) if isinstance(item, SigmaDetection) else [item]
    return found


def _short(hint: str, limit: int = 200) -> str:
    return hint if len(hint) <= limit else hint[:limit].rpartition(",")[0] + " …"
