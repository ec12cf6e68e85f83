"""Firewalls and cloud filters: the quick way equals the slow one, and clients forge nothing behind what they write."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.payload import pairs
from streams.normalisers.proxy.appliance import Shapes
from streams.normalisers.reasons import Refused, vocabulary
from streams.normalisers.registry import make
from tests.normalisers.damaging import assert_each_decided_once, assert_quick, damaged_lines, hostile
from tests.normalisers.golden_files import SETTINGS, in_chunks, lines_of

TYPES = ["cloudflare_gateway", "forcepoint", "fortigate", "meraki", "netskope", "paloalto", "skyhigh", "sophos"]
KEYS = frozenset("abcd")


@st.composite
def pair_lines(draw: st.DrawFn) -> str:
    """Pairs as devices write them, and now and then something between them."""
    sign = draw(st.sampled_from([" ", ",", "  "]))
    found = []
    for _ in range(draw(st.integers(1, 6))):
        key = draw(st.sampled_from("abcde"))
        value = draw(st.text('x=,; "\\é', max_size=5))
        form = draw(st.sampled_from(["quoted", "escaped", "bare", "junk"]))
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        plain = "".join(c for c in value if c not in ' ,;"')
        found.append(
            {"quoted": f'{key}="{value}"', "escaped": f'{key}="{escaped}"', "bare": f"{key}={plain}"}.get(form, value)
        )
    return sign.join(found)


@given(lines=st.lists(pair_lines(), min_size=1, max_size=12))
def test_pairs_in_a_known_order_are_read_as_pairs_in_any_order(lines: list[str]) -> None:
    shapes = Shapes(KEYS)
    for line in lines * 2:
        assert shapes.pairs(line) == {key: value for key, value in pairs(line).items() if key in KEYS}


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_every_damaged_line_is_one_of_event_ignored_and_reject_in_any_chunks(
    type_name: str, data: st.DataObject
) -> None:
    lines = data.draw(damaged_lines(type_name))
    out = make(type_name, SETTINGS).normalise(LineChunk(lines, list(range(len(lines)))))
    assert_each_decided_once(out, lines)
    assert {r.reason for r in out.rejects} <= set(Refused)
    assert {reason for _, reason in out.ignored} <= vocabulary()
    size = data.draw(st.integers(1, len(lines)))
    whole = in_chunks(make(type_name, SETTINGS), lines, len(lines))
    assert in_chunks(make(type_name, SETTINGS), lines, size) == whole


HOSTILE = [
    ("fortigate", hostile('a\\" b="', 'type="utm" subtype="webfilter" url="')),
    ("fortigate", hostile("date=", "date=")),
    ("fortigate", hostile("a=b c=", "CEF:0|Fortinet|Fortigate|v7|1|utm:webfilter x|4|")),
    ("fortigate", hostile("\\|", "CEF:0|Fortinet|")),
    ("paloalto", hostile(',"', "1,2024/03/01 08:30:00,1,THREAT,url,")),
    ("paloalto", hostile("1,")),
    ("forcepoint", hostile(" reason=", "vendor=Websense product=Security http_user_agent=")),
    ("forcepoint", hostile("url=a=", "vendor=Websense ")),
    ("skyhigh", hostile(' HTTP/1.1" "', '[01/Mar/2024:08:30:00 -0500] "a" 10.1.1.1 200 "GET ')),
    ("skyhigh", hostile('" "', '[01/Mar/2024:08:30:00 -0500] "a" 10.1.1.1 200 "GET /x HTTP/1.1" "" "" "" 1 "')),
    ("sophos", hostile('" sub="http" ', '2024:03:01-08:30:00 utm httpproxy[1]: id="0001" severity="')),
    ("netskope", hostile('[{"a":')),
    ("netskope", hostile("\\u0061", '{"timestamp":1,"type":"page","url":"', '"}')),
    ("meraki", hostile("' request: ", "<134>1 1709299800.1 MX urls src=1 dst=2 agent='")),
    ("cloudflare_gateway", hostile("{")),
]


@pytest.mark.parametrize(("type_name", "line"), HOSTILE, ids=[f"{t}-{n}" for n, (t, _) in enumerate(HOSTILE)])
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(type_name: str, line: bytes) -> None:
    assert_quick(type_name, line)


def only_event(type_name: str, *lines: str) -> dict[str, Any]:
    raw = [line.encode() for line in lines]
    rows = make(type_name, NormaliserSettings()).normalise(LineChunk(raw, list(range(len(raw))))).events.to_dicts()
    assert len(rows) == 1
    return rows[0]


def test_a_user_agent_that_pretends_further_pairs_changes_no_verdict() -> None:
    agent = (
        "x http_proxy_status_code=200 reason=- disposition=1026 policy=P role=1 duration=1 url=http://fine.example.org/"
    )
    line = (
        "Mar  1 08:30:00 fp vendor=Forcepoint product=Security action=blocked category=67 user=- src_host=10.20.1.15"
        f" http_method=GET http_user_agent={agent} http_proxy_status_code=403 reason=- disposition=1025"
        " policy=Q role=1 duration=1 url=http://bad.example.com/"
    )
    row = only_event("forcepoint", line)
    assert (row["event_action"], row["url_domain"], row["proxy_policy"]) == ("denied", "bad.example.com", "Q")
    assert row["http_response_status_code"] == 403


@pytest.mark.parametrize("agent", ['evil" "" "0', 'evil" "x" "0" "', '"', 'a"b c', '" "" "0" "" "'])
def test_a_user_agent_with_quotes_shifts_no_column_of_an_access_log(agent: str) -> None:
    line = (
        '[01/Mar/2024:08:30:00 -0500] "asmith" 10.20.1.16 403 "GET http://bad.example.com/ HTTP/1.1" "Gambling"'
        f' "High Risk" "" 3001 "{agent}" "" "10"'
    )
    row = only_event("skyhigh", line)
    assert (row["event_action"], row["proxy_result"], row["proxy_threat"]) == ("denied", "10", None)


def test_a_url_in_quotes_is_one_value_of_a_threat_record_whatever_it_holds() -> None:
    record = lines_of("paloalto")[0].decode().replace("www.example.org/a/b.html?q=1,2", 'bad.example.com/"",,allow,,""')
    row = only_event("paloalto", record)
    assert (row["event_action"], row["url_domain"], row["proxy_category"]) == ("denied", "bad.example.com", "adult")


def test_a_url_with_an_escaped_quote_forges_no_action() -> None:
    record = lines_of("fortigate")[0].decode().replace("q=1", 'q=\\" action=\\"passthrough\\" x=\\"')
    row = only_event("fortigate", record, "")
    assert (row["event_action"], row["url_domain"]) == ("denied", "www.example.org")
