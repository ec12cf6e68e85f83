"""Sigma detection documents to compiled detections, through pySigma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import FieldMappingTransformation
from sigma.rule import SigmaDetectionItem, SigmaRule

from agents.rules.columns import FIELDS, column_types
from agents.rules.compiled import Compiled, Compiler
from agents.rules.leaves import LeafError, keyword
from agents.rules.logsources import CATEGORIES, Route, Unknown, route_of
from agents.rules.model import Detection
from agents.rules.positions import Document, Path
from agents.rules.shape import NAME, Checker, suggestion
from schemas.kinds import EventKind

# Where pySigma's complaints belong, by the name of its exception class.
ERROR_PATHS: dict[str, Path] = {
    "SigmaIdentifierError": ("id",),
    "SigmaNameError": ("name",),
    "SigmaTaxonomyError": ("taxonomy",),
    "SigmaRelatedError": ("related",),
    "SigmaLevelError": ("level",),
    "SigmaStatusError": ("status",),
    "SigmaTagError": ("tags",),
    "SigmaDateError": ("date",),
    "SigmaModifiedError": ("modified",),
    "SigmaFieldsError": ("fields",),
    "SigmaFalsePositivesError": ("falsepositives",),
    "SigmaAuthorError": ("author",),
    "SigmaDescriptionError": ("description",),
    "SigmaReferencesError": ("references",),
    "SigmaTitleError": ("title",),
    "SigmaScopeError": ("scope",),
    "SigmaLicenseError": ("license",),
    "SigmaLogsourceError": ("logsource",),
    "SigmaDetectionError": ("detection",),
    "SigmaConditionError": ("detection", "condition"),
}


def pipeline_for(kind: EventKind) -> ProcessingPipeline:
    """The pySigma pipeline that turns Sigma's field names into the columns of a kind; columns pass through."""
    mapping: dict[str | None, str | list[str]] = {}
    mapping.update(FIELDS[kind].items())
    return ProcessingPipeline(
        name=f"aupstream {kind.value}",
        items=[ProcessingItem(FieldMappingTransformation(mapping), identifier="aupstream_fields")],
    )


def column_for(kind: EventKind, name: str) -> str | None:
    """Column that a field name of a rule stands for; None for neither a column nor a known Sigma field."""
    types = column_types(kind)
    mapped = FIELDS[kind].get(name, name)
    return mapped if mapped in types else None


def first_line(error: Exception) -> str:
    """The words of pySigma, on one line, without the document that it prints after them."""
    return " ".join(str(error).split())[:300]


@dataclass(frozen=True, slots=True)
class DetectionReader:
    """Reads one detection document.

    Attributes:
        document: The document.
        check: Where its errors go.
    """

    document: Document
    check: Checker

    def read(self) -> Detection | None:
        """The compiled detection; None where anything is wrong with it, which is noted."""
        before = len(self.check.errors)
        data = self.document.data
        self.check.keys("detection rule", data)
        title = self.check.text(data, "title", required=True)
        name = self.check.text(data, "name") or self.check.text(data, "id")
        if not name:
            hint = "correlations refer to a rule by it"
            self.check.error("name is missing", hint=hint)
        elif "name" in data and not NAME.fullmatch(name):
            self.check.error(
                f"name {name!r} must be lower-case words joined by hyphens", "name", hint="such as mass-mail"
            )
        route = self._route()
        if route is not None:
            self._items(route.kind)
        compiled = self._compile(route) if route is not None and len(self.check.errors) == before else None
        if compiled is None or route is None:
            return None
        doc = self.document
        return Detection(name, route.kind, title, compiled, compiled.columns, doc.file, doc.line)

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

    def _items(self, kind: EventKind) -> None:
        """Try every field and value by itself, because only here is it known where each stands."""
        detection = self.check.mapping(self.document.data.get("detection"), "detection")
        compiler = Compiler(kind)
        for selection, definition in detection.items():
            if selection == "condition":
                continue
            if definition in ({}, [], None):
                self.check.error(
                    f"selection {selection!r} is empty", "detection", selection, hint="remove it or fill it"
                )
                continue
            self._definition(definition, kind, compiler, ("detection", selection))

    def _definition(self, definition: Any, kind: EventKind, compiler: Compiler, path: Path) -> None:
        if isinstance(definition, dict):
            for key, value in definition.items():
                self._item(key, value, kind, compiler, (*path, key))
        elif isinstance(definition, list) and any(isinstance(d, dict | list) for d in definition):
            for i, inner in enumerate(definition):
                self._definition(inner, kind, compiler, (*path, i))
        else:
            self._item(None, definition, kind, compiler, path)

    def _item(self, key: str | None, value: Any, kind: EventKind, compiler: Compiler, path: Path) -> None:
        name = (key or "").partition("|")[0]
        column = column_for(kind, name) if name else None
        if name and column is None:
            known = [*compiler.types, *FIELDS[kind]]
            what = f"there is no field {name!r} in {kind.value} events"
            self.check.error(what, *path, hint=_short(suggestion(name, known)), key=True)
            return
        try:
            item = SigmaDetectionItem.from_mapping(key, value)
            if not item.value and column is not None:
                return
            for one in item.value:
                if column is None:
                    keyword(one, compiler.types, compiler.keyword_columns)
                else:
                    self._try(compiler, kind, column, one)
        except LeafError as error:
            self.check.error(error.what, *path, hint=error.hint)
        except (SigmaError, TypeError, ValueError) as error:
            self.check.error(first_line(error), *path, hint="see the modifiers of the Sigma specification")

    @staticmethod
    def _try(compiler: Compiler, kind: EventKind, column: str, value: Any) -> None:
        """Compile a value; a reference to another field is mapped first, as the pipeline will do."""
        other = getattr(value, "field", None)
        if isinstance(other, str):
            value = type(value)(column_for(kind, other) or other, value.starts_with, value.ends_with)
        compiler.field(column, value)

    def _compile(self, route: Route) -> Compiled | None:
        """Through pySigma: parse, map the fields, build the condition tree, compile it."""
        try:
            rule = SigmaRule.from_dict(self.document.data, collect_errors=True)
            for error in rule.errors:
                self.check.error(first_line(error), *ERROR_PATHS.get(type(error).__name__, ()))
            if rule.errors:
                return None
            pipeline_for(route.kind).apply(rule)
            trees = [parsed for c in rule.detection.parsed_condition if (parsed := c.parsed) is not None]
            if not trees:
                self.check.error("the condition matches nothing", "detection", "condition")
                return None
            return Compiler(route.kind).compile(trees, route)
        except LeafError as error:
            self.check.error(error.what, "detection", hint=error.hint)
        except (SigmaError, TypeError, ValueError, AttributeError) as error:
            hint = "see conditions in the Sigma specification"
            self.check.error(first_line(error), "detection", "condition", hint=hint)
        return None


def _short(hint: str, limit: int = 200) -> str:
    return hint if len(hint) <= limit else hint[:limit].rpartition(",")[0] + " …"
