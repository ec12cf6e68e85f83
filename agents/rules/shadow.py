"""Shadow mode: rules that record violations and notify nobody, to be tried before they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.rules.model import RuleSet
from agents.rules.shape import suggestion
from schemas.errors import AupstreamError, ConfigError, Errors


def in_shadow(ruleset: RuleSet, names: Sequence[str]) -> RuleSet:
    """The rules, with those named in shadow besides those that say so themselves.

    Args:
        ruleset: The rules.
        names: Ids. What a rule detects is not changed, so neither are versions.

    Raises:
        Errors: of `ConfigError`, every name that is no rule's.
    """
    known = [rule.id for rule in ruleset.rules]
    errors: list[AupstreamError] = [
        ConfigError(f"there is no rule {name!r}", where="[rules] shadow", hint=suggestion(name, known))
        for name in names
        if name not in known
    ]
    if errors:
        raise Errors(errors)
    rules = tuple(replace(rule, shadow=rule.shadow or rule.id in names) for rule in ruleset.rules)
    return replace(ruleset, rules=rules)
