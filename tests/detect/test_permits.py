"""What a permission covers, judged by the rules that the product comes with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from agents.context.authority import objection
from agents.context.categories import Categories
from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.permit import Act
from agents.context.permitfile import hours_of_week
from agents.context.permitlog import LivePermits
from agents.context.permits import COLUMNS, OPTIONAL, Permits
from agents.context.roster import Roster
from agents.context.whose import every_name
from agents.engine.episodes import Judge
from agents.engine.pipeline import run
from agents.rules.examples import frame_of
from agents.rules.loader import POLICY_FOLDER, load_rules, parse_rules
from agents.rules.model import RuleSet
from schemas.errors import Errors
from schemas.kinds import EventKind

NINE = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)  # 9:00 in Denver
PEOPLE = """account,roles,mail,site,supervisor,active
head,principal,head@school.example,north,,
other,principal,other@school.example,south,,
chief,superintendent,chief@school.example,,,
gone,principal,gone@school.example,north,,no
coach,teacher,coach@school.example,north,head,
band,teacher,band@school.example,north,coach,
kid,student,kid@school.example,north,,
it1,it,it1@school.example,,chief,
"""
DISTRICT = District.of("Example", "America/Denver", ["school.example"]).knowing(Roster.parse(PEOPLE, "roster.csv"))
PERMIT = {
    "who": "coach", "clause": "11", "from": "2026-03-02T08:00", "to": "2026-03-02T12:00", "granted_by": "head",
    "reason": "season opening",
}  # fmt: skip


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules((POLICY_FOLDER / "clause-11",))


def _permits(*given: Mapping[str, str]) -> Permits:
    names = (*COLUMNS, *OPTIONAL)
    rows = [",".join(names), *(",".join(f'"{({**PERMIT, **one}).get(n, "")}"' for n in names) for one in given)]
    return Permits.parse("\n".join(rows), "permits.csv", DISTRICT)


def _mail(
    minutes: float, people: int, *, sender: str = "coach", typed: str = "", beside: int = 0, number: int = 0
) -> dict[str, Any]:
    """A message to so many people by a list (`typed`), and to some `beside` it by their own address."""
    way = [typed] * people + [""] * beside
    people += beside
    at = NINE + timedelta(minutes=minutes)
    return {
        "timestamp": at, "email_message_id": f"{minutes}-{number}@school.example",
        "email_from_address": f"{sender}@school.example",
        "email_to_address": [f"p{number}-{i}@school.example" for i in range(people)],
        "email_to_original_address": way, "email_to_status": ["sent"] * people,
        "email_to_filter": [False] * people, "email_complete": True,
        "event_id": f"{int(at.timestamp()):026x}{number:06x}", "log_source": "mail", "late": False,
        "time_suspect": False, "log_generation": "0" * 16, "log_offset": int(minutes * 60), "log_sub": 0,
        "log_hash": "0" * 32, "event_dataset": "postfix", "email_to_dsn": [""] * people,
        "email_to_relay": [""] * people, "email_to_attempts": [1] * people,
    }  # fmt: skip


def _judged(rules: RuleSet, permits: Permits, *mails: Mapping[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
    frame: pl.DataFrame = frame_of(EventKind.MAIL, mails)
    found = run(rules, DISTRICT, Inventory.none(), Judge(permits), [(EventKind.MAIL, frame)])
    found = [v for v in found if v["rule_id"] == "mass-mail"]
    return [(v["status"], None if v["permit"] is None else json.loads(v["permit"])) for v in found]


def _one(rules: RuleSet, permits: Permits, *mails: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    ((status, permit),) = _judged(rules, permits, *mails)
    assert permit is not None
    return status, permit


def test_a_permit_that_covers_exactly_makes_it_permitted_and_is_cited(rules: RuleSet) -> None:
    status, permit = _one(rules, _permits({"recipients": "60", "list": ""}), _mail(0, 60))
    assert (status, permit["granted_by"], permit["recipients"]) == ("permitted", "head", 60)
    assert not {"refused", "outside", "exceeded"} & permit.keys()


def test_one_recipient_more_than_granted_is_a_violation_that_says_so(rules: RuleSet) -> None:
    status, permit = _one(rules, _permits({"recipients": "60"}), _mail(0, 61))
    assert (status, permit["exceeded"]) == ("violation", "61 in place of 60")


def test_a_permit_that_covers_part_of_the_time_is_cited_by_the_violation(rules: RuleSet) -> None:
    status, permit = _one(rules, _permits({"to": "2026-03-02T09:30"}), _mail(29, 60), _mail(31, 60, number=1))
    assert (status, permit["outside"]) == ("violation", 60)


def test_a_minute_after_its_end_a_permit_is_cited_and_counts_for_nothing(rules: RuleSet) -> None:
    permits = _permits({"to": "2026-03-02T09:00"})
    status, permit = _one(rules, permits, _mail(1, 60))
    assert (status, permit["refused"]) == ("violation", "it had ended")
    assert _judged(rules, permits, _mail(2 * 24 * 60, 60)) == [("violation", None)]


def test_a_permit_that_was_revoked_half_way_covers_what_was_done_before(rules: RuleSet) -> None:
    revoked = _permits({"revoked": "2026-03-02T10:00", "revoked_by": "head", "revoked_reason": "enough"})
    before, after = _judged(rules, revoked, _mail(0, 60), _mail(150, 60, number=1))
    assert (before[0], after[0]) == ("permitted", "violation")
    assert after[1] is not None
    assert after[1]["refused"] == "it had been revoked"
    assert after[1]["revoked"] == {"at": "2026-03-02T17:00:00Z", "by": "head", "reason": "enough"}


@pytest.mark.parametrize(
    ("granter", "why"),
    [
        ("head", ""),
        ("head@school.example", ""),
        ("chief", ""),
        ("coach", "who granted it is who is permitted"),
        ("band", "who granted it is no supervisor of who is permitted"),
        ("other", "who granted it is no supervisor of who is permitted"),
        ("kid", "who granted it is a student"),
        ("head@elsewhere.example", "who granted it is nobody in the roster"),
        ("gone", "who granted it has left"),
        ("nobody", "who granted it is nobody in the roster"),
    ],
)
def test_a_permit_counts_only_if_a_supervisor_granted_it(rules: RuleSet, granter: str, why: str) -> None:
    status, permit = _one(rules, _permits({"granted_by": granter}), _mail(0, 60))
    assert (status, permit.get("refused", "")) == ("violation" if why else "permitted", why)


def test_a_permit_that_counts_stands_before_one_that_does_not(rules: RuleSet) -> None:
    permits = _permits({"granted_by": "band", "to": "2026-03-09"}, {"recipients": "50"}, {"recipients": "70"})
    assert _one(rules, permits, _mail(0, 60)) == ("permitted", {**permits.permits[2].record()})


@pytest.mark.parametrize(
    ("scope", "mail", "status"),
    [
        ({"list": "Parents@school.example"}, _mail(0, 60, typed="parents@school.example"), "permitted"),
        ({"list": "parents@school.example"}, _mail(0, 60, typed="staff@school.example"), "violation"),
        ({"list": "parents@school.example"}, _mail(0, 60), "violation"),
        ({"list": "parents@school.example"}, _mail(0, 59, typed="parents@school.example", beside=1), "violation"),
        ({"rule": "mass-mail"}, _mail(0, 60), "permitted"),
        ({"rule": "soliciting"}, _mail(0, 60), "violation"),
        ({"hours": "Mon-Fri 08:30-09:30"}, _mail(0, 60), "permitted"),
        ({"hours": "Tue-Fri 08:30-09:30"}, _mail(0, 60), "violation"),
        ({"hours": "Mon 09:30-10:00"}, _mail(0, 60), "violation"),
    ],
)
def test_a_permit_goes_as_far_as_its_scope(
    rules: RuleSet, scope: Mapping[str, str], mail: Mapping[str, Any], status: str
) -> None:
    assert _one(rules, _permits(scope), mail)[0] == status


def test_a_permit_for_a_device_or_a_category_asks_what_was_done() -> None:
    at = int(NINE.timestamp() * 1e6)
    row = '{"source_mac":"3c:52:82:00:00:01","proxy_category":"Adult Content","url_domain":"health.example"}'

    def covers(scope: Mapping[str, str], shown: str) -> bool:
        found = _permits({"clause": "2", **scope}).covering(["coach"], 2, at, Act("adult-pages", shown))
        return found is not None and "refused" not in found

    assert covers({"device": "3C-52-82-00-00-01"}, row)
    assert not covers({"device": "3C-52-82-00-00-02"}, row)
    assert not covers({"device": "3C-52-82-00-00-01"}, "{}")
    assert covers({"category": "adult"}, row)
    assert covers({"category": "Adult content"}, row)
    assert not covers({"category": "news"}, row)


def test_hours_of_the_week_may_run_over_midnight_and_over_sunday() -> None:
    hours = hours_of_week("Sat-Sun 22:00-02:00")
    assert hours is not None
    assert hours.holds(datetime(2026, 3, 7, 23, 0))  # noqa: DTZ001 - a wall clock, Saturday
    assert hours.holds(datetime(2026, 3, 9, 1, 59))  # noqa: DTZ001 - Monday, of Sunday's
    assert not hours.holds(datetime(2026, 3, 9, 22, 0))  # noqa: DTZ001
    assert not hours.holds(datetime(2026, 3, 7, 1, 0))  # noqa: DTZ001 - Saturday, of Friday's


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"recipients": "many"}, "`recipients` 'many' is no number"),
        ({"device": "laptop"}, "`device` 'laptop' is no MAC address"),
        ({"hours": "Monday"}, "`hours` 'Monday' are none"),
        ({"hours": "Mon-Sup 08:00-09:00"}, "are none"),
        ({"recorded": "yesterday"}, "`recorded` 'yesterday'"),
        ({"revoked": "soon"}, "`revoked` 'soon'"),
    ],
)
def test_a_wrong_scope_is_told_with_its_line(wrong: Mapping[str, str], says: str) -> None:
    with pytest.raises(Errors) as raised:
        _permits(wrong)
    assert says in str(raised.value)
    assert [e.where for e in raised.value.errors] == ["permits.csv:2"]


def test_two_permits_of_one_id_are_refused() -> None:
    with pytest.raises(Errors, match=r"stands at permits\.csv:2 already"):
        _permits({"id": "p1"}, {"id": "p1"})


def test_nobody_permits_their_own_supervisor_anything() -> None:
    roster = Roster.parse(
        "account,roles,site,supervisor\nchief,superintendent,,\nhead,principal,north,chief\ndeputy,principal,north,head\n",
        "roster.csv",
    )
    district = District.of("Example", "UTC", ["school.example"]).knowing(roster)
    said = {(a, b): objection(district, a, b) for a in roster.people for b in roster.people if a != b}
    assert {pair for pair, why in said.items() if not why} == {
        ("chief", "head"),
        ("chief", "deputy"),
        ("head", "deputy"),
    }


def test_a_record_that_cannot_be_read_stops_nobody() -> None:
    good = {"action": "grant", "id": "a", **PERMIT}
    bad = {"action": "grant", "id": "b", **PERMIT, "clause": "eleven"}
    book = LivePermits(_permits(), lambda: records)
    records = (bad, {"action": "revoke", "id": "c", "at": "2026-03-02"}, good)
    found = book.covering(["coach"], 11, int(NINE.timestamp() * 1e6), Act())
    assert found is not None
    assert (found["id"], "refused" in found) == ("a", False)


def _same(found: Sequence[object]) -> bool:
    return len(set(map(str, found))) == 1


def test_the_order_of_the_file_changes_nothing(rules: RuleSet) -> None:
    given = ({"granted_by": "band"}, {"recipients": "70"}, {"to": "2026-03-02T09:00"})
    assert _same([_judged(rules, _permits(*given[i:], *given[:i]), _mail(0, 60)) for i in range(3)])


SPELLED = District.of("Example", "America/Denver", ["school.example"]).knowing(
    Roster.parse(
        "account,roles,mail,site,supervisor\n"
        "head,principal,,north,\n"
        "jsmith,teacher,john.smith@school.example;js@home.example,north,head\n"
        "smith.j,teacher,jsmith@school.example,north,head\n",
        "roster.csv",
    )
)


@pytest.mark.parametrize("who", ["jsmith", "JSmith", "john.smith@school.example", "John.Smith", "js@home.example"])
@pytest.mark.parametrize("asked", ["jsmith", "john.smith@school.example", "john.smith+trip@school.example"])
def test_a_permit_is_its_holders_however_each_of_them_is_written(who: str, asked: str) -> None:
    book = replace(_permits({"who": who}), district=SPELLED)
    found = book.covering([asked], 11, int(NINE.timestamp() * 1e6), Act())
    assert found is not None
    assert "refused" not in found


@pytest.mark.parametrize("asked", ["smith.j", "jsmith@school.example", "john.smith@elsewhere.example", "head"])
def test_a_permit_is_nobody_elses_who_is_called_like_its_holder(asked: str) -> None:
    book = replace(_permits({"who": "jsmith"}), district=SPELLED)
    assert book.covering([asked], 11, int(NINE.timestamp() * 1e6), Act()) is None


def test_what_is_judged_again_for_a_permit_is_all_that_its_holder_goes_by() -> None:
    assert every_name(SPELLED, "jsmith") == {"jsmith", "john.smith@school.example", "js@home.example"}
    assert every_name(SPELLED, "john.smith+trip@school.example") >= {"jsmith", "john.smith@school.example"}


def _solicited(permits: Permits, people: int, *, typed: str = "", beside: int = 0) -> tuple[str, dict[str, Any]]:
    """A page that collects money, and a message an hour later."""
    page = {
        "timestamp": NINE - timedelta(hours=1), "user_name": "coach", "http_request_method": "CONNECT",
        "url_domain": "give.example", "http_response_status_code": 200, "event_id": "f" * 32, "log_source": "proxy",
        "late": False, "time_suspect": False, "log_generation": "0" * 16, "log_offset": 0, "log_sub": 0,
        "log_hash": "0" * 32, "event_dataset": "squid",
    }  # fmt: skip
    mail = _mail(0, people, typed=typed, beside=beside) | {"email_subject_hash": "aa"}
    events = [(EventKind.PROXY, frame_of(EventKind.PROXY, [page])), (EventKind.MAIL, frame_of(EventKind.MAIL, [mail]))]
    giving = Categories.of({"fundraising": ["give.example"]})
    district = replace(DISTRICT, categories=giving)
    rules = load_rules((POLICY_FOLDER / "clause-05",))
    (found,) = run(rules, district, Inventory.none(), Judge(replace(permits, district=district)), events)
    assert found["permit"] is not None
    return found["status"], json.loads(found["permit"])


@pytest.mark.parametrize(("people", "status"), [(30, "permitted"), (31, "violation"), (300, "violation")])
def test_a_limit_is_held_against_what_the_chain_counted_and_not_against_its_length(people: int, status: str) -> None:
    found, permit = _solicited(_permits({"clause": "5", "recipients": "30"}), people)
    assert found == status
    assert permit.get("exceeded") == (None if people == 30 else f"{people} in place of 30")


@pytest.mark.parametrize(
    ("typed", "beside", "status"),
    [
        ("parents@school.example", 0, "permitted"),
        ("parents@school.example", 1, "violation"),
        ("staff@school.example", 0, "violation"),
        ("", 0, "violation"),
    ],
)
def test_a_list_is_asked_of_the_mail_of_a_chain_and_not_of_its_pages(typed: str, beside: int, status: str) -> None:
    permits = _permits({"clause": "5", "list": "parents@school.example"})
    assert _solicited(permits, 40, typed=typed, beside=beside)[0] == status


@pytest.mark.parametrize(("category", "status"), [("fundraising", "permitted"), ("news", "violation")])
def test_a_category_is_asked_of_the_pages_of_a_chain_and_not_of_its_mail(category: str, status: str) -> None:
    assert _solicited(_permits({"clause": "5", "category": category}), 40)[0] == status


def test_a_limit_covers_nothing_that_cannot_be_held_against_it() -> None:
    mails = [_mail(0, 1), _mail(5, 1, number=1)]
    rule = """
title: Two mails
name: two
level: low
description: Two mails.
falsepositives: [Anything.]
correlation: {type: temporal, rules: [one, other], group-by: [email_from_address], timespan: 1h}
aupstream: {clause: 11}
---
title: One
name: one
logsource: {category: email}
detection: {s: {sender_internal: true}, condition: s}
---
title: Other
name: other
logsource: {category: email}
detection: {s: {email_from_address: coach@school.example}, condition: s}
"""
    frame = frame_of(EventKind.MAIL, mails)
    given = [_permits({"recipients": "80"}), _permits({})]
    found = [run(parse_rules(rule), DISTRICT, Inventory.none(), Judge(p), [(EventKind.MAIL, frame)])[0] for p in given]
    assert [v["status"] for v in found] == ["violation", "permitted"]
    assert "two counts nothing" in json.loads(found[0]["permit"])["unmeasured"]
