"""`aupstream rules convert`: a rule as ClickHouse SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from agents.build import district_of, inventory_of
from agents.rules.convert import Converter
from infra.cli.configuration import choose
from infra.cli.output import line
from infra.cli.rulefiles import one_rule, rules_of
from infra.cli.standing import since


def run(name: str, named: tuple[Path, ...], config: Path | None, start: str | None, end: str | None) -> None:
    """Print the query of a rule.

    Raises:
        RuleError: there is no such rule, or a part of it cannot be said in SQL.
        ConfigError: a time cannot be read.
    """
    rules = rules_of(named, config)
    rule = one_rule(rules, name)
    settings = choose(config, quiet=True).config.district
    now = datetime.now(UTC)
    times = [since(text, now).astimezone(UTC) if text else None for text in (start, end)]
    converter = Converter(rules, district_of(settings), inventory_of(settings), start=times[0], end=times[1])
    for text in converter.rule(rule).splitlines():
        line(text)
