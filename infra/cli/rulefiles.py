"""What `aupstream rules` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import typer

from agents.rules.loader import POLICY_FOLDER, lint_files, load_rules, rule_files
from agents.rules.model import Presence, Rule, RuleSet, Threshold
from agents.rules.positions import Document, read_documents
from agents.rules.reading import Beside, Prepared, prepare
from agents.rules.remarks import notes, warnings
from agents.rules.shape import suggestion
from infra.cli.configuration import choose
from infra.cli.failures import BAD_RULES
from infra.cli.output import count, json_line, line, printable, table, talk
from schemas.errors import RuleError

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def paths_of(named: Sequence[Path], config: Path | None) -> tuple[Path, ...]:
    """Paths of the command line, else of the configuration, else of the rules that come along."""
    return tuple(named) or choose(config).config.rules.paths or (POLICY_FOLDER,)


def _beside(named: Sequence[Path], config: Path | None) -> Beside:
    """The configuration's collections and pipelines; of files that are named only its pipelines."""
    beside = choose(config).config.rules.beside
    return Beside(pipelines=beside.pipelines) if named else beside


def not_empty(ruleset: RuleSet | None, paths: Sequence[Path]) -> RuleSet:
    """The rules, of which there must be one: without any, nothing can ever be found.

    Raises:
        RuleError: there is none.
    """
    if ruleset is None or not ruleset.rules:
        where = ", ".join(map(str, paths))
        raise RuleError("there is no rule", where=where, hint="name a file, or a folder with *.yml or *.yaml files")
    return ruleset


def rules_of(named: Sequence[Path], config: Path | None) -> RuleSet:
    """Rules of the command line, else of the configuration, else those that come along.

    Raises:
        Errors: of `RuleError`, the rules are wrong.
        RuleError: there is none.
    """
    paths = paths_of(named, config)
    return not_empty(load_rules(paths, _beside(named, config)), paths)


def one_rule(rules: RuleSet, name: str) -> Rule:
    """The rule of a name.

    Raises:
        RuleError: there is none.
    """
    try:
        return rules.rule(name)
    except KeyError:
        users = [rule.id for rule in rules.rules if name in rule.bases]
        if users:  # it stands in a file all the same
            hint = f"name the rule that it is a part of: {', '.join(users)}"[:200]
            raise RuleError(f"{name!r} is a detection and makes no violations", where="RULE", hint=hint) from None
        known = [rule.id for rule in rules.rules]
        raise RuleError(f"there is no rule {name!r}", where="RULE", hint=suggestion(name, known)[:200]) from None


def lint(named: Sequence[Path], config: Path | None, *, lenient: bool, strict: bool, as_json: bool) -> None:
    """Print every mistake, and every warning where there is none; end with 3 where there is one.

    Args:
        named: Files and folders.
        config: Configuration.
        lenient: What is named is a collection: its rules are not warned of.
        strict: A warning is a mistake.
        as_json: As JSON lines.
    """
    paths, beside = paths_of(named, config), _beside(named, config)
    if lenient:
        paths, beside = (), replace(beside, collections=(*paths, *beside.collections))
    found = lint_files(paths, beside)
    for error in (*found.errors, *found.left_out):
        if as_json:
            json_line({"where": error.where, "what": error.what, "hint": error.hint})
        else:
            line(printable(str(error)))
    if found.errors:
        talk(f"{count(len(found.errors), 'mistake')} in {count(found.files, 'file')}")
        raise typer.Exit(BAD_RULES)
    ruleset = not_empty(found.ruleset, (*paths, *beside.collections))
    without = len({error.where.partition(":")[0] for error in found.left_out})
    left_out = f", {count(without, 'file')} with rules that cannot run here" if without else ""
    warned = [] if lenient else warnings(ruleset, documents_of(named, config))
    for warning in warned:
        if as_json:
            json_line({"where": warning.where, "what": warning.what, "hint": warning.hint, "warning": True})
        else:
            line(printable(str(_as_warning(warning))))
    for note in notes(ruleset):
        talk(note)
    said = f", {count(len(warned), 'warning')}" if warned else ""
    talk(f"{count(found.files, 'file')}, {count(len(ruleset.rules), 'rule')}, no mistakes{said}{left_out}")
    if strict and warned:
        raise typer.Exit(BAD_RULES)


def _as_warning(warning: RuleError) -> RuleError:
    """A warning that says that it is one."""
    return RuleError(f"warning: {warning.what}", where=warning.where, hint=warning.hint)


