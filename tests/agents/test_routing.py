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
from agents.context.maillists import MailLists
from agents.context.roster import Roster
from agents.delivery.notify import NotifyStage
from agents.delivery.stage import Message
from agents.rules.examples import run_examples
from agents.rules.loader import POLICY_FOLDER, load_rules, parse_rules
from schemas.errors import Errors
from schemas.kinds import VIOLATIONS
from schemas.records import decode_record, encode_record
from tests.rules.test_examples import _judge

MAC, PIMS, CHIEFS = "3c:52:82:00:00:01", "3c:52:82:00:00:03", "3c:52:82:00:00:04"
DEVICES = [Device(MAC, "Anna"), Device("3c:52:82:00:00:02"), Device(PIMS, "pim"), Device(CHIEFS, "chief@s.example")]
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
    return Router(DISTRICT, Inventory.of(DEVICES), routes, teams)


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
        ({"source_mac": MAC}, ["chief@s.example", "soc@s.example"]),
        ({"subject": MAC}, ["chief@s.example", "soc@s.example"]),
        ({"source_mac": PIMS}, ["head@s.example", "vice@s.example"]),
        ({"source_mac": CHIEFS}, ["soc@s.example"]),
        ({"person": "anna", "source_mac": PIMS}, ["head@s.example", "hr@s.example"]),
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


def test_a_victim_is_no_culprit_and_may_be_told() -> None:
    violation = {"group_key": {"user_name": "anna"}, "clause": 13, "severity": "high", "about": "victim"}
    own = _router(Route(("supervisor", "personnel"), clauses=(13,)))
    assert [r.address for r in own.route(violation).recipients] == TEAMS["security"]
    guard = {**violation, "group_key": {"user_name": "chief"}}
    assert [r.address for r in own.route(guard).recipients] == TEAMS["security"]


def test_what_a_rule_says_of_the_victim_is_with_the_violation() -> None:
    rules = {rule.id: rule.about for rule in load_rules((POLICY_FOLDER,)).rules}
    assert {name for name, about in rules.items() if about} == {"guessed-password"}
    with pytest.raises(Errors, match="about 'suspect' is not known"):
        parse_rules(RULE + "  about: suspect\n")
    (record,) = _records(RULE + "  about: victim\n")
    _, back = decode_record(encode_record("violation", record))
    assert back["about"] == "victim"


WITHOUT_MAIL = Roster.parse(
    "account,roles,site,supervisor\nsue,security,office,chief\nchief,security,office,\nanna,teacher,north,\ntim,it,office,\n",
    "r.csv",
)


def _bare(teams: dict[str, list[str]], *routes: Route, lists: str = "", roster: Roster = WITHOUT_MAIL) -> Router:
    known = MailLists.parse(f"address,owners,size,members\n{lists}", "lists.csv")
    district = District.of("S", "UTC", ["s.example"]).knowing(roster, lists=known)
    return Router(district, Inventory.none(), routes, teams)


@pytest.mark.parametrize("roster", [WITHOUT_MAIL, Roster()])
@pytest.mark.parametrize("address", ["sue@s.example", "Sue+aup@s.example", "SUE@mail.s.example"])
@pytest.mark.parametrize("column", ["person", "subject", "who", "email_from_address"])
def test_an_address_that_only_the_account_is_known_of_is_its_holders(roster: Roster, address: str, column: str) -> None:
    router = _bare({"security": [address, "other@s.example"]}, roster=roster)
    assert _told(router, {column: "sue"}) == ["other@s.example"]
    assert _told(router, {column: "10.0.0.9"}) == [address.lower(), "other@s.example"]


def test_a_mailing_list_is_told_as_one_unless_it_reaches_whom_it_is_about() -> None:
    lists = "soc@s.example,,,sue@s.example;night@s.example\nnight@s.example,,,tim@s.example;chief@s.example\n"
    router = _bare({"security": ["soc@s.example"]}, lists=lists)
    assert _told(router, {"person": "sue"}) == ["tim@s.example", "chief@s.example"]
    assert _told(router, {"person": "chief"}) == ["tim@s.example"], "sue reports to chief"
    assert _told(router, {"subject": "10.0.0.9"}) == ["soc@s.example"]
    counted = _bare({"security": ["soc@s.example"]}, lists="soc@s.example,,3,sue@s.example;tim@s.example\n")
    assert _told(counted, {"person": "sue"}) == ["tim@s.example"], "one more is a number, and no address"


def test_an_address_that_nobody_knows_stands_back_where_it_may_be_the_accuseds() -> None:
    lists = "night@s.example,,,tim@s.example\n"
    safe = _bare({"security": ["night@s.example"]}, Route(("soc@s.example",), clauses=(2,)), lists=lists)
    assert _told(safe, {"person": "sue"}) == ["night@s.example"]
    assert _told(safe, {"subject": "10.0.0.9"}) == ["soc@s.example"]
    team = _bare({"security": ["soc@s.example", "night@s.example"]}, lists=lists)
    assert _told(team, {"person": "sue"}) == ["night@s.example"]
    assert _told(team, {"person": "anna"}) == ["soc@s.example", "night@s.example"], "a teacher is none of that team"
    only = _bare({"security": ["soc@s.example"]})
    assert _told(only, {"person": "sue"}) == ["soc@s.example"], "better than nobody"


RULE = """
title: A refused page
name: refused
level: high
falsepositives: [A mistake.]
description: A page was refused.
logsource: {category: proxy}
detection: {selection: {event_action: denied}, condition: selection}
aupstream:
  clause: 2
  group-by: [subject]
  examples:
    - name: one
      events: [{kind: proxy, at: 2026-03-02T09:00:00-07:00, event_action: denied, user_name: pim}]
      violations: [{group_key: {subject: pim}}]
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


def _records(text: str) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def judge(*args: Any) -> Any:
        found = _judge(*args)
        made.extend(dict(v) for v in found)
        return found

    assert all(r.passed for r in run_examples(parse_rules(text), judge))
    return made


def test_an_alert_says_to_whom_it_is_to_go() -> None:
    (record,) = _records(RULE)
    with _receiver() as (url, got):
        stage = NotifyStage(Alerts([Webhook(url, 5)], 1, threading.Event(), Wording(None)), _router())
        stage.handle(Message(VIOLATIONS, 0, 0, encode_record("violation", record), ()))
        stage.close()
    (alert,) = got
    assert alert["recipients"] == ["head@s.example", "vice@s.example"]
    assert (alert["id"], alert["clause"]) == (record["id"], 2)
    assert "pim" not in str(alert["group_key"]), "an alert names nobody"
    assert "evidence" not in alert
