"""`aupstream rules convert`: a rule as ClickHouse SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from agents.build import district_of, inventory_of
from agents.privacy.columns import KINDS
from agents.rules.convert import Converter
from agents.rules.model import Rule, RuleSet
from infra.cli.configuration import choose
from infra.cli.output import line, warn
from infra.cli.rulefiles import one_rule, rules_of
from infra.cli.standing import since

# Derived columns that are computed from a name's own text, or from a list of names.
_BY_NAME = frozenset(
    "sender_address sender_internal sender_kind recipients_internal recipients_outside delivered_recipients "
    "mailed_recipients "
    "source_site source_device_kind source_device_owner source_mac_known source_mac_random user_roles "
    "host_name_known source_device_own login_source".split()
)


def run(name: str, named: tuple[Path, ...], config: Path | None, start: str | None, end: str | None) -> None:
    """Print the query of a rule.

    Raises:
        RuleError: there is no such rule, or a part of it cannot be said in SQL.
        ConfigError: a time cannot be read.
    """
    rules = rules_of(named, config)
    rule = one_rule(rules, name)
    chosen = choose(config, quiet=True).config
    settings = chosen.district
    if chosen.privacy.on and (lost := _lost(rules, rule)):
        warn(
            f"ClickHouse has pseudonyms where this rule reads {', '.join(lost)}: what it says of names, domains and "
            "networks will not be met; `aupstream backtest clickhouse:` judges by names"
        )
    now = datetime.now(UTC)
    times = [since(text, now).astimezone(UTC) if text else None for text in (start, end)]
    converter = Converter(rules, district_of(settings), inventory_of(settings), start=times[0], end=times[1])
    for text in converter.rule(rule).splitlines():
        line(text)


def _lost(rules: RuleSet, rule: Rule) -> list[str]:
    """Columns that conditions read and that are not in ClickHouse as they were judged; grouping by one is no loss."""
    conditions = {c for d in rules.detections if d.name in rule.bases for c in d.columns}
    computed = (conditions | {*rule.group_by, *rule.row_columns}) & _BY_NAME
    return sorted((conditions & KINDS.keys()) | computed)
