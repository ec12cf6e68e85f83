"""Rule files to a rule set: every error of every file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agents.rules.correlations import Known, RuleReader
from agents.rules.detections import DetectionReader
from agents.rules.digests import digest, version_of_detection, version_of_rule
from agents.rules.examplefiles import is_example_file
from agents.rules.fieldnames import FieldNames
from agents.rules.model import Detection, Rule, RuleSet
from agents.rules.positions import Document, by_place, read_documents
from agents.rules.reading import Beside, Prepared, prepare
from agents.rules.references import references
from agents.rules.shape import Checker
from schemas.errors import AupstreamError, Errors, RuleError

POLICY_FOLDER = Path(__file__).parent.parent / "policy"  # the rules that come with aupstream
MAX_FILES = 10_000
_NOTHING_BESIDE = Beside()
Aside = Callable[[Document], list[RuleError]]  # where the mistakes of a document go


@dataclass(frozen=True, slots=True)
class Lint:
    """Outcome of reading rule files.

    Attributes:
        ruleset: What could be read; None where there are errors.
        errors: Everything that is wrong, by file and place.
        files: Files that were read.
        left_out: Of collections, why which rules cannot run here.
    """

    ruleset: RuleSet | None
    errors: tuple[RuleError, ...]
    files: int
    left_out: tuple[RuleError, ...] = ()


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """Files named, and `*.yml` and `*.yaml` below folders named, in a fixed order.

    Raises:
        RuleError: a path does not exist, or there are more files than `MAX_FILES`.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            found.update(dict.fromkeys(sorted(p for p in path.rglob("*.y*ml") if p.suffix in (".yml", ".yaml"))))
        elif path.exists():
            found[path] = None
        else:
            raise RuleError("there is no such file or folder", where=str(path), hint="check the path of the rules")
    found = {path: None for path in found if not is_example_file(path)}
    if len(found) > MAX_FILES:
        raise RuleError(f"more than {MAX_FILES} rule files", hint="name fewer folders")
    return list(found)


def lint_files(paths: Iterable[Path], beside: Beside = _NOTHING_BESIDE) -> Lint:
    """Read rule files and say everything that is wrong with them; raises nothing for what is in a file."""
    documents: list[Document] = []
    errors: list[RuleError] = []
    left_out: list[RuleError] = []
    folders = [*paths, *beside.collections]
    try:
        files = rule_files(folders)
    except RuleError as error:
        return Lint(None, (error,), 0)
    for path in files:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            errors.append(
                RuleError(f"file cannot be read: {error.strerror}", where=str(path), hint="check permissions")
            )
            continue
        except UnicodeDecodeError as error:
            errors.append(RuleError("the file is not UTF-8 here", where=_place(path, error), hint="save it as UTF-8"))
            continue
        read, wrong = read_documents(text, str(path))
        documents.extend(read)
        (left_out if beside.lenient(str(path)) else errors).extend(wrong)
    ruleset = _build(prepare(documents, folders, beside, errors, left_out), errors, left_out)
    told = tuple(sorted(errors, key=by_place))
    return Lint(None if errors else ruleset, told, len(files), tuple(sorted(left_out, key=by_place)))


def _place(path: Path, error: UnicodeDecodeError) -> str:
    """File, line and column of the byte that is none of UTF-8's."""
    before = error.object[: error.start].decode("utf-8-sig", "replace")
    return f"{path}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def load_rules(paths: Iterable[Path] = (POLICY_FOLDER,), beside: Beside = _NOTHING_BESIDE) -> RuleSet:
    """Rules of files and folders; without any, the ones that come with aupstream.

    Raises:
        Errors: of `RuleError`, everything that is wrong with any file.
    """
    lint = lint_files(paths, beside)
    if lint.ruleset is None:
        raise Errors(list[AupstreamError](lint.errors))
    return lint.ruleset


