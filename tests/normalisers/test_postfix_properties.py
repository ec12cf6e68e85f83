"""What holds of the Postfix normaliser whatever the lines, the chunks and the restarts."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.mail import open_joins
from streams.normalisers.mail.open_joins import FULL_BYTES
from streams.normalisers.mail.postfix import PostfixNormaliser
from tests.normalisers.postfix_helpers import Run, assert_conserved, offsets_of, run

SMALL = NormaliserSettings(year=2025, join_max_s=120, max_joins=4)
WIDE = NormaliserSettings(year=2025, join_max_s=86_400)

IDS = st.sampled_from(["AAAAA01", "AAAAA02", "AAAAA03", "AAAAA04", "AAAAA05", "AAAAA06", "4XbV1p2FZ4zJ1yM"])
ADDRESSES = st.sampled_from(["bo@example.org", "Cy@Example.net", '"q, x>"@example.org', "dee@school.example", "fay"])
STATUSES = st.sampled_from(["sent (250 Ok)", "deferred (later)", "bounced (no)", "sent (250 Ok: queued as AAAAA06)"])
RELAYS = st.sampled_from(["none", "127.0.0.1[127.0.0.1]:10024", "mx.example.org[203.0.113.9]:25"])


@st.composite
def said(draw: st.DrawFn) -> str:
    """What a line about a queue id says."""
    qid, to = draw(IDS), draw(ADDRESSES)
    delivery = f"to=<{to}>, relay={draw(RELAYS)}, delay=1, delays=0/0/0/1, dsn=2.0.0, status={draw(STATUSES)}"
    tail = f"from=<ann@school.example> to=<{to}> proto=ESMTP helo=<h>"
    kind = draw(
        st.sampled_from(
            [
                "postfix/smtpd client=x.example[192.0.2.7], sasl_method=PLAIN, sasl_username=ann",
                "postfix/pickup uid=12 from=<ann>",
                f"postfix/cleanup message-id=<{draw(st.integers(0, 3))}@school.example>",
                f"postfix/qmgr from=<ann@school.example>, size={draw(st.sampled_from([1, 2]))}, nrcpt=2 (queue active)",
                "postfix/qmgr from=<ann@school.example>, status=expired, returned to sender",
                f"postfix/smtp {delivery}",
                f"postfix/smtp {delivery}",
                f"postfix/smtpd reject: RCPT from x.example[192.0.2.7]: 550 5.1.1 <{to}>: No; {tail}",
                f"postfix/cleanup milter-reject: END-OF-MESSAGE from x.example[192.0.2.7]: 5.7.1 Spam; {tail}",
                f"postfix/cleanup reject: header Subject: hi from x.example[192.0.2.7]; {tail}: no",
                "postfix/qmgr skipped, still being delivered",
                "postfix/qmgr removed",
                "postfix/qmgr removed",
            ]
        )
    )
    program, _, rest = kind.partition(" ")
    return f"{program}[7]: {qid}: {rest}"


OTHERS = st.sampled_from(
    [
        "postfix/smtpd[7]: connect from x.example[192.0.2.7]",
        "postfix/smtpd[7]: NOQUEUE: reject: RCPT from x.example[192.0.2.7]: 554 5.7.1 No; from=<a@b> to=<c@d>",
        "postfix/smtpd[7]: warning: x.example[192.0.2.7]: SASL LOGIN authentication failed: no",
        "postfix/smtpd[7]: message repeated 2 times: [ warning: x.example[192.0.2.7]: SASL X authentication failed]",
        "postfix/smtp[7]: AAAAA01: to=<half",
        "sshd[9]: hello",
    ]
)


@st.composite
def logs(draw: st.DrawFn) -> list[str]:
    """A log: mostly forward in time, by seconds or minutes, with a few lines that cannot be read."""
    lines, now = [], 0
    for body in draw(st.lists(st.one_of(said(), said(), said(), OTHERS), max_size=40)):
        now = max(0, now + draw(st.sampled_from([0, 0, 1, 1, 30, 90, -2])))
        stamp = f"Mar 10 {9 + now // 3600:02d}:{now // 60 % 60:02d}:{now % 60:02d}"
        lines.append(f"{stamp} mail {body}")
    return lines


CUTS = st.lists(st.integers(0, 40), max_size=6)


@given(logs(), CUTS)
def test_chunks_make_no_difference(lines: list[str], cuts: list[int]) -> None:
    assert run(lines, SMALL, cuts=cuts) == run(lines, SMALL)


@given(logs(), CUTS)
def test_to_save_and_load_anywhere_is_never_to_have_stopped(lines: list[str], cuts: list[int]) -> None:
    assert run(lines, SMALL, cuts=cuts, reload_at_cuts=True) == run(lines, SMALL)


@given(logs())
def test_every_line_is_in_exactly_one_place(lines: list[str]) -> None:
    assert_conserved(lines, run(lines, SMALL))


@given(logs(), st.randoms(use_true_random=False))
def test_every_line_of_a_shuffled_and_damaged_log_is_in_exactly_one_place(lines: list[str], rng: random.Random) -> None:
    damaged = [bytearray(line.encode()) for line in lines]
    rng.shuffle(damaged)
    for line in damaged:
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(line))
            line[at : at + rng.randrange(9)] = rng.randbytes(rng.randrange(4)).replace(b"\n", b"")
    raw = [bytes(line) for line in damaged]
    result = run(raw, SMALL, cuts=[len(raw) // 2])
    assert_conserved(raw, result)
    assert_well_formed(result)


@given(st.lists(st.binary(max_size=60).map(lambda text: text.replace(b"\n", b"")), min_size=1, max_size=20))
def test_any_bytes_are_decided(lines: list[bytes]) -> None:
    head = b"Mar 10 09:00:00 mail postfix/smtpd[7]: "
    raw = [part for line in lines for part in (line, head + line, head + b"AAAAA01: " + line)]
    assert_conserved(raw, run(raw, SMALL))


@given(logs())
def test_events_are_well_formed(lines: list[str]) -> None:
    assert_well_formed(run(lines, SMALL))


def assert_well_formed(result: Run) -> None:
    """Lists run parallel, recipients are unique, lines ascend, events are in the order of line and sub-index."""
    parallel = [name for name in (result.all_events or [{}])[0] if name.startswith("email_to_")]
    for event in result.all_events:
        assert len({len(event[name]) for name in parallel}) == 1
        assert len(set(event["email_to_address"])) == len(event["email_to_address"])
        assert event["log_offsets"] == sorted(set(event["log_offsets"]))
        assert event["timestamp"] is not None
        if event["event_action"] == "message":
            assert event["log_offsets"]
            assert event["timestamp_first"] is not None
    order = [(event["line"], event["log_sub"]) for event in result.events]
    assert order == sorted(set(order))
    assert [event["log_sub"] for event in result.finished] == list(range(len(result.finished)))


@st.composite
def mails(draw: st.DrawFn) -> tuple[list[str], list[dict[str, object]]]:
    """Whole messages with their lines interleaved, and what a reader who knows them expects, by queue id."""
    queues, expected = [], []
    for number in range(draw(st.integers(1, 6))):
        qid, who = f"BEEF{number:03X}", f"user{number}@school.example"
        lines = [
            f"postfix/smtpd[7]: {qid}: client=pc.example[192.0.2.{number}], sasl_method=PLAIN, sasl_username=u{number}",
            f"postfix/cleanup[7]: {qid}: message-id=<{number}@school.example>",
            f"postfix/qmgr[7]: {qid}: from=<{who}>, size={number}, nrcpt=1 (queue active)",
        ]
        last: dict[str, str] = {}
        tries: dict[str, int] = {}
        for _ in range(draw(st.integers(0, 5))):
            to, status = (
                draw(st.sampled_from(["a@x.example", "b@x.example", "c@y.example"])),
                draw(st.sampled_from(["sent", "deferred", "bounced"])),
            )
            lines.append(
                f"postfix/smtp[7]: {qid}: to=<{to}>, relay=none, delay=1, delays=0/0/0/1, dsn=2, status={status} (x)"
            )
            last[to] = status
            tries[to] = tries.get(to, 0) + 1
        lines.append(f"postfix/qmgr[7]: {qid}: removed")
        queues.append(lines)
        expected.append({
            "email_local_id": qid, "email_message_id": f"{number}@school.example", "email_from_address": who,
            "user_name": f"u{number}", "source_ip": f"192.0.2.{number}", "email_size": number,
            "email_to_address": list(last), "email_to_status": list(last.values()),
            "email_to_attempts": [tries[to] for to in last], "email_complete": True, "lines": len(lines),
        })  # fmt: skip
    order = draw(st.permutations([number for number, lines in enumerate(queues) for _ in lines]))
    return [f"Mar 10 09:00:00 mail {queues[number].pop(0)}" for number in order], expected


@given(mails())
def test_interleaved_messages_are_what_was_sent(case: tuple[list[str], list[dict[str, object]]]) -> None:
    lines, expected = case
    events = sorted(run(lines, WIDE).events, key=lambda event: str(event["email_local_id"]))
    found = [
        {**{key: event[key] for key in expected[0] if key != "lines"}, "lines": len(event["log_offsets"])}
        for event in events
    ]
    assert found == expected


def chunks(lines: Iterator[str], size: int = 5_000) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    for line in lines:
        part.append(line.encode())
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def test_a_hundred_thousand_messages_that_never_end_keep_to_the_limit_and_lose_nothing() -> None:
    count, limit = 100_000, 20_000
    normaliser = PostfixNormaliser(NormaliserSettings(year=2025, max_joins=limit))
    lines = (
        f"Mar 10 09:00:00 mail postfix/smtpd[7]: {number:05X}C0DE: client=x.example[192.0.2.7]"
        for number in range(count)
    )
    flushed, at = 0, 0
    began = time.process_time()
    for part in chunks(lines):
        out = normaliser.normalise(LineChunk(part, [at + offset for offset in offsets_of(part)]))
        at += sum(len(line) + 1 for line in part)
        flushed += out.events.height
        assert normaliser.open_lines <= limit
    last = normaliser.finish()
    assert last is not None
    assert flushed == count - limit
    assert last.events.height == limit
    assert time.process_time() - began < 20


def test_a_megabyte_of_recipients_is_several_events_of_one_message_that_each_fit_a_batch() -> None:
    count = 20_000
    first = ["Mar 10 09:00:00 mail postfix/cleanup[7]: ABCDEF1: message-id=<big@school.example>"]
    first.append(
        "Mar 10 09:00:00 mail postfix/qmgr[7]: ABCDEF1: from=<ann@school.example>, size=9, nrcpt=20000 (queue active)"
    )
    relay = "relay=mx.example.org[203.0.113.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 Ok)"
    sent = [
        f"Mar 10 09:00:00 mail postfix/smtp[7]: ABCDEF1: to=<a.person.with.number.{n}@example.org>, {relay}"
        for n in range(count)
    ]
    lines = [*first, *sent, "Mar 10 09:00:00 mail postfix/qmgr[7]: ABCDEF1: removed"]
    result = run(lines, WIDE, cuts=range(0, len(lines), 5_000))
    assert len(result.events) > 1
    assert [event["email_complete"] for event in result.events] == [False] * (len(result.events) - 1) + [True]
    assert {event["email_message_id"] for event in result.events} == {"big@school.example"}
    assert {event["email_from_address"] for event in result.events} == {"ann@school.example"}
    assert sum(len(event["email_to_address"]) for event in result.events) == count
    for event in result.events:
        text = sum(
            len("".join(event[name]))
            for name in ("email_to_address", "email_to_relay", "email_to_dsn", "email_to_status")
        )
        assert text < FULL_BYTES
    assert_conserved(lines, result)


def test_one_queue_id_used_over_and_over_without_removal_is_as_many_messages() -> None:
    lines = [
        f"Mar 10 09:{n // 60:02d}:{n % 60:02d} mail postfix/smtpd[7]: ABCDEF1: client=x.example[192.0.2.{n % 250}]"
        for n in range(500)
    ]
    result = run(lines, WIDE)
    assert len(result.messages) == 500
    assert_conserved(lines, result)


def test_many_messages_with_many_recipients_keep_to_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_joins, "MOST_BYTES", 20_000)  # a smaller limit, not another behaviour
    lines = [
        f"Mar 10 09:00:00 mail postfix/smtp[7]: AAAAA{n % 90:03X}: to=<r{n}@a.example>, relay=none, status=sent (x)"
        for n in range(3_000)
    ]
    result, normaliser = run(lines, WIDE), PostfixNormaliser(WIDE)
    raw = [line.encode() for line in lines]
    normaliser.normalise(LineChunk(raw, offsets_of(raw)))
    assert 0 < normaliser._messages.joins.weight <= 20_000
    assert len(result.events) > 100
    assert sum(len(event["email_to_address"]) for event in result.all_events) == 3_000
    assert_conserved(lines, result)
    assert run(lines, WIDE, cuts=[700, 1900], reload_at_cuts=True) == result


def test_what_an_enemy_writes_to_fill_memory_is_cut() -> None:
    long = "x" * 50_000
    head = "Mar 10 09:00:00 mail postfix/smtpd[7]: ABCDEF1: "
    bodies = [
        f"client={long}[192.0.2.7], sasl_username={long}",
        f"message-id=<{long}>",
        f"from=<{long}>, size=1, nrcpt=1",
    ]
    bodies.append(f"to=<{long}>, relay=none, delay=1, status=bounced ({long})")
    (event,) = run([head + body for body in bodies], WIDE).finished
    assert all(len(str(value)) < 3_000 for value in event.values())


@pytest.mark.parametrize("backwards", [False, True])
def test_messages_that_all_end_at_once_are_flushed_by_one_line(*, backwards: bool) -> None:
    lines = [
        f"Mar 10 09:{n // 60 % 60:02d}:{n % 60:02d} mail postfix/smtpd[7]: {n:05X}AB: client=x.example[192.0.2.7]"
        for n in range(3_000)
    ]
    if backwards:
        lines.reverse()
    lines.append("Mar 12 09:00:00 mail postfix/smtpd[7]: connect from x.example[192.0.2.7]")
    result = run(lines, WIDE)
    assert {event["line"] for event in result.events} == {3_000}
    times = [event["timestamp"] for event in result.events]
    assert len(times) == 3_000
    assert times == sorted(times)
