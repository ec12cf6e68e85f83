"""Mail gateways: what no single line shows, and what senders may not put into an event."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk
from streams.normalisers.mail import mimecast
from streams.normalisers.reasons import Refused, vocabulary
from streams.normalisers.registry import make
from tests.normalisers.golden_files import SETTINGS, in_chunks, lines_of

TYPES = ["mimecast", "fortimail", "cisco_esa", "proofpoint", "barracuda", "symantec_smg"]
SIGNS = [b"|", b'"', b"\\", b"{", b"[", b",", b" ", b"=", b"null", b"[]", b"1e999", b"9" * 20, b"<>", b"@", b"\xff"]


def events(type_name: str, *lines: str) -> list[dict[str, Any]]:
    """Events of some lines, those flushed at the end among them."""
    normaliser = make(type_name, SETTINGS)
    out = normaliser.normalise(LineChunk([line.encode() for line in lines], range(len(lines))))
    rest = normaliser.finish()
    return out.events.to_dicts() + ([] if rest is None else rest.events.to_dicts())


@st.composite
def damaged(draw: st.DrawFn, type_name: str) -> list[bytes]:
    """Golden lines in any order, some cut, spliced, or with a sign of the format put in."""
    golden = lines_of(type_name)
    lines = []
    for _ in range(draw(st.integers(1, 12))):
        line = draw(st.sampled_from(golden))
        at = draw(st.integers(0, len(line)))
        damage = draw(st.sampled_from(["none", "cut", "sign", "splice"]))
        if damage == "cut":
            line = line[:at]
        elif damage == "sign":
            line = line[:at] + draw(st.sampled_from(SIGNS)) + line[at + 1 :]
        elif damage == "splice":
            line = line[:at] + draw(st.sampled_from(golden))[at:]
        lines.append(line)
    return lines


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_damaged_lines_have_one_fate_each_and_give_the_same_however_they_are_chunked(
    type_name: str, data: st.DataObject
) -> None:
    lines = data.draw(damaged(type_name))
    whole = in_chunks(make(type_name, SETTINGS), lines, len(lines))
    others = [fate["line"] for fate in whole if "event_action" not in fate]
    assert len(others) == len(set(others))
    assert {fate["dead_letter"] for fate in whole if "dead_letter" in fate} <= set(Refused)
    assert {fate["ignored"] for fate in whole if "ignored" in fate} <= vocabulary()
    assert in_chunks(make(type_name, SETTINGS), lines, data.draw(st.integers(1, len(lines)))) == whole


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_a_source_that_was_saved_goes_on_as_if_it_had_not_been(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged(type_name))
    at = data.draw(st.integers(0, len(lines)))
    before, after, through = (make(type_name, SETTINGS) for _ in range(3))
    in_chunks(before, lines[:at], 5)
    after.load(before.save())
    in_chunks(through, lines[:at], 5)
    assert in_chunks(after, lines[at:], 5, at) == in_chunks(through, lines[at:], 5, at)


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("unit", [b'"', b" ", b"a=", b"|", b"<", b"\\", b"@", b' x=" ', b'{"', b"[a", b" SZ:1 SUBJ:"])
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(type_name: str, unit: bytes) -> None:
    for line in lines_of(type_name)[::7]:
        at = len(line) // 2
        long = line[:at] + unit * (60_000 // len(unit)) + line[at:]
        started = time.process_time()
        make(type_name, SETTINGS).normalise(LineChunk([long], [0]))
        assert time.process_time() - started < 2


def test_a_subject_gives_no_virus_to_a_message_of_symantecs() -> None:
    head = "<142>Mar  1 13:00:00 smg1 bmserver: 1709298000|0a-1|"
    lines = ["ORCPTS|anna@school.example.org", "SUBJECT|a|VIRUS|b", "DELIVER|10.0.0.25|anna@school.example.org"]
    (event,) = events("symantec_smg", *(head + line for line in lines))
    assert (event["email_verdict"], event["email_to_status"]) == (None, ["sent"])


def test_a_subject_gives_no_size_and_no_code_to_a_message_of_barracudas() -> None:
    head = "<23>Mar  1 08:00:00 bsf1 scan[2001]: mx.example.net[192.0.2.10] 1709298000-0a1b2c3d0001-AbCd12 1 1 SCAN"
    (event,) = events(
        "barracuda", f"{head} - a@example.net anna@school.example.org 0 0 0 - SZ:5 SUBJ:x SZ:9 SUBJ:y 2 1 z"
    )
    assert (event["email_size"], event["email_verdict"], event["email_to_status"]) == (5, "clean", ["accepted"])


def test_a_subject_gives_no_end_to_a_message_of_proofpoints() -> None:
    head = "<134>Mar  1 08:00:00 pps1 filter_instance1[1]: rprt s=2h m=1 x=2h-1"
    lines = [
        "mod=mail cmd=env_rcpt r=1 value=anna@school.example.org",
        'mod=mail cmd=msg module= rule= action=continue size=5 qid=w3 subject="a" action=discard module=av',
    ]
    (event,) = events("proofpoint", *(f"{head} {line}" for line in lines))
    assert (event["email_to_status"], event["email_verdict"]) == (["accepted"], None)


def test_a_quarantine_of_esas_and_what_comes_of_it_are_one_message() -> None:
    actions = [
        event["event_action"] for event in events("cisco_esa", *(line.decode() for line in lines_of("cisco_esa")))
    ]
    assert actions.count("delivery") == actions.count("released") == 1


@given(st.lists(st.sampled_from([
    "datetime=2024-03-01T08:00:01-0500", "|", "|aCode=x", "|Subject=", "a", "=", "|Sender=a@b", "|Odd=1", "|Act=Acc",
    " ", "|MsgId=<a|b>", "|Subject=\\ a \\", "\\", "|é=", "|Rcpt",
]), max_size=12))  # fmt: skip
def test_bars_of_mimecast_are_the_same_read_at_once_or_one_by_one(parts: list[str]) -> None:
    message = "".join(parts)
    slow = mimecast._disentangled(message.split("|"))
    if "\\" in message:
        slow = {key: mimecast._plain(value) for key, value in slow.items()}
    assert mimecast.barred(message) == slow