def documents_of(named: Sequence[Path], config: Path | None) -> list[Document]:
    """What the rules of the command line are read from; what cannot be read is left out."""
    made: list[Document] = []
    for path in rule_files(paths_of(named, config)):
        with suppress(OSError, UnicodeDecodeError):
            made += read_documents(path.read_text("utf-8-sig"), str(path))[0]
    return made


def prepared_of(named: Sequence[Path], config: Path | None) -> Prepared:
    """What the rules of the command line are made of, filters, lists and pipelines included."""
    paths, beside = paths_of(named, config), _beside(named, config)
    folders = [*paths, *beside.collections]
    return prepare(documents_of(folders, config), folders, beside, [])


def list_all(named: Sequence[Path], config: Path | None, *, as_json: bool) -> None:
    """Print all rules.

    Raises:
        Errors: of `RuleError`, the rules are wrong.
    """
    rules = load_rules(paths_of(named, config), _beside(named, config)).rules
    if as_json:
        for rule in rules:
            json_line(describe(rule))
        return
    cells = [(r.clause, r.id, r.title, r.severity, r.kind, ", ".join(r.group_by), held_at(r)) for r in rules]
    table(("clause", "rule", "title", "severity", "kind", "per", "holds at"), cells, empty="no rules there")


def describe(rule: Rule) -> dict[str, Any]:
    """Every attribute of a rule as plain values: spans in seconds, no limit as null, examples as their number."""
    made: dict[str, Any] = {}
    for one in fields(rule):
        value = getattr(rule, one.name)
        if one.name == "examples":
            value = len(value)
        name = one.name
        if name.endswith("_us"):
            name, value = f"{name.removesuffix('_us')}_s", value / 1_000_000
        made[{"kinds": "reads"}.get(name, name)] = _value(value)
    return made


def _value(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, tuple | list):
        return [_value(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): _value(v) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _value(getattr(value, f.name)) for f in fields(value)}
    return value if isinstance(value, str | int | bool) or value is None else str(value)


def held_at(rule: Rule) -> str:
    """When a rule holds, in short: limits, window, chain, suppression."""
    parts = [_limits(rule)]
    if rule.timespan_us:
        shape = "" if rule.window == "sliding" else f"{rule.window} "
        parts.append(f"in {shape}{span(rule.timespan_us)}")
    for word, micros in (("lasting", rule.lasting_us), ("suppress", rule.suppress_us), ("rearm", rule.rearm_us)):
        parts += [f"{word} {span(micros)}"] if micros else []
    if rule.inner:
        parts.append(f"over {', '.join(sorted(rule.inner))}")
    if rule.silent:
        parts.append("for the rules over it alone")
    if rule.shadow:
        parts.append("(shadow)")
    return " ".join(part for part in parts if part)


def _limits(rule: Rule) -> str:
    if rule.counts:
        return ", then ".join(f"{n} {base}" for n, base in zip(rule.counts, rule.bases, strict=True))
    if rule.kind == "temporal_ordered":
        return ", then ".join(rule.bases)
    if rule.kind == "temporal":
        return " and ".join(rule.bases) if rule.presence is None else _presence(rule.presence)
    return " or ".join(_range(t) for t in rule.thresholds)


def _presence(presence: Presence) -> str:
    if isinstance(presence, str):
        return presence
    word, *parts = presence
    said = [_presence(p) if isinstance(p, str) else f"({_presence(p)})" for p in parts]
    return f"not {said[0]}" if word == "not" else f" {word} ".join(said)


def _range(limit: Threshold) -> str:
    parts = []
    for number, with_it, without in ((limit.gte, "≥", ">"), (limit.lte, "≤", "<")):
        if isfinite(number):
            # A limit that does not count itself is kept as the number next to it.
            beside = float(f"{number:g}") != number and float(f"{number:.12g}") != number
            parts.append(f"{without if beside else with_it} {number:g}")
    parts += [f"≠ {limit.neq:g}"] if limit.neq is not None else []
    return f"{limit.name} {' and '.join(parts)}"


def span(micros: int) -> str:
    """A span of time in its largest whole unit."""
    seconds, rest = divmod(micros, 1_000_000)
    if rest:
        return f"{micros / 1_000_000:g}s"
    size, unit = next((n, u) for n, u in _UNITS if seconds % n == 0)
    return f"{seconds // size}{unit}"