def parse_rules(text: str, file: str = "rules.yml") -> RuleSet:
    """Rules of one text.

    Raises:
        Errors: of `RuleError`, everything that is wrong with it.
    """
    documents, errors = read_documents(text, file)
    ruleset = _build(prepare(documents, (), _NOTHING_BESIDE, errors), errors, [])
    if errors:
        raise Errors(list[AupstreamError](errors))
    return ruleset


def built(prepared: Prepared) -> RuleSet:
    """Rules of documents that are read already, with the lists and pipelines that they lean on.

    Raises:
        Errors: of `RuleError`, everything that is wrong with them.
    """
    errors: list[RuleError] = []
    ruleset = _build(prepared, errors, [])
    if errors:
        raise Errors(list[AupstreamError](errors))
    return ruleset


def _names(document: Document) -> list[str]:
    return [v for v in (document.data.get("name"), document.data.get("id")) if isinstance(v, str) and v]


def _build(prepared: Prepared, errors: list[RuleError], left_out: list[RuleError]) -> RuleSet:
    """Detections first, then what refers to them. Errors are noted and the rest is read all the same."""
    documents = prepared.documents

    def aside_of(document: Document) -> list[RuleError]:
        return left_out if prepared.lenient(document.file) else errors

    asides = list(map(aside_of, documents))
    _refuse_doubles(documents, asides)
    detections: dict[str, tuple[Detection, Document]] = {}
    broken: set[str] = set()
    correlations = [d for d in documents if "correlation" in d.data]
    for document, aside in zip(documents, asides, strict=True):
        if "correlation" in document.data:
            continue
        if "detection" not in document.data:
            aside.append(
                document.error("neither a detection nor a correlation", hint="add `detection:` or `correlation:`")
            )
            broken.update(_names(document))
            continue
        reader = DetectionReader(document, Checker(document, aside), prepared.taxonomy, aside is left_out)
        detection = reader.read()
        if detection is None:
            broken.update(_names(document))
        else:
            detections.update(dict.fromkeys(_names(document), (detection, document)))
    left = frozenset(name for d in documents if aside_of(d) is left_out for name in _names(d))
    correlations, cyclic = _ordered(correlations, aside_of)
    fields = FieldNames(prepared.taxonomy)
    known = Known({name: found[0] for name, found in detections.items()}, frozenset(broken | cyclic), {}, fields)
    rules = _chained(_rules(correlations, detections, known, aside_of, left))
    ordered = tuple(sorted(rules, key=lambda r: r.id))
    unique = {d.name: d for d, _ in detections.values()}
    version = digest([[r.id, r.version] for r in ordered])
    return RuleSet(ordered, tuple(unique[n] for n in sorted(unique)), version)


def _ordered(documents: Sequence[Document], aside_of: Aside) -> tuple[list[Document], set[str]]:
    """Correlations, those that others refer to first; and the names of those that refer to themselves in a circle."""
    by_name = {name: document for document in documents for name in _names(document)}
    done: dict[int, Document] = {}
    cyclic: set[str] = set()

    def visit(document: Document, path: list[Document]) -> None:
        if id(document) in done:
            return
        if document in path:
            circle = [*path[path.index(document) :], document]
            names = " -> ".join(_names(d)[0] for d in circle)
            what, hint = f"rules refer to each other in a circle: {names}", "take one of the references out"
            aside_of(document).append(document.error(what, "correlation", "rules", hint=hint))
            cyclic.update(name for d in circle for name in _names(d))
            return
        part = document.data.get("correlation")
        for name in references(part) if isinstance(part, dict) else ():
            if name in by_name:
                visit(by_name[name], [*path, document])
        done[id(document)] = document

    for document in documents:
        visit(document, [])
    return [d for d in done.values() if not cyclic & set(_names(d))], cyclic


