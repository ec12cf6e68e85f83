"""Modifiers of values, each against what it says in plain Python."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.rules.compiled import Compiled
from agents.rules.examples import frame_of
from agents.rules.explain import explain
from agents.rules.loader import parse_rules
from schemas.kinds import EventKind


def _matches(selection: dict[str, Any], row: dict[str, Any], kind: EventKind = EventKind.PROXY) -> bool:
    """What a rule of one selection says of one event."""
    rule = {"title": "t", "name": "drawn", "logsource": {"category": kind.value}, "level": "low"}
    text = json.dumps(rule | {"detection": {"s": selection, "condition": "s"}})
    expression = parse_rules(text).detection("drawn").expression
    assert isinstance(expression, Compiled)
    return frame_of(kind, [row]).filter(expression.exact).height == 1


PLAIN = st.text(st.sampled_from("abcXYZ09 /:é-"), min_size=3, max_size=12)
BYTES = st.binary(max_size=7)


@given(BYTES, PLAIN, BYTES)
def test_an_encoded_value_is_found_at_whatever_offset_it_was_encoded(before: bytes, value: str, after: bytes) -> None:
    encoded = b64encode(before + value.encode() + after).decode()
    assert _matches({"c-uri|base64offset|contains": value}, {"url_original": f"http://x/?{encoded}"})


@given(BYTES, PLAIN.filter(str.isascii), BYTES)  # pySigma's `wide` is for ASCII alone
def test_an_encoded_wide_value_is_found_at_whatever_offset_it_was_encoded(
    before: bytes, value: str, after: bytes
) -> None:
    encoded = b64encode(before + value.encode("utf-16-le") + after).decode()
    assert _matches({"c-uri|wide|base64offset|contains": value}, {"url_original": encoded})


@given(PLAIN, PLAIN)
def test_base64_is_the_whole_of_the_encoded_value(value: str, other: str) -> None:
    selection = {"c-uri|base64": value}
    assert _matches(selection, {"url_original": b64encode(value.encode()).decode()})
    encoded = b64encode(other.encode()).decode()
    assert _matches(selection, {"url_original": encoded}) == (
        encoded.lower() == b64encode(value.encode()).decode().lower()
    )


@pytest.mark.parametrize(
    ("modifier", "encode"),
    [
        ("utf16le", lambda text: text.encode("utf-16-le")),
        ("wide", lambda text: text.encode("utf-16-le")),
        ("utf16be", lambda text: text.encode("utf-16-be")),
        ("utf16", lambda text: b"\xff\xfe" + text.encode("utf-16-le")),
    ],
)
def test_wide_encodings_are_those_of_their_names(modifier: str, encode: Callable[[str], bytes]) -> None:
    selection = {f"c-uri|{modifier}|base64|contains": "ping"}
    assert _matches(selection, {"url_original": f"a={b64encode(encode('ping')).decode()}"})
    assert not _matches(selection, {"url_original": f"a={b64encode(encode('pong')).decode()}"})


@pytest.mark.parametrize("dash", "-/\u2013\u2014\u2015")
@pytest.mark.parametrize("written", "-/")
def test_a_dash_of_windows_is_any_of_its_dashes(dash: str, written: str) -> None:
    assert _matches({"c-uri|windash|contains": f" {written}enc"}, {"url_original": f"x {dash}enc y"})
    assert not _matches({"c-uri|windash|contains": f" {written}enc"}, {"url_original": f"x +{dash} enc"})


REFERENCES: dict[str, Callable[[str, str], bool]] = {
    "fieldref": lambda have, other: have == other,
    "fieldref|startswith": lambda have, other: have.startswith(other),
    "fieldref|endswith": lambda have, other: have.endswith(other),
    "fieldref|contains": lambda have, other: other in have,
    "fieldref|cased": lambda have, other: have == other,
    "cased|fieldref|contains": lambda have, other: other in have,
    "fieldref|endswith|cased": lambda have, other: have.endswith(other),
}
MAYBE = st.none() | st.text("aB.", max_size=4)


@given(st.sampled_from(sorted(REFERENCES)), MAYBE, MAYBE)
def test_a_reference_compares_with_the_other_field_of_the_same_event(
    modifier: str, have: str | None, other: str | None
) -> None:
    fold = str if "cased" in modifier else str.lower
    expected = have is not None and other is not None and REFERENCES[modifier](fold(have), fold(other))
    row = {"url_original": have, "user_name": other}
    assert _matches({f"c-uri|{modifier}": "User"}, row) == expected


PARTS: dict[str, Callable[[datetime], int]] = {
    "minute": lambda t: t.minute,
    "hour": lambda t: t.hour,
    "day": lambda t: t.day,
    "week": lambda t: t.isocalendar().week,
    "month": lambda t: t.month,
    "year": lambda t: t.year,
}


@given(
    st.sampled_from(sorted(PARTS)),
    st.datetimes(datetime(1999, 12, 25), datetime(2031, 1, 9), timezones=st.just(UTC)),  # noqa: DTZ001 a naive bound
    st.integers(-1, 1),
)
def test_a_part_of_a_time_is_that_of_the_clock_in_utc(part: str, when: datetime, off: int) -> None:
    value = PARTS[part](when) + off
    assert _matches({f"timestamp|{part}": value}, {"timestamp": when}) == (off == 0)
    assert not _matches({f"timestamp|{part}": value}, {"timestamp": None})


@pytest.mark.parametrize(("operator", "hours"), [("gte", range(16, 24)), ("lt", range(16)), ("gt", range(17, 24))])
def test_parts_of_a_time_have_an_order(operator: str, hours: range) -> None:
    times = [datetime(2026, 3, 2, hour, 59, tzinfo=UTC) for hour in range(24)]
    matched = [t.hour for t in times if _matches({f"timestamp|hour|{operator}": 16}, {"timestamp": t})]
    assert matched == list(hours)
    assert not _matches({f"timestamp|hour|{operator}": 16}, {"timestamp": None})


@given(st.sampled_from(["sc-status", "c-uri"]), st.none() | st.integers(1, 3), st.integers(1, 3))
def test_not_equal_is_true_of_what_is_missing(field: str, have: int | None, value: int) -> None:
    row = {"http_response_status_code": have} if field == "sc-status" else {"url_original": have and str(have)}
    assert _matches({f"{field}|neq": value}, row) == (have != value)


@given(st.lists(st.sampled_from(["a", "b", "ab", "a*b", ""]), min_size=1, max_size=9), MAYBE)
def test_a_long_list_says_what_its_values_say_one_by_one(values: list[str], have: str | None) -> None:
    row = {"url_original": have}
    for field in ("c-uri", "c-uri|contains", "c-uri|cased"):
        assert _matches({field: values}, row) == any(_matches({field: [value]}, row) for value in values)


@given(
    st.lists(st.sampled_from(["ab", "B", "a*b", "a?", "a ", "7"]), min_size=1, max_size=9),
    st.sampled_from(["", "|cased", "|re", "|windash"]),
    st.none() | st.sampled_from(["ab", "xABx", "b", "7", "a b"]),
    st.lists(st.none() | st.sampled_from(["ab", "xABx", "b", "7", "a b"]), max_size=2),
)
def test_many_values_say_what_they_say_one_by_one_of_any_column(
    values: list[str], modifier: str, sender: str | None, recipients: list[str | None]
) -> None:
    row = {"email_from_address": sender, "email_to_address": recipients}
    for field in ("", "sender", "email_to_address", "email_to_address|contains"):
        if modifier != "|re" or "contains" not in field:
            one_by_one = [_matches({f"{field}{modifier}": [value]}, row, EventKind.MAIL) for value in values]
            assert _matches({f"{field}{modifier}": values}, row, EventKind.MAIL) == any(one_by_one)


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db8::7", True),
        (["10.0.0.0/8", "2001:db8::/32"], "10.9.9.9", True),
        (["10.0.0.0/8", "2001:db8::/32"], "2001:db9::7", False),
        (["::ffff:0:0/96"], "2001:db8::7", False),
        (["0.0.0.0/0"], "no address", False),
    ],
)
def test_an_address_is_in_any_of_several_networks_of_either_family(
    networks: list[str], address: str, inside: object
) -> None:
    assert _matches({"c-ip|cidr": networks}, {"source_ip": address}) is inside


REGEXES: list[tuple[str, str, bool]] = [
    ("c-uri|re", "a.b", True),
    ("c-uri|re", "A.B", False),
    ("c-uri|re|i", "A.B", True),
    ("c-uri|re|m", "^b$", True),
    ("c-uri|re", "^b$", False),
    ("c-uri|re|s", "a.b", True),
    ("c-uri|re|i|m", "^B$", True),
]


@pytest.mark.parametrize(("field", "pattern", "expected"), REGEXES)
def test_flags_of_expressions_mean_what_they_say(field: str, pattern: str, expected: object) -> None:
    text = "a\nb" if "|m" in field or "^" in pattern or "|s" in field else "axb"
    assert _matches({field: pattern}, {"url_original": text}) is expected


def test_null_is_missing_and_empty_text_is_not() -> None:
    assert _matches({"User": None}, {"user_name": None})
    assert not _matches({"User": None}, {"user_name": ""})
    assert _matches({"User": ""}, {"user_name": ""})
    assert not _matches({"User": ""}, {"user_name": None})
    assert _matches({"User": [None, "anna"]}, {"user_name": None})


def test_several_conditions_are_alternatives() -> None:
    detection = {"a": {"User": "anna"}, "b": {"User": "ben"}, "condition": ["a", "b"]}
    rule = {"title": "t", "name": "n", "logsource": {"category": "proxy"}, "level": "low", "detection": detection}
    expression = parse_rules(json.dumps(rule)).detection("n").expression
    assert isinstance(expression, Compiled)
    rows = [{"user_name": name} for name in ("anna", "ben", "cleo", None)]
    assert frame_of(EventKind.PROXY, rows).select(hit=expression.exact)["hit"].to_list() == [True, True, False, False]


@pytest.mark.parametrize(
    ("asked", "seen", "found"),
    [
        ({"c-uri|contains": "\u0391\u03a3"}, "\u0391\u03a3\u0391", True),
        ({"c-uri|endswith": "\u03b1\u03c3"}, "\u039a\u0391\u03a3", True),
        ({"c-uri": "\u03b1\u03c3"}, "\u03b1\u03c2", True),
        ({"c-uri|contains|cased": "\u0391\u03a3"}, "\u03b1\u03c3\u03b1", False),
    ],
)
def test_a_sigma_is_one_letter_wherever_it_stands(asked: dict[str, str], seen: str, found: bool) -> None:
    rule = {"title": "t", "name": "n", "logsource": {"category": "proxy"}, "detection": {"s": asked, "condition": "s"}}
    detection = parse_rules(json.dumps(rule)).detection("n")
    frame = frame_of(detection.kind, [{"url_original": seen}])
    assert isinstance(detection.expression, Compiled)
    assert bool(frame.filter(detection.expression.exact).height) is found


def test_what_all_asks_for_is_told_with_and_in_the_words_of_sigma() -> None:
    asked = {"c-uri|windash|contains|all": ["a", "n"]}
    rule = {"title": "t", "name": "n", "logsource": {"category": "proxy"}, "detection": {"s": asked, "condition": "s"}}
    detection = parse_rules(json.dumps(rule)).detection("n")
    verdict = explain(detection, frame_of(detection.kind, [{"url_original": "an"}]))
    assert verdict.selections[0].alternatives[0][0].wanted == "windash|contains|all a and n"
