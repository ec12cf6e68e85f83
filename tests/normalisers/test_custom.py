"""Formats of one's own, in all syntaxes, and what is said of their mistakes."""

from __future__ import annotations

import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.columns import event_columns
from streams.normalisers.custom.checks import mistakes
from streams.normalisers.custom.normaliser import CustomNormaliser
from streams.normalisers.custom.spec import FormatSpec
from tests.normalisers.golden_files import fates

SETTINGS = NormaliserSettings(timezone=ZoneInfo("America/Denver"))
BADGE: dict[str, Any] = {
    "kind": "login",
    "syntax": "regex",
    "pattern": r"^(?<when>\S+ \S+) door (?<door>\S+) user=(?<user>\S*) (?<result>\w+)(?: from (?<ip>\S+))?$",
    "ignore": "^#",
    "time": {"field": "when", "format": "%d/%m/%Y %H:%M:%S"},
    "fields": {
        "user_name": "user",
        "source_ip": "ip",
        "service_name": "door",
        "event_action": {"value": "login"},
        "event_outcome": {"field": "result", "map": {"ok": "success", "no": "failure"}, "default": "unknown"},
    },
}


def normaliser(spec: dict[str, Any]) -> CustomNormaliser:
    parsed = FormatSpec(**spec)
    assert not mistakes(parsed)
    return CustomNormaliser("badge", parsed, SETTINGS)


def became(spec: dict[str, Any], *lines: str) -> list[dict[str, Any]]:
    raw = [line.encode() for line in lines]
    return fates(normaliser(spec).normalise(LineChunk(raw, list(range(len(raw))))))


def changed(**changes: Any) -> dict[str, Any]:
    return {**BADGE, **changes}


def test_an_expression_names_the_fields() -> None:
    found = became(
        BADGE,
        "02/03/2024 08:00:00 door gym user=jdoe ok from 10.1.2.3",
        "# a comment",
        "02/03/2024 08:00:01 door gym user=- maybe",
        "02/03/2024 08:00:02 door gym user=asmith no from here",
        "something else",
        "31/02/2024 08:00:02 door gym user=asmith no",
        "",
    )
    assert found[0] == {
        "timestamp": "2024-03-02 15:00:00+00:00", "event_dataset": "badge", "event_action": "login", "line": 0,
        "event_outcome": "success", "log_sub": 0, "user_name": "jdoe", "source_ip": "10.1.2.3", "service_name": "gym",
    }  # fmt: skip
    assert found[1] == {"line": 1, "ignored": "as_configured"}
    assert "user_name" not in found[2]
    assert found[2]["event_outcome"] == "unknown"
    assert [fate["dead_letter"] for fate in found[3:6]] == ["bad_field", "unknown_form", "bad_time"]
    assert found[6] == {"line": 6, "ignored": "blank_line"}


def test_a_line_behind_a_syslog_header_is_read_like_one_alone() -> None:
    found = became(BADGE, "Mar  2 08:00:00 doors panel[7]: 02/03/2024 08:00:00 door gym user=jdoe ok")
    assert (found[0]["observer_hostname"], found[0]["process_pid"]) == ("doors", 7)
    assert found[0]["timestamp"] == "2024-03-02 15:00:00+00:00"


def test_a_delimited_format_takes_its_columns_from_the_header_line_and_keeps_them() -> None:
    spec = changed(
        syntax="delimited", pattern="", delimiter=";", header=True, time={"field": ["date", "clock"], "format": "dmy"},
        fields={**BADGE["fields"], "event_outcome": {"field": "result", "map": {"ok": "success"}, "default": "failure"}}
    )  # fmt: skip
    first = normaliser(spec)
    out = first.normalise(LineChunk([b"date;clock;user;result;ip;door"], [0]))
    assert out.ignored == ((0, "header"),)
    second = normaliser(spec)
    second.load(first.save())
    line = b'2.3.24;8:00:00;"Doe; Jane";nope;2001:DB8::1;gym'
    event = fates(second.normalise(LineChunk([line], [31])))[0]
    assert (event["user_name"], event["event_outcome"], event["source_ip"]) == ("Doe; Jane", "failure", "2001:db8::1")
    fresh = fates(normaliser(spec).normalise(LineChunk([line], [31])))
    assert fresh[0]["dead_letter"] == "no_fields"


