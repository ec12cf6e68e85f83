"""`aupstream rules explain`, and what the list says of every rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Ran, aupstream

RULES = """\
title: Refused pages
name: refused-pages
level: low
correlation:
    type: event_count
    rules: [refused-page]
    group-by: [user_name]
    timespan: 10m
    condition: {gte: 3, lt: 50}
aupstream: {suppress: 1h}
---
title: A page was refused
name: refused-page
level: low
logsource: {category: proxy}
detection:
    refused:
        event_action: denied
        url_domain|endswith: [.example, .test]
    guard_staff: {user_name|startswith: staff}
    guard_game: {proxy_category: games}
    condition: refused and not 1 of guard_*
---
title: Refused again and again
name: refused-again
level: low
correlation:
    type: event_count
    rules: [many-refused]
    group-by: [user_name]
    timespan: 2h
    condition: {gte: 2}
---
title: Two refused
name: many-refused
level: low
correlation:
    type: event_count
    rules: [refused-page]
    group-by: [user_name, url_domain]
    timespan: 1m
    condition: {gte: 2}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    return path


def _page(minute: int, **fields: Any) -> dict[str, Any]:
    usual = {"event_action": "denied", "url_domain": "a.example", "user_name": "Anna"}
    return {"kind": "proxy", "timestamp": f"2026-03-25T10:{minute:02d}:00Z", **usual, **fields}


def _explained(rules: Path, *events: dict[str, Any], rule: str = "refused-pages") -> dict[str, Any]:
    path = rules.with_name("events.jsonl")
    path.write_text("".join(json.dumps(e) + "\n" for e in events))
    ran = aupstream("rules", "explain", rule, path, "--rules", rules, "--json")
    assert ran.code == 0, ran.err
    (found,) = ran.objects
    return found


def test_a_match_names_the_selections_that_decided(rules: Path) -> None:
    (event,) = _explained(rules, _page(0))["events"]
    (verdict,) = event["verdicts"]
    assert verdict["matched"]
    assert dict(verdict["decided"]) == {"refused": True, "guard_staff": False, "guard_game": False}


def test_a_field_that_did_not_fit_is_told_with_what_was_wanted_and_seen(rules: Path) -> None:
    (event,) = _explained(rules, _page(0, url_domain="a.org"))["events"]
    (verdict,) = event["verdicts"]
    refused = verdict["selections"][0]
    assert (verdict["matched"], refused["matched"]) == (False, False)
    assert verdict["decided"] == [["refused", False]]
    item = refused["alternatives"][0][1]
    assert item == {"column": "url_domain", "wanted": "endswith .example or .test", "matched": False, "seen": "a.org"}


def test_a_guard_that_held_is_what_decided(rules: Path) -> None:
    (event,) = _explained(rules, _page(0, user_name="staff7"))["events"]
    assert event["verdicts"][0]["decided"] == [["guard_staff", True]]


def test_missing_fields_are_named(rules: Path) -> None:
    page = {k: v for k, v in _page(0).items() if k != "url_domain"}
    (event,) = _explained(rules, page)["events"]
    assert event["verdicts"][0]["missing"] == ["proxy_category", "url_domain"]


def test_the_window_is_shown_after_every_event(rules: Path) -> None:
    found = _explained(rules, _page(0), _page(4), _page(9), _page(9))
    assert [(s["event"], s["inside"], s["measures"], s["holds"]) for s in found["window"]] == [
        (1, [1], [1.0], False),
        (2, [1, 2], [2.0], False),
        (3, [1, 2, 3], [3.0], True),
        (4, [1, 2, 3, 4], [4.0], True),
    ]
    (violation,) = found["violations"]
    assert violation["count"] == 4
    assert found["why_not"] == []


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([_page(0), _page(1)], "event_count reached 2 of 3"),
        ([_page(0), _page(1), _page(2, user_name="ben")], "the events are of different keys"),
        ([_page(0), _page(1), _page(15)], "had left the window when that of 2026-03-25T10:15:00Z came"),
        ([_page(0), _page(1), _page(2, late=True)], "event 3 matched and is stamped late"),
        ([_page(0), _page(1), _page(2, user_name=None)], "event 3 matched and has no user_name"),
        ([_page(0, event_action="allowed")], "no event matched any of refused-page"),
    ],
)
def test_where_nothing_came_of_it_the_reason_is_told(rules: Path, events: list[dict[str, Any]], why: str) -> None:
    found = _explained(rules, *events)
    assert found["violations"] == []
    assert any(why in sentence for sentence in found["why_not"]), found["why_not"]