def _rules(
    correlations: Sequence[Document],
    detections: dict[str, tuple[Detection, Document]],
    known: Known,
    aside_of: Aside,
    left: frozenset[str],
) -> list[Rule]:
    rules: list[Rule] = []
    referenced: set[str] = set()
    inner: dict[str, Rule] = {}
    broken = set(known.broken)
    for document in correlations:
        now = replace(known, broken=frozenset(broken), rules=inner)
        aside = aside_of(document)
        said = len(aside)
        rule = RuleReader(document, Checker(document, aside), now).correlation()
        part = document.data.get("correlation")
        names = references(part) if isinstance(part, dict) else ()
        if not (isinstance(part, dict) and part.get("generate") is True):
            referenced.update(known.detections[n].name for n in names if n in known.detections)
            inner.update({n: replace(inner[n], silent=True) for n in names if n in inner})
            rules = [replace(r, silent=True) if rule and r.id in rule.inner else r for r in rules]
        if rule is None:
            if len(aside) == said and broken & left.intersection(names):
                what = "it is built on a rule of a collection that cannot run here"
                aside.append(document.error(what, "correlation", "rules", hint="see why that was left out"))
            broken.update(_names(document))
            continue
        rule = replace(rule, version=_version(rule, document, detections, inner, known.fields))
        rules.append(rule)
        inner.update(dict.fromkeys(_names(document), rule))
    for detection, document in {id(doc): (d, doc) for d, doc in detections.values()}.values():
        if detection.name in referenced:
            continue
        alone = RuleReader(document, Checker(document, aside_of(document)), known).single(detection)
        if alone is not None:
            rules.append(replace(alone, version=version_of_detection(document.data, detection.leans_on)))
    return rules


def _version(
    rule: Rule,
    document: Document,
    detections: Mapping[str, tuple[Detection, Document]],
    inner: Mapping[str, Rule],
    fields: FieldNames,
) -> str:
    """Version of a correlation; one that leans on no list and no pipeline has that of its documents alone."""
    own = [detections[b] for b in rule.bases if b not in rule.inner]
    leans: list[object] = [[detection.leans_on for detection, _ in own]] if any(d.leans_on for d, _ in own) else []
    if fields.piped:
        columns = [rule.group_by, rule.row_columns, [[a.name, a.base, a.column] for a in rule.aliases]]
        leans.append(columns)
    made_of = [document.data, *(d.data for _, d in own)]
    return version_of_rule(rule, made_of, [inner[name].version for name in sorted(rule.inner)], leans)


def _chained(rules: Sequence[Rule]) -> list[Rule]:
    """Every rule with where its rows are kept: one place for all rules that a chain joins, however many ends it has.

    A rule may be part of several chains, whose ends are grouped by different things. Its rows come once. So what all
    ends have in common decides for all: every rule of a chain is grouped by that, too, and may be by more.
    """
    joined = {rule.id: {rule.id} for rule in rules}
    for rule in rules:
        for name in rule.inner:
            together = joined[rule.id] | joined[name]
            joined.update(dict.fromkeys(together, together))
    inner = frozenset().union(*(rule.inner for rule in rules))
    by_id = {rule.id: rule for rule in rules}
    made = []
    for rule in rules:
        ends = [by_id[name] for name in sorted(joined[rule.id]) if name not in inner]
        common = tuple(name for name in ends[0].group_by if all(name in end.group_by for end in ends))
        made.append(replace(rule, root=ends[0].id, root_by=common))
    return made


def _refuse_doubles(documents: Sequence[Document], asides: Sequence[list[RuleError]]) -> None:
    first: dict[str, Document] = {}
    for document, errors in zip(documents, asides, strict=True):
        for key in ("name", "id"):
            value = document.data.get(key)
            if not isinstance(value, str):
                continue
            other = first.setdefault(value, document)
            if other is not document:
                what = f"{key} {value!r} is taken by {other.where(key)}"
                errors.append(document.error(what, key, hint="every rule needs one of its own"))