def test_pairs_and_json_and_w3c_give_the_same_event() -> None:
    fields = {**BADGE["fields"], "source_ip": "ip"}
    spoken = {"field": "when", "format": "epoch"}
    in_pairs = became(
        changed(syntax="pairs", pattern="", time=spoken, fields=fields),
        'when=1709395200 user="jdoe" result=ok ip=10.1.2.3 door=gym',
    )
    deep = {"user_name": "who.user", "source_ip": "who.at[0].ip", "service_name": "door"}
    in_json = became(
        changed(syntax="json", pattern="", time=spoken, fields={**fields, **deep}),
        '{"when": 1709395200000, "who": {"user": "jdoe", "at": [{"ip": "10.1.2.3"}]}, "result": "ok", "door": "gym"}',
    )
    in_w3c = became(
        changed(syntax="w3c", pattern="", time={"field": ["date", "time"], "timezone": "UTC"}, fields=fields),
        "#Fields: date time user result ip door",
        "2024-03-02 16:00:00 jdoe ok 10.1.2.3 gym",
    )
    assert in_w3c[0] == {"line": 0, "ignored": "header"}
    assert in_pairs == in_json == [{**in_w3c[1], "line": 0}]


def test_a_proxy_format_gets_the_parts_of_its_urls_and_loses_their_secrets() -> None:
    spec = {
        "kind": "proxy", "syntax": "delimited", "columns": ["t", "ip", "url", "verdict", "kb"], "time": {"field": "t"},
        "fields": {
            "source_ip": "ip", "url_original": "url", "http_response_bytes": {"field": "kb", "scale": 1024},
            "event_action": {"field": "verdict", "map": {"block": "denied"}, "default": "allowed"},
        },
    }  # fmt: skip
    found = became(spec, "2024-03-02T16:00:00Z,10.0.0.1,https://u:secret@www.example.org/a/b.exe?token=1,block,1.5")
    assert found[0]["url_original"] == "https://(masked)@www.example.org/a/b.exe?token=(masked)"
    assert (found[0]["url_domain"], found[0]["url_extension"]) == ("www.example.org", "exe")
    assert (found[0]["event_outcome"], found[0]["http_response_bytes"]) == ("failure", 1536)


def test_a_url_without_its_scheme_has_parts_and_a_tunnel_stays_one() -> None:
    spec = {
        "kind": "proxy", "syntax": "delimited", "columns": ["t", "method", "url"], "time": {"field": "t"},
        "fields": {"url_original": "url", "http_request_method": "method", "event_action": {"value": "allowed"}},
    }  # fmt: skip
    t = "2024-03-02T16:00:00Z"
    found = became(spec, f"{t},GET,www.example.org:8080/a.exe", f"{t},CONNECT,www.example.org:443", f"{t},GET,/a")
    assert [(f.get("url_scheme"), f.get("url_domain"), f.get("url_port")) for f in found] == [
        ("http", "www.example.org", 8080),
        (None, "www.example.org", 443),
        (None, None, None),
    ]


def test_an_action_whose_word_is_not_in_the_map_is_a_dead_letter() -> None:
    spec = changed(fields={"user_name": "user", "event_action": {"field": "result", "map": {"ok": "login"}}})
    good, new = became(spec, *(f"02/03/2024 16:00:00 door A user=jo {word}" for word in ("ok", "maybe")))
    assert good["event_action"] == "login"
    assert new["dead_letter"] == "bad_field"


def test_a_mail_format_splits_its_recipients() -> None:
    spec = {
        "kind": "mail", "syntax": "pairs", "time": {"field": "at", "format": "epoch"},
        "fields": {
            "email_from_address": "from", "email_to_address": {"field": "to", "split": "|"},
            "event_action": {"value": "message"}, "event_outcome": {"value": "success"},
        },
    }  # fmt: skip
    found = became(spec, "at=1709395200.5 from=A@Example.ORG to=b@example.org|C@EXAMPLE.org")
    assert found[0]["email_to_address"] == ["b@example.org", "C@example.org"]
    assert found[0]["email_from_address"] == "A@example.org"


