"""How much of the policy could be watched: the figures, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from agents.context.calendar import Calendar
from agents.rules.examples import frame_of
from agents.rules.loader import load_rules
from infra.coverage.figures import ClauseDay, Filled, Hour, clause_days, days_between, source_days
from infra.coverage.measured import Measured
from schemas.kinds import EventKind

ZONE = ZoneInfo("America/Denver")
CALENDAR = Calendar(ZONE)
DAYS = days_between(date(2026, 3, 2), date(2026, 3, 8))  # Monday to Sunday, on which clocks go forward
SOURCES = {"squid": EventKind.PROXY, "dhcp": EventKind.DHCP, "radius": EventKind.LOGIN}


def _hours(source: str, day: date, hours: Sequence[int], events: int = 10, late: int = 0) -> list[Hour]:
    kind = SOURCES[source]
    return [Hour(source, kind, datetime(day.year, day.month, day.day, h, tzinfo=ZONE), events, late) for h in hours]


def _week() -> list[Hour]:
    school = [h for day in DAYS[:5] for name in SOURCES for h in _hours(name, day, range(8, 16))]
    return school + [h for day in DAYS[5:] for h in _hours("dhcp", day, [3, 12])]


def _of(found: Sequence[ClauseDay], clause: int, day: date) -> ClauseDay:
    (one,) = [c for c in found if (c.clause, c.day) == (clause, day)]
    return one


def _clauses(hours: Sequence[Hour], unread: dict[str, float] | None = None) -> list[ClauseDay]:
    days = source_days(hours, SOURCES, DAYS, CALENDAR, unread or {})
    return clause_days(load_rules(), days, DAYS)


def test_a_week_of_which_nothing_is_missing_is_seen_whole_and_a_kind_without_source_not_at_all() -> None:
    found = _clauses(_week())
    assert _of(found, 2, DAYS[0]) == ClauseDay(2, DAYS[0], 1.0, ("proxy",), ())
    assert _of(found, 8, DAYS[6]).figure == 1.0, "the usual hours of such a day, also where one of them is skipped"
    assert _of(found, 11, DAYS[0]) == ClauseDay(11, DAYS[0], 0.0, ("mail",), ("no source of mail logs",))
    assert {c.clause for c in found} == set(range(1, 14))


def test_hours_that_are_missing_late_events_and_lines_that_cannot_be_read_show() -> None:
    hours = [h for h in _week() if (h.source, h.start.day) != ("squid", 4) or h.start.hour < 14]
    hours = [h for h in hours if (h.source, h.start.day) != ("squid", 5)]
    hours += _hours("squid", DAYS[3], range(8, 16), events=8, late=2)
    found = _clauses(hours, {"squid": 0.5})
    assert [_of(found, 2, day).figure for day in DAYS[:5]] == [0.5, 0.5, 0.5 * 6 / 8, 0.5 * 0.75, 0.5]
    assert _of(found, 2, DAYS[2]).lacks == ("squid: 2 of 8 hours are empty, 50.0% of the lines could not be read",)
    assert "16 of 64 events were late" in _of(found, 2, DAYS[3]).lacks[0]


def test_a_day_on_which_a_source_was_silent_is_blind() -> None:
    found = _clauses([h for h in _week() if (h.source, h.start.day) != ("squid", 5)])
    assert _of(found, 2, DAYS[3]) == ClauseDay(2, DAYS[3], 0.0, ("proxy",), ("squid: nothing came",))
    assert _of(found, 2, DAYS[2]).figure == 1.0


def test_a_clause_is_the_mean_of_its_rules_and_a_rule_the_least_of_its_kinds() -> None:
    found = _clauses([h for h in _week() if (h.source, h.start.day) != ("dhcp", 3)])
    both = [rule for rule in load_rules().rules if rule.clause == 12 and not rule.silent]
    assert all(rule.kinds == {EventKind.PROXY} for rule in both)
    assert _of(found, 12, DAYS[1]).figure == 1.0
    assert (_of(found, 8, DAYS[1]).figure, _of(found, 8, DAYS[0]).figure) == (0.0, 1.0)


def test_what_is_usual_is_known_from_the_weeks_before() -> None:
    short = [h for h in _week() if (h.source, h.start.day) != ("squid", 6) or h.start.hour < 10]
    friday = DAYS[4:5]
    alone = source_days(short, SOURCES, friday, CALENDAR, {})
    known = source_days(short, SOURCES, friday, CALENDAR, {}, DAYS[:4])
    assert [d.figure for days in (alone, known) for d in days if d.source == "squid"] == [1.0, 2 / 8]
    assert [d.lacks for d in known if d.source == "squid"] == ["squid: 6 of 8 hours are empty"]
    assert {d.day for d in known} == set(friday)


def _of_rule(name: str, silent: str, filled: Filled) -> ClauseDay:
    """The rule's clause on Monday, as if it had no other rule, while a source is silent."""
    hours = [h for h in _week() if (h.source, h.start.day) != (silent, 2)]
    rules = load_rules()
    alone = replace(rules, rules=tuple(rule for rule in rules.rules if rule.id == name or rule.silent))
    (found,) = clause_days(alone, source_days(hours, SOURCES, DAYS, CALENDAR, {}), DAYS[:1], filled)
    return found


def test_a_rule_about_a_person_or_a_device_is_blind_without_leases_unless_events_name_them() -> None:
    for name, source, column in (("personal-time", "squid", "user_name"), ("shared-device", "radius", "source_mac")):
        assert (_of_rule(name, "", {}).figure, _of_rule(name, "dhcp", {}).figure) == (1.0, 0.0)
        blind = _of_rule(name, "dhcp", {(source, DAYS[0]): {column: 0.25}})
        assert _of_rule(name, "", {(source, DAYS[0]): {column: 0.0}}).figure == 1.0, "leases say all of them"
        assert (blind.figure, "dhcp" in blind.needs, blind.lacks) == (0.25, True, ("dhcp: nothing came",))
    assert _of_rule("adult-pages", "dhcp", {}).needs == ("proxy",), "an address is enough"


