"""Who is told of a violation, and who never is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from agents.alerts.routing import Route, Router
from agents.alerts.sending import Alerts
from agents.alerts.webhook import Webhook
from agents.alerts.wording import Wording
from agents.context.district import District
from agents.context.inventory import Device, Inventory
from agents.context.roster import Roster
from agents.delivery.notify import NotifyStage
from agents.delivery.stage import Message
from agents.rules.examples import run_examples
from agents.rules.loader import parse_rules
from schemas.kinds import VIOLATIONS
from schemas.records import encode_record
from tests.rules.test_examples import _judge

MAC = "3c:52:82:00:00:01"
ROSTER = Roster.parse(
    """\
account,roles,mail,site,supervisor
boss,superintendent,boss@s.example,office,
head,principal,head@s.example,north,boss
vice,principal,vice@s.example,north,boss
south-head,principal,sh@s.example,south,boss
anna,teacher,anna@s.example,north,head
pim,student,pim@s.example,north,
tom,it,tom@s.example,office,chief
chief,security,chief@s.example,office,boss
hr,personnel,hr@s.example,office,boss
""",
    "roster.csv",
)
DISTRICT = District.of("S", "UTC", ["s.example"]).knowing(ROSTER)
TEAMS = {"security": ["chief@s.example", "soc@s.example"], "personnel": ["hr@s.example"]}


def _router(*routes: Route, teams: dict[str, list[str]] = TEAMS) -> Router:
    return Router(DISTRICT, Inventory.of([Device(MAC, "Anna"), Device("3c:52:82:00:00:02")]), routes, teams)


def _told(router: Router, key: dict[str, str], clause: int = 2, severity: str = "high") -> list[str]:
    violation: dict[str, Any] = {"group_key": key, "clause": clause, "severity": severity}
    routed = router.route(violation)
    assert not {r.address for r in routed.recipients} & {r.address for r in routed.withheld}
    return [one.address for one in routed.recipients]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ({"subject": "pim"}, ["head@s.example", "vice@s.example"]),
        ({"email_from_address": "PIM@s.example"}, ["head@s.example", "vice@s.example"]),
        ({"person": "anna"}, ["head@s.example", "hr@s.example"]),
        ({"source_mac": MAC}, ["head@s.example", "hr@s.example"]),
        ({"person": "head"}, ["boss@s.example", "hr@s.example"]),
        ({"user_name": "tom"}, ["soc@s.example"]),
        ({"subject": "10.0.0.9"}, ["chief@s.example", "soc@s.example"]),
        ({"source_mac": "3c:52:82:00:00:02"}, ["chief@s.example", "soc@s.example"]),
        ({"person": "nobody"}, ["chief@s.example", "soc@s.example"]),
    ],
)
def test_a_violation_goes_to_whom_the_role_of_its_person_says(key: dict[str, str], told: list[str]) -> None:
    router = _router(teams=TEAMS if key != {"user_name": "tom"} else {**TEAMS, "security": ["soc@s.example"]})
    assert _told(router, key) == told


def test_nobody_is_told_of_themselves_or_of_whom_they_report_to() -> None:
    assert _told(_router(), {"person": "chief"}) == ["soc@s.example"]
    assert _told(_router(), {"person": "boss"}) == ["soc@s.example"], "all the others report to them"
    assert _told(_router(), {"person": "hr"}) == ["boss@s.example"]
    only_chief = _router(teams={"security": ["chief@s.example"]})
    assert _told(only_chief, {"person": "chief"}) == ["boss@s.example"], "who is above them"
    assert _told(only_chief, {"person": "boss"}) == [], "nobody is"


def test_two_people_and_the_principal_among_them() -> None:
    assert _told(_router(), {"person": "pim", "user_name": "head"}) == ["vice@s.example"]


def test_a_district_has_routes_of_its_own_before_ours() -> None:
    router = _router(
        Route(("counselor@s.example",), clauses=(3,)),
        Route(("security", "principal"), least="critical", roles=("student",), sites=("north",)),
    )
    assert _told(router, {"person": "pim"}, clause=3) == ["counselor@s.example"]
    assert _told(router, {"person": "pim"}) == ["head@s.example", "vice@s.example"]
    assert _told(router, {"person": "pim"}, severity="critical") == [
        "chief@s.example", "soc@s.example", "head@s.example", "vice@s.example",
    ]  # fmt: skip


RULE = """
title: A refused page
name: refused
level: high
logsource: {category: proxy}
detection: {selection: {event_action: denied}, condition: selection}
aupstream:
  clause: 2
  group-by: [subject]
  examples:
    - name: one
      events: [{kind: proxy, at: 2026-03-02T09:00:00-07:00, event_action: denied, user_name: pim}]
      violations: [{group_key: {subject: pim}}]
falsepositives: [A mistake.]
description: A page was refused.
"""


@contextmanager
def _receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that keeps what it is sent."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_alert_says_to_whom_it_is_to_go() -> None:
    made: list[dict[str, Any]] = []

    def judge(*args: Any) -> Any:
        found = _judge(*args)
        made.extend(dict(v) for v in found)
        return found

    assert all(r.passed for r in run_examples(parse_rules(RULE), judge))
    (record,) = made
    with _receiver() as (url, got):
        stage = NotifyStage(Alerts([Webhook(url, 5)], 1, threading.Event(), Wording(None)), _router())
        stage.handle(Message(VIOLATIONS, 0, 0, encode_record("violation", record), ()))
        stage.close()
    (alert,) = got
    assert alert["recipients"] == ["head@s.example", "vice@s.example"]
    assert (alert["id"], alert["clause"]) == (record["id"], 2)
    assert "pim" not in str(alert["group_key"]), "an alert names nobody"
    assert "evidence" not in alert
