"""`aupstream rules test`: examples, what they leave untried, and whether they would notice a change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import typer

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.permits import Permits
from agents.engine.episodes import Judge
from agents.engine.pipeline import run as judge
from agents.rules.examplefiles import example_files, with_examples
from agents.rules.examples import ExampleResult, Frames, run_examples
from agents.rules.model import Rule, RuleSet
from agents.rules.mutations import Mutation, mutations
from infra.cli.failures import FINDINGS
from infra.cli.output import count, json_line, line, on_terminal, printable, talk
from infra.cli.rulefiles import one_rule, paths_of, prepared_of, rules_of
from schemas.errors import InputError


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; see the command's options."""

    paths: tuple[Path, ...]
    config: Path | None
    rules: tuple[str, ...] = ()
    junit: Path | None = None
    mutate: bool = False
    as_json: bool = False


@dataclass
class _Tried:
    """What violations of examples were made of, by rule: detections and thresholds."""

    bases: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    limits: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def judge(
        self, rules: RuleSet, district: District, inventory: Inventory, permits: Permits, frames: Frames
    ) -> Sequence[dict[str, Any]]:
        """Judge an example and remember what was found."""
        found = judge(rules, district, inventory, Judge(permits), frames.items())
        for violation in found:
            self.bases[violation["rule_id"]].update(e["base"] for e in violation["evidence"])
            self.limits[violation["rule_id"]].update(t["name"] for t in violation["thresholds"])
        return found

    def untried(self, rule: Rule) -> Iterator[str]:
        """What no example of a rule shows at work."""
        if not rule.examples:
            yield from () if rule.silent else ("it has no example",)
            return
        yield from (
            f"no violation of an example has an event of {b}" for b in rule.bases if b not in self.bases[rule.id]
        )
        if not rule.counts:
            missing = [t.name for t in rule.thresholds if t.name not in self.limits[rule.id]]
            yield from (f"no example passes the limit {name}" for name in missing)
        if all(e.get("violations") for e in rule.examples):
            yield "no example must make no violation"


def run(asked: Asked) -> None:
    """Run the examples and print how each ended; end with 1 where one did not pass, or a change was not noticed.

    Raises:
        Errors: of `RuleError`, rules or files of examples are wrong.
    """
    every = rules_of(asked.paths, asked.config)
    every = with_examples(every, example_files(paths_of(asked.paths, asked.config)))
    wanted = {one_rule(every, name).id for name in asked.rules} or {r.id for r in every.rules}
    rules = replace(every, rules=tuple(r if r.id in wanted else replace(r, examples=()) for r in every.rules))
    tried = _Tried()
    results = run_examples(rules, tried.judge)
    for result in results:
        if asked.as_json:
            json_line({name: getattr(result, name) for name in ("rule_id", "name", "passed", "problem", "where")})
        else:
            _show(result)
    failed = sum(not r.passed for r in results)
    talk(f"{count(len(results), 'example')} of {count(len(wanted), 'rule')}, {failed} did not pass")
    for rule in rules.rules:
        if rule.id in wanted:
            for what in tried.untried(rule):
                talk(f"{rule.id}: {what}")
    if asked.junit is not None:
        _write_junit(asked.junit, results)
    unnoticed = _mutate(asked, rules, wanted) if asked.mutate else 0
    if failed or unnoticed:
        raise typer.Exit(FINDINGS)


def _mutate(asked: Asked, rules: RuleSet, wanted: set[str]) -> int:
    """Change the rules part by part; how many changes no example noticed."""
    read = prepared_of(asked.paths, asked.config)
    unnoticed = total = 0
    for rule in rules.rules:
        if rule.id not in wanted or not rule.examples:
            continue
        made = list(mutations(rules, rule, read, _Tried().judge))
        if not made:
            talk(f"{rule.id}: cannot be changed, its examples do not pass by themselves")
        for mutation in made:
            total += mutation.noticed is not None
            unnoticed += mutation.noticed is False
            _show_mutation(mutation, as_json=asked.as_json)
    talk(f"{count(total, 'change')} tried, {unnoticed} noticed by no example")
    return unnoticed


def _show_mutation(mutation: Mutation, *, as_json: bool) -> None:
    if as_json:
        json_line({"mutation": asdict(mutation)})
    elif mutation.noticed is False:
        line(printable(f"UNNOTICED {mutation.rule_id}: {mutation.what} ({mutation.where})"))


def _show(result: ExampleResult) -> None:
    word = "ok  " if result.passed else "FAIL"
    if on_terminal():
        word = typer.style(word, fg=typer.colors.GREEN if result.passed else typer.colors.RED)
    line(f"{word} {result.rule_id}: {printable(result.name)}")
    if not result.passed:
        line(f"     {result.where}: {printable(result.problem)}")


def _write_junit(path: Path, results: Sequence[ExampleResult]) -> None:
    """A report in the form that build servers read."""
    failed = str(sum(not r.passed for r in results))
    suite = ET.Element("testsuite", name="aupstream rules", tests=str(len(results)), failures=failed, errors="0")
    for result in results:
        case = ET.SubElement(suite, "testcase", classname=result.rule_id, name=printable(result.name))
        if not result.passed:
            problem = printable(result.problem)
            ET.SubElement(case, "failure", message=problem[:500]).text = f"{result.where}: {problem}"
    try:
        ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise InputError(f"it cannot be written: {error.strerror}", where=str(path), hint="check the folder") from error
