"""Are a rule's examples any good? Each of its parts is taken out or moved, and some example must notice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agents.rules.changes import Change, of_correlation, of_detection, of_own
from agents.rules.examples import Runner, run_examples
from agents.rules.loader import built
from agents.rules.model import Rule, RuleSet
from agents.rules.positions import Document
from agents.rules.reading import Prepared
from agents.rules.references import references
from schemas.errors import AupstreamError

Documents = Mapping[str, Document]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change of a rule.

    Attributes:
        rule_id: The rule.
        where: file:line of the document that was changed.
        what: In words.
        noticed: True where an example did not pass any more; None where the changed rule is none.
    """

    rule_id: str
    where: str
    what: str
    noticed: bool | None


def mutations(rules: RuleSet, rule: Rule, read: Prepared, runner: Runner) -> Iterator[Mutation]:
    """Try every change of a rule that has examples, and whose examples pass as it stands; of any other there is none.

    Args:
        rules: The rules.
        rule: One of them.
        read: What they were made of. A changed rule is made with the same lists, pipelines and filters.
        runner: See `agents.rules.examples`.
    """
    by_name = {n: d for d in read.documents for n in (d.data.get("name"), d.data.get("id")) if isinstance(n, str)}
    family = _family(rule.id, by_name)
    notices = _Noticing(rule, read, runner)
    if not rule.examples or not family or notices(family) is not False:
        return
    counted = _counted(family)
    for i, document in enumerate(family):
        for what, data in _changes(document, rules, counted):
            changed = [*family[:i], replace(document, data=data), *family[i + 1 :]]
            yield Mutation(rule.id, document.where(), what, notices(changed))


def _family(name: str, by_name: Documents) -> list[Document]:
    """Documents of a rule and of all that it refers to."""
    found: dict[int, Document] = {}

    def visit(one: str) -> None:
        document = by_name.get(one)
        if document is None or id(document) in found:
            return
        found[id(document)] = document
        part = document.data.get("correlation")
        for inner in references(part) if isinstance(part, dict) else ():
            visit(inner)

    visit(name)
    return list(found.values())


def _counted(family: Iterable[Document]) -> frozenset[str]:
    """Columns that all correlations of a family group by or count."""
    found: list[frozenset[str]] = []
    for document in family:
        part = document.data.get("correlation")
        if isinstance(part, dict):
            condition = part.get("condition")
            field = condition.get("field") if isinstance(condition, dict) else None
            groups = part.get("group-by")
            named = [*(groups if isinstance(groups, list) else ()), *(field if isinstance(field, list) else [field])]
            found.append(frozenset(map(str, named)))
    return frozenset.intersection(*found) if found else frozenset()


def _changes(document: Document, rules: RuleSet, counted: frozenset[str]) -> Iterator[Change]:
    if "detection" in document.data:
        name = str(document.data.get("name") or document.data.get("id"))
        yield from of_detection(document, rules.detection(name).expression, counted)
    elif "correlation" in document.data:
        yield from of_correlation(document)
    yield from of_own(document)


class _Noticing:
    """Says whether any example of a rule fails once documents are changed; None where they make no such rule.

    Of most rules a few examples notice most changes: those that noticed one are tried first.
    """

    def __init__(self, rule: Rule, read: Prepared, runner: Runner) -> None:
        self._rule, self._read, self._runner = rule, read, runner
        self._examples = list(rule.examples)

    def __call__(self, family: Sequence[Document]) -> bool | None:
        try:
            made = built(replace(self._read, documents=family))
            mine = made.rule(self._rule.id)
        except (AupstreamError, KeyError):
            return None
        others = [replace(r, examples=()) for r in made.rules if r.id != mine.id]
        for i, example in enumerate(self._examples):
            alone = replace(made, rules=(replace(mine, examples=(example,)), *others))
            if not run_examples(alone, self._runner)[0].passed:
                self._examples.insert(0, self._examples.pop(i))
                return True
        return False
