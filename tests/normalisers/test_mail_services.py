"""Mail servers and services over whole logs: what one line cannot show."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.registry import make
from tests.normalisers.comparison import SAMPLES
from tests.normalisers.golden_files import lines_of


def events(type_name: str, *lines: str, settings: NormaliserSettings | None = None) -> list[dict[str, Any]]:
    """Events of some lines, those flushed at the end among them."""
    normaliser = make(type_name, settings or NormaliserSettings(year=2024))
    out = normaliser.normalise(LineChunk([line.encode() for line in lines], range(len(lines))))
    rest = normaliser.finish()
    return out.events.to_dicts() + ([] if rest is None else rest.events.to_dicts())


def recipients(event: dict[str, Any], *columns: str) -> dict[str, Any]:
    """Columns of the recipients by address: the value, or a tuple of several."""
    values = [event[f"email_to_{column}"] for column in columns]
    rows = values[0] if len(values) == 1 else zip(*values, strict=True)
    return dict(zip(event["email_to_address"], rows, strict=True))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples in {SAMPLES}")
def test_every_delivery_that_a_peer_finds_in_its_sendmail_log_is_found() -> None:
    folder = SAMPLES / "mail" / "sendmail" / "yudai09__fluent-plugin-sendmail"
    lines = (folder / "data").read_text(encoding="utf-8").splitlines()
    deliveries = [json.loads(line) for line in (folder / "data.expected.txt").read_text(encoding="utf-8").splitlines()]
    found = events("sendmail", *lines, settings=NormaliserSettings(year=2016))
    last: dict[str, dict[str, Any]] = {to.strip("<>"): said for said in deliveries for to in said["to"]}
    ours: dict[str, Any] = {}
    for event in found:
        assert event["email_from_address"] == deliveries[0]["from"].strip("<>")
        assert event["email_message_id"] == deliveries[0]["msgid"].strip("<>")
        assert (str(event["email_size"]), event["email_recipient_count"]) == (deliveries[0]["size"], 7)
        assert event["source_ip"] == deliveries[0]["relay_from"]["ip"]
        ours |= recipients(event, "status", "dsn", "relay")
    for to, (status, dsn, relay) in ours.items():
        said = last[to]
        assert (status, dsn) == (said["status_canonical"].removesuffix("_local"), said["dsn"])
        assert said.get("relay_to") is None or said["relay_to"]["ip"] in relay
    assert set(ours) == set(last)


def test_a_subject_is_kept_only_where_the_source_says_so() -> None:
    line = '2024-03-01 08:00:00 1rg2Zp-00000000D5k-1aBc <= a@one.example U=a P=local S=1 T="Caf\\303\\251 \\"now\\""'
    kept, hashed = (
        events("exim", line, settings=NormaliserSettings(year=2024, keep_subject=keep))[0] for keep in (True, False)
    )
    assert (kept["email_subject"], hashed["email_subject"]) == ('Café "now"', None)
    assert kept["email_subject_hash"] == hashed["email_subject_hash"] is not None


TRACKED = "2024-03-01T08:00:0{n}.000Z,,,,EX3,,{connector},{source},{event},1,<a@x.example>,0f,{to},,1,1,{related},,,s@x.example,s@x.example,,,,,,,,,"  # noqa: E501 - one row


def tracked(n: int, event: str, to: str, related: str = "", source: str = "SMTP", connector: str = "") -> str:
    return TRACKED.format(n=n, event=event, to=to, related=related, source=source, connector=connector)


def test_a_message_that_exchange_logs_six_times_is_one_pair_a_recipient() -> None:
    found = events(
        "exchange_tracking", tracked(0, "RECEIVE", "staff@x.example"),
        tracked(1, "EXPAND", "bo@x.example;cy@x.example", "staff@x.example", "ROUTING"),
        tracked(2, "TRANSFER", "bo@x.example"),
        tracked(3, "SEND", "bo@x.example;cy@x.example", connector="Intra-Organization SMTP Send Connector"),
        tracked(4, "DELIVER", "bo@x.example", source="STOREDRIVER"),
        tracked(5, "DELIVER", "cy@x.example", source="STOREDRIVER"),
    )  # fmt: skip
    ended = [event for event in found if event["event_action"] == "message"]
    pairs = {(event["email_message_id"], to) for event in ended for to in event["email_to_address"]}
    assert pairs == {("a@x.example", "bo@x.example"), ("a@x.example", "cy@x.example")}
    delivered = [event for event in ended if not any(event["email_to_filter"])]
    assert [recipients(event, "original_address") for event in delivered] == [
        {"bo@x.example": "staff@x.example"}, {"cy@x.example": "staff@x.example"},
    ]  # fmt: skip


def test_a_list_of_ten_thousand_in_sendmail_is_read_without_a_limit_on_joins() -> None:
    start = "Mar  1 08:00:00 m sm-mta[1]: 421D00aa000001: "
    to = ",".join(f"<u{n}@x.example>" for n in range(100))
    lines = [f"{start}from=<s@x.example>, size=1, class=0, nrcpts=10000, proto=ESMTP, relay=h [192.0.2.1]"]
    lines += [
        f"{start}{to.replace('@', f'.{n}@')}, delay=00:00:00, dsn=2.0.0, stat=Sent".replace(": <", ": to=<", 1)
        for n in range(100)
    ]
    found = events("sendmail", *lines)
    assert sum(len(event["email_to_address"]) for event in found) == 10_000
    assert {event["email_from_address"] for event in found} == {"s@x.example"}


SERVICES = [
    "amavis", "exchange_smtp", "exchange_tracking", "exim", "google_mail_log", "m365_trace", "sendmail",
]  # fmt: skip
TIGHT = NormaliserSettings(year=2024, join_max_s=600, max_joins=5)


@st.composite
def damaged(draw: st.DrawFn, type_name: str) -> list[bytes]:
    """Golden lines, some cut, spliced or with bytes put in."""
    golden, lines = lines_of(type_name), []
    for _ in range(draw(st.integers(1, 12))):
        line, place = draw(st.sampled_from(golden)), draw(st.integers(0, 400))
        damage = draw(st.sampled_from(["none", "cut", "insert", "splice"]))
        if damage == "cut":
            line = line[:place]
        elif damage == "insert":
            line = line[:place] + draw(st.binary(max_size=8)).replace(b"\n", b"") + line[place:]
        elif damage == "splice":
            line = line[:place] + draw(st.sampled_from(golden))[place:]
        lines.append(line)
    return lines


@pytest.mark.parametrize("type_name", SERVICES)
@given(data=st.data())
def test_every_damaged_line_is_decided_once_whatever_the_chunks_and_restarts(
    type_name: str, data: st.DataObject
) -> None:
    lines = data.draw(damaged(type_name))
    size = data.draw(st.integers(1, len(lines)))
    whole = make(type_name, TIGHT)
    out = whole.normalise(LineChunk(lines, range(len(lines))))
    found, state = [], make(type_name, TIGHT).save()
    for start in range(0, len(lines), size):
        normaliser = make(type_name, TIGHT)
        normaliser.load(state)
        part = lines[start : start + size]
        piece = normaliser.normalise(LineChunk(part, range(start, start + len(part))))
        found += [{**row, "line": row["line"] + start} for row in piece.events.to_dicts()]
        state = normaliser.save()
    assert found == out.events.to_dicts()
    rest = whole.finish()
    rows = found + ([] if rest is None else rest.events.to_dicts())
    decided = [index for index, _ in out.ignored] + [reject.line for reject in out.rejects]
    decided += [place for row in rows for place in row["log_offsets"]]
    decided += {row["line"] for row in rows if not row["log_offsets"]}
    assert sorted(decided) == list(range(len(lines)))


HOSTILE = [
    ("sendmail", "Mar  1 08:00:00 m sm-mta[1]: message repeated 2 times: [ AUTH failure (A): ", "\t", " x"),
    ("sendmail", "Mar  1 08:00:00 m sm-mta[1]: 421D00aa000001: from=<a>, size=1, class=0, nrcpts=1, msgid=",
    ", proto=", "x"),
    ("sendmail", "Mar  1 08:00:00 m sm-mta[1]: 421D00aa000001: to=", "<a>,", "x"),
    ("exim", "2024-03-01 08:00:00 a authenticator failed for ", "H=", ": 535 no (set_id=x"),
    ("exim", "2024-03-01 08:00:00 1rg2Zp-00000000D5k-1aBc => ", " (a@b)", "x"),
    ("exim", "2024-03-01 08:00:00 1rg2Zp-00000000D5k-1aBc <= a@b ", ' T="a" for b', "x"),
    ("exim", "2024-03-01 08:00:00 H=a [192.0.2.1] F=<a@b> ", " rejected RCPT <", "x"),
    ("amavis", "Mar  1 08:00:00 m amavis[1]: (00001-01) Passed BANNED (", ") {A", "}"),
    ("amavis", "Mar  1 08:00:00 m amavis[1]: (00001-01) Passed CLEAN, ", "<a> -> <b>,", "x"),
    ("exchange_tracking", "2024-03-01T08:00:00.000Z,,,,,,,SMTP,SEND,1,<a>,0f,", "a;[", ","),
    ("google_mail_log", '{"event_info":{},"message_info":', "[", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "start", "unit", "end"), HOSTILE)
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(
    type_name: str, start: str, unit: str, end: str
) -> None:
    line = (start + unit * (60_000 // len(unit)) + end).encode()
    began = time.process_time()
    make(type_name, TIGHT).normalise(LineChunk([line], [0]))
    assert time.process_time() - began < 2
