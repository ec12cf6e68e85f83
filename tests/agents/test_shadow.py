"""A rule in shadow records its violations and notifies nobody."""

from __future__ import annotations

from typing import Any

import pytest

from agents.alerts.routing import Router
from agents.alerts.sending import Alerts
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.delivery.notify import NotifyStage
from agents.delivery.stage import Message
from agents.rules.examples import run_examples
from agents.rules.loader import load_rules, parse_rules
from agents.rules.shadow import in_shadow
from schemas.errors import Errors
from schemas.kinds import VIOLATIONS
from schemas.records import encode_record
from tests.cli.test_rules import GOOD
from tests.rules.test_examples import _judge


class _Told(Alerts):
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def send(self, violation: Any, recipients: Any = ()) -> None:
        del recipients
        self.seen.append((violation["id"], violation["version"]))


def _records(text: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def judge(*args: Any) -> Any:
        found = _judge(*args)
        made.extend(dict(v) for v in found)
        return found

    assert all(r.passed for r in run_examples(parse_rules(text), judge))
    return made


def _told(*records: dict[str, Any]) -> list[tuple[str, int]]:
    alerts = _Told()
    stage = NotifyStage(alerts, Router(District(), Inventory.none()))
    for offset, record in enumerate(records):
        stage.handle(Message(VIOLATIONS, 0, offset, encode_record("violation", record), ()))
    return alerts.seen


def test_a_rule_in_shadow_makes_the_same_violations_and_tells_nobody() -> None:
    live = _records(GOOD)
    tried = _records(GOOD + "    shadow: true\n")
    assert [v["shadow"] for v in live + tried] == [False, True]
    assert [v["id"] for v in live] == [v["id"] for v in tried]
    assert _told(*tried) == []
    assert _told(*live) == [(live[0]["id"], 1)]


def test_an_episode_that_is_open_when_shadow_ends_is_told() -> None:
    (record,) = _records(GOOD)
    later = {**record, "version": 2, "shadow": False}
    assert _told({**record, "shadow": True}, later) == [(record["id"], 2)]


def test_the_configuration_puts_rules_into_shadow_by_name() -> None:
    rules = in_shadow(load_rules(), ["mass-mail"])
    assert [r.id for r in rules.rules if r.shadow] == ["mass-mail"]
    assert rules.version == load_rules().version


def test_a_name_that_is_no_rules_is_refused() -> None:
    with pytest.raises(Errors, match="mass-mail"):
        in_shadow(load_rules(), ["mas-mail"])