def test_a_rule_that_waits_after_an_episode_says_until_when(rules: Path) -> None:
    pages = [_page(minute) for minute in (0, 1, 2, 20, 21, 22)]
    steps = _explained(rules, *pages)["window"]
    assert [s["holds"] for s in steps] == [False, False, True] * 2
    assert [s["waits"] for s in steps] == [None] * 5 + ["2026-03-25T11:10:00Z"]
    told = aupstream("rules", "explain", "refused-pages", rules.with_name("events.jsonl"), "--rules", rules)
    assert "holds, but after the episode before (suppress) none opens until 2026-03-25T11:10:00Z" in told.out


def test_rows_of_a_chain_are_episodes_of_the_rule_before(rules: Path) -> None:
    pages = [_page(0), _page(0), _page(30, url_domain="b.test"), _page(30, url_domain="b.test")]
    found = _explained(rules, *pages, rule="refused-again")
    assert [(s["base"], s["measures"]) for s in found["window"]] == [("many-refused", [1.0]), ("many-refused", [2.0])]
    assert [v["rule_id"] for v in found["violations"]] == ["refused-again"]


def test_what_normalise_prints_is_read_as_it_is(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text(
        "".join(f"Mar 25 10:00:0{n} h sshd[{n}]: Failed password for ada from 10.0.0.9 port 1 ssh2\n" for n in range(8))
        + "Mar 25 10:00:09 h sshd[9]: Accepted password for ada from 10.0.0.9 port 2 ssh2\n"
    )
    events = tmp_path / "events.jsonl"
    events.write_text(aupstream("normalise", "--source", "openssh", "--year", "2026", log).out)
    (found,) = aupstream("rules", "explain", "guessed-password", events, "--json").objects
    assert [s["value"] for s in found["window"]] == [1, 2, 3, 4, 5, 6, 7, 8, 8]
    tested = aupstream("backtest", "--year", "2026", f"openssh:{log}")
    assert [v["id"] for v in found["violations"]] == [v["id"] for v in tested.objects]


def test_a_rule_without_a_window_says_what_its_detection_saw() -> None:
    event = '{"kind": "dhcp", "timestamp": "2026-03-25T10:00:00Z", "source_mac": "00:1c:7e:00:00:01"}'
    (found,) = aupstream("rules", "explain", "new-device", event, "--json").objects
    assert found["window"] == []
    assert [v["base"] for v in found["events"][0]["verdicts"]]


def test_for_people_it_is_told_in_lines(rules: Path) -> None:
    ran = aupstream("rules", "explain", "refused-pages", json.dumps(_page(0)), "--rules", rules)
    assert ran.code == 0
    assert "  refused-page: matches" in ran.out
    assert "      yes event_action: wanted denied, saw denied" in ran.out
    assert "inside [1] event_count 1 of 3, does not hold" in ran.out
    assert ran.out.rstrip().endswith("event_count reached 1 of 3")


def _refused(ran: Ran, said: str) -> bool:
    return ran.code == 4 and not ran.out and said in ran.err and "Traceback" not in ran.err


def test_an_event_that_cannot_be_read_is_named_with_its_line(rules: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps(_page(0)) + "\n" + json.dumps(_page(0, url_domian="x")) + "\n")
    ran = aupstream("rules", "explain", "refused-pages", path, "--rules", rules)
    assert _refused(ran, f"{path}:2: there is no column 'url_domian' in proxy events (did you mean 'url_domain'?)")
    for text, said in (
        ("{", "this is no JSON"),
        ('{"kind": "web"}', "no kind 'web'"),
        ('{"kind": "proxy"}', "no timestamp"),
        (json.dumps(_page(0, user_name=7)), "user_name must be text"),
        (json.dumps(_page(0) | {"timestamp": "noon"}), "is no time"),
    ):
        assert _refused(aupstream("rules", "explain", "refused-pages", text, "--rules", rules), said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(_page(0) | {"timestamp": "noon"}), "timestamp 'noon' is no time"),
        (json.dumps(_page(0) | {"timestamp": 10**22}), "is no time"),
        (json.dumps(_page(0) | {"timestamp": "0001-01-01T00:00:00+14:00"}), "is no time"),
        (json.dumps(_page(0, http_response_status_code=2**31)), "the column holds numbers of 32 bits"),
        (json.dumps(_page(0, http_response_bytes=2**63)), "the column holds numbers of 64 bits"),
        (json.dumps(_page(0, http_response_bytes=1e300)), "the column holds numbers of 64 bits"),
        (json.dumps(_page(0, http_response_status_code=403.7)), "403.7 is no whole number"),
        (json.dumps(_page(0, url_original="\ud800")), "half a character"),
        (json.dumps(_page(0, url_domian="x")), "did you mean 'url_domain'?"),
        ("[" * 100_000, "this is no JSON"),
    ],
    ids=lambda text: text[:40],
)
def test_the_only_event_of_a_file_is_named_with_its_line_too(rules: Path, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text("\n" + text + "\n")
    explained = aupstream("rules", "explain", "refused-pages", path, "--rules", rules)
    judged = aupstream("backtest", "--rules", rules, f"events:{path}")
    for ran in (explained, judged):
        assert _refused(ran, f"{path}:2: ")
        assert said in ran.err


def test_a_detection_is_explained_by_the_rules_that_it_is_a_part_of(rules: Path) -> None:
    said = "is a detection and makes no violations (name the rule that it is a part of: many-refused, refused-pages)"
    ran = aupstream("rules", "explain", "refused-page", "--rules", rules)
    assert ran.code == 3
    assert said in ran.err


def test_without_an_event_the_rule_is_told(rules: Path) -> None:
    ran = aupstream("rules", "explain", "refused-pages", "--rules", rules)
    assert "refused-page: refused and not 1 of guard_*" in ran.out
    assert "event_count ≥ 3 and < 50 in 10m suppress 1h, per user_name" in ran.out


def test_the_list_has_ranges_chains_and_every_attribute(rules: Path) -> None:
    rows = {row.split("\t")[1]: row.split("\t") for row in aupstream("rules", "list", rules).out.splitlines()}
    assert rows["refused-again"][6] == "event_count ≥ 2 in 2h over many-refused"
    assert rows["many-refused"][6].endswith("for the rules over it alone")
    by_id = {r["id"]: r for r in aupstream("rules", "list", rules, "--json").objects}
    assert by_id["refused-pages"]["suppress_s"] == 3600
    assert by_id["refused-again"]["inner"] == ["many-refused"]
    assert by_id["many-refused"]["silent"] is True


PERIODS = """\
title: Pages of a day
name: pages-a-day
level: low
correlation: {type: event_count, rules: [page], group-by: [user_name], timespan: 1d, condition: {gte: 2}}
aupstream: {kind: quota, per: day}
---
title: More pages than before
name: more-than-before
level: low
correlation: {type: event_count, rules: [page], group-by: [user_name], timespan: 1d, condition: {gte: 2}}
aupstream: {kind: spike, spike: {per: day, periods: 2, least: 1, factor: 2}}
---
title: Nobody is there
name: nobody-there
level: low
correlation: {type: event_count, rules: [page], group-by: [user_name], timespan: 1h, condition: {lt: 1}}
aupstream: {kind: absence, expect: [{user_name: anna}]}
---
title: A page
name: page
level: low
logsource: {category: proxy}
detection: {a: {user_name|exists: true}, condition: a}
"""


@pytest.mark.parametrize(
    ("rule", "inside", "values", "holds"),
    [
        ("pages-a-day", [[1], [1, 2], [3], [3, 4]], [1, 2, 1, 2], [False, True, False, True]),
        ("more-than-before", [[1], [1, 2], [3], [3, 4]], [1, 2, 1, 2], [False, False, False, False]),
        ("nobody-there", [[1], [2], [3], [4]], [0, 600, 85_800, 600], [False, False, True, False]),
    ],
)
def test_periods_and_silences_are_told_after_each_event(
    tmp_path: Path, rule: str, inside: list[list[int]], values: list[int], holds: list[bool]
) -> None:
    (tmp_path / "rules.yml").write_text(PERIODS)
    times = [f"2026-03-0{day}T09:{minute}:00Z" for day in (2, 3) for minute in ("00", "10")]
    lines = [json.dumps({"kind": "proxy", "timestamp": t, "user_name": "anna"}) for t in times]
    (tmp_path / "events").write_text("\n".join(lines))
    ran = aupstream("rules", "explain", rule, tmp_path / "events", "--rules", tmp_path / "rules.yml", "--json")
    assert ran.code == 0, ran.err
    steps = ran.objects[0]["window"]
    assert [s["inside"] for s in steps] == inside
    assert [s["value"] for s in steps] == values
    assert [s["holds"] for s in steps] == holds