def test_a_password_typed_as_the_name_of_a_failed_login_is_masked() -> None:
    assert became(BADGE, "02/03/2024 08:00:02 door gym user=xK7#pQ2w9 no")[0]["user_name"] == "(masked)"


@pytest.mark.parametrize(
    ("changes", "path", "what"),
    [
        ({"pattern": "(?<when>"}, ("pattern",), "no regular expression"),
        ({"pattern": "^(\\S+)$"}, ("pattern",), "no named group"),
        ({"pattern": "^(?<when>a)(?=b)"}, ("pattern",), "no regular expression"),
        ({"ignore": "["}, ("ignore",), "no regular expression"),
        ({"time": {"field": "whem"}}, ("time", "field"), "no field 'whem'"),
        ({"time": {"field": "when", "format": "isso"}}, ("time", "format"), "no time format"),
        ({"time": {"field": "when", "format": "%Q"}}, ("time", "format"), "no time can be read"),
        ({"fields": {"user": "user", "event_action": {"value": "login"}}}, ("fields", "user"), "no column 'user'"),
        ({"fields": {"user_name": "uzer", "event_action": {"value": "login"}}}, ("fields", "user_name"), "no field"),
        ({"fields": {"user_name": "user"}}, ("fields",), "nothing says what an event is"),
        ({"fields": {"event_action": {"value": "logged"}}}, ("fields", "event_action"), "no event_action of login"),
        ({"fields": {"event_action": {"value": "login"}, "event_outcome": {"value": "good"}}},
         ("fields", "event_outcome"), "no event_outcome"),
        ({"fields": {"event_action": {"value": "login"}, "source_port": {"value": "x"}}},
         ("fields", "source_port"), "no value of a column"),
        ({"fields": {"event_action": {"value": "login"}, "source_port": {}}},
         ("fields", "source_port"), "either a field"),
        ({"syntax": "json"}, ("pattern",), "for syntax regex"),
        ({"syntax": "delimited", "pattern": ""}, ("columns",), "must be named"),
        ({"columns": ["a"]}, ("columns",), "for syntax delimited"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key(changes: dict[str, Any], path: tuple[str, ...], what: str) -> None:
    found = mistakes(FormatSpec(**changed(**changes)))
    assert [(m.path, what in m.what) for m in found if m.path == path] == [(path, True)], found
    assert all(m.hint for m in found)


def test_all_mistakes_are_told_at_once() -> None:
    spec = changed(ignore="(", time={"field": "x"}, fields={"nobody": "user", "event_action": {"value": "z"}})
    assert len(mistakes(FormatSpec(**spec))) == 4


def test_an_expression_that_would_hang_elsewhere_takes_linear_time() -> None:
    spec = changed(pattern=r"^(?<when>\S+) (?<x>(a+)+)$", fields={"event_action": {"value": "login"}})
    line = b"02/03/2024 " + b"a" * 60_000 + b"!"
    reading = normaliser(spec)
    started = time.process_time()
    out = reading.normalise(LineChunk([line], [0]))
    assert out.rejects[0].reason == "unknown_form"
    assert time.process_time() - started < 5.0


def test_fields_of_a_format_are_columns_of_its_kind() -> None:
    spec = FormatSpec(**BADGE)
    assert set(CustomNormaliser.fields_of(spec)) <= set(event_columns(spec.kind))
    assert "event_outcome" in CustomNormaliser.fields_of(spec)


@given(lines=st.lists(st.binary(max_size=80).map(lambda b: b.replace(b"\n", b"")), min_size=1, max_size=8))
@pytest.mark.parametrize("syntax", ["regex", "pairs", "json", "w3c", "delimited"])
def test_every_line_has_one_fate_whatever_its_bytes(syntax: str, lines: list[bytes]) -> None:
    pattern = BADGE["pattern"] if syntax == "regex" else ""
    columns = ["when", "user", "result", "ip", "door"] if syntax == "delimited" else []
    out = normaliser(changed(syntax=syntax, pattern=pattern, columns=columns)).normalise(
        LineChunk(lines, list(range(len(lines))))
    )
    decided = [*out.events["line"], *(i for i, _ in out.ignored), *(r.line for r in out.rejects)]
    assert sorted(decided) == list(range(len(lines)))