def test_a_clause_is_blind_on_a_day_none_of_whose_events_has_what_its_rule_is_kept_by() -> None:
    mail = [Hour("mx", EventKind.MAIL, h.start, 10, 0) for h in _week() if h.source == "squid"]
    hours, sources = [*_week(), *mail], SOURCES | {"mx": EventKind.MAIL}
    days = source_days(hours, sources, DAYS, CALENDAR, {})
    for column, clause, rule in (
        ("email_attachment_name", 10, "attachment-passed-on"),
        ("email_subject_hash", 5, "soliciting"),
    ):
        seen = [
            _of(clause_days(load_rules(), days, DAYS, {("mx", DAYS[0]): {column: share}}), clause, day)
            for share, day in ((0.0, DAYS[0]), (0.1, DAYS[0]), (0.0, DAYS[1]))
        ]
        assert [one.figure for one in seen] == [0.0, 1.0, 1.0]
        assert seen[0].lacks == (f"mx: no event has {column} (for {rule})",)


def test_lines_that_could_not_be_read_count_on_their_own_day() -> None:
    found = source_days(_week(), SOURCES, DAYS, CALENDAR, {"squid": 0.5}, (), {("squid", DAYS[1]): 80})
    assert [d.figure for d in found if d.source == "squid"][:3] == [0.5, 0.25, 0.5], "as many as could be"


def _of_two_proxies(**missing: float) -> dict[str, ClauseDay]:
    """Clauses on Monday of one rule each, where one of two proxies lacks columns."""
    sources = SOURCES | {"firewall": EventKind.PROXY}
    hours = [*_week(), *(replace(h, source="firewall") for h in _week() if h.source == "squid")]
    days, rules = source_days(hours, sources, DAYS, CALENDAR, {}), load_rules()
    found = {}
    for name in ("loaded-programs", "adult-pages", "file-sharing", "filter-bypass", "personal-volume"):
        alone = replace(rules, rules=(rules.rule(name),))
        (found[name],) = clause_days(alone, days, DAYS[:1], {("firewall", DAYS[0]): missing})
    return found


def test_a_rule_is_blind_in_a_source_that_cannot_show_what_it_needs_and_the_source_is_told() -> None:
    silent = _of_two_proxies(http_response_status_code=0.0, http_response_bytes=0.0)
    assert {name: one.figure for name, one in silent.items()} == {
        "loaded-programs": 0.5, "adult-pages": 1.0, "file-sharing": 1.0, "filter-bypass": 1.0, "personal-volume": 0.5,
    }  # fmt: skip
    told = "firewall: no event has http_response_status_code or http_response_bytes of 100000 or more"
    assert silent["loaded-programs"].lacks == (f"{told} (for loaded-programs)",)
    assert _of_two_proxies(http_response_status_code=0.0, http_response_bytes=0.1)["loaded-programs"].figure == 1.0
    names = _of_two_proxies(http_request_method=0.0, url_original=0.0)
    assert [names[n].figure for n in ("adult-pages", "file-sharing", "filter-bypass")] == [0.5, 1.0, 1.0]
    nobody = _of_two_proxies(http_request_method=0.0, url_original=0.0, user_agent_original=0.0)
    assert nobody["filter-bypass"].figure == 0.5, "neither pages nor tools"


def test_a_part_of_an_order_may_be_seen_in_one_source_and_another_in_the_next() -> None:
    sources = {"gateway": EventKind.MAIL, "inside": EventKind.MAIL}
    hours = [replace(h, source=name, kind=EventKind.MAIL) for h in _week() if h.source == "squid" for name in sources]
    rules = load_rules()
    alone = replace(rules, rules=(rules.rule("attachment-passed-on"),))
    none: dict[str, float] = {"email_to_status": 0.0}
    for gateway, inside, figure in (({}, none, 1.0), (none, none, 0.0)):
        days = source_days(hours, sources, DAYS, CALENDAR, {})
        filled: Filled = {("gateway", DAYS[0]): gateway, ("inside", DAYS[0]): inside}
        (found,) = clause_days(alone, days, DAYS[:1], filled)
        assert (found.figure, len(found.lacks)) == (figure, 2 * (figure == 0.0))


def test_what_a_source_cannot_show_is_measured_while_its_events_are_read() -> None:
    measured = Measured(load_rules())
    page = {"log_source": "firewall", "url_original": "https://a.example/", "url_domain": "a.example"}
    loaded = {"url_extension": "exe", "http_response_bytes": 0, "source_ip": "10.1.0.7"}
    squid = page | loaded | {"log_source": "squid", "http_response_status_code": 200}
    measured.take(EventKind.PROXY, frame_of(EventKind.PROXY, []))
    measured.take(EventKind.PROXY, frame_of(EventKind.PROXY, [page, squid, page | loaded]))
    blind = measured.blind_spots()
    said = "firewall: no event has http_response_status_code or http_response_bytes of 100000 or more"
    assert blind["loaded-programs"] == [said]
    assert len(blind["personal-volume"]) == 2, "both, so far"
    assert "adult-pages" not in blind
    measured.take(EventKind.PROXY, frame_of(EventKind.PROXY, [page | {"http_response_bytes": 100_000}]))
    assert "loaded-programs" not in measured.blind_spots()
    assert measured.blind_spots()["personal-volume"] == ["squid: no event has http_response_bytes of 100000 or more"]
