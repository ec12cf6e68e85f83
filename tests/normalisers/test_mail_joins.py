"""The joins that mail formats share, by a made-up format with the shortest of lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import StateError
from streams.normalisers.abstract import LineChunk, Normalised, NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import open_joins
from streams.normalisers.mail.join_lines import HELD, JoinNormaliser, Single, Taken
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine


class Short(JoinNormaliser):
    """`id from ADDRESS`, `id to ADDRESS STATUS`, `id done`; `no ADDRESS` is an event; `bad` is unreadable."""

    type_name = "short"
    DATASET = "short"
    fields = ()

    def take(self, head: SyslogLine) -> Taken:
        words = head.message.split()
        if words[0] == "bad":
            return Unreadable(Refused.UNKNOWN_FORM, "bad")
        if words[0] == "no":
            return Single(
                {"event_action": "rejected", "event_outcome": "failure"}, {words[1]: ["", "rejected", "", "", False, 0]}
            )
        if len(words) < 2:
            return Ignored.DEBUG
        if words[1] == "from":
            join = self.messages.begin(words[0])
            join.learn(email_from_address=words[2])
        else:
            join = self.messages.of(words[0])
            if words[1] == "done":
                self.messages.complete(join)
                return HELD
            join.deliver(words[2], words[3])
            join.reason = "no" if words[3] != "sent" else join.reason
        self.messages.touch(join)
        return HELD


def line(second: int, text: str) -> bytes:
    moment = datetime(2024, 3, 1, 8, tzinfo=UTC) + timedelta(seconds=second)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ} h p[1]: {text}".encode()


def rows(out: Normalised | None) -> list[dict[str, Any]]:
    return [] if out is None else out.events.to_dicts()


def read(normaliser: JoinNormaliser, *lines: bytes) -> Normalised:
    return normaliser.normalise(LineChunk(lines, range(len(lines))))


def test_lines_of_a_message_become_one_event_with_every_recipient() -> None:
    normaliser = Short(NormaliserSettings())
    out = read(
        normaliser, line(0, "a from x@example.org"), line(1, "a to y@example.org deferred"),
        line(2, "b from z@example.org"),
        line(3, "a to y@example.org sent"), line(4, "a to w@example.org sent"), line(5, "a done"),
    )  # fmt: skip
    (row,) = rows(out)
    assert (row["email_from_address"], row["email_to_address"]) == ("x@example.org", ["y@example.org", "w@example.org"])
    assert (row["email_to_status"], row["email_to_attempts"]) == (["sent", "sent"], [2, 1])
    assert (row["log_offsets"], row["line"], row["email_complete"]) == ([0, 1, 3, 4, 5], 5, True)
    assert (row["event_action"], row["event_outcome"], row["event_reason"]) == ("message", "success", None)
    assert normaliser.open_lines == 1


def test_a_line_after_the_event_makes_a_further_one_with_the_same_envelope() -> None:
    normaliser = Short(NormaliserSettings())
    out = read(
        normaliser,
        line(0, "a from x@example.org"),
        line(1, "a done"),
        line(2, "a to y@example.org bounced"),
        line(3, "a done"),
    )
    assert [(row["email_from_address"], row["event_outcome"]) for row in rows(out)] == [
        ("x@example.org", "unknown"), ("x@example.org", "failure"),
    ]  # fmt: skip
    assert rows(out)[1]["event_reason"] == "no"


def test_a_join_is_flushed_when_the_log_has_gone_on_at_the_time_that_it_had_reached() -> None:
    normaliser = Short(NormaliserSettings(join_max_s=60))
    out = read(normaliser, line(0, "a from x@example.org"), line(30, "other"), line(61, "other"), line(62, "a done"))
    first, second = rows(out)
    assert (first["line"], first["email_complete"], first["timestamp"].second) == (2, False, 30)
    assert (second["email_from_address"], second["email_complete"]) == ("x@example.org", True)


def test_the_oldest_join_goes_where_there_are_too_many() -> None:
    normaliser = Short(NormaliserSettings(max_joins=2))
    out = read(normaliser, line(0, "a from x@a.example"), line(1, "b from x@b.example"), line(2, "c from x@c.example"))
    assert [row["email_from_address"] for row in rows(out)] == ["x@a.example"]
    assert normaliser.open_lines == 2


def test_all_joins_together_take_no_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_joins, "MOST_BYTES", 2_000)
    normaliser = Short(NormaliserSettings())
    for number in range(300):
        read(normaliser, line(number, f"m{number} to somebody@example.org sent"))
    assert 0 < normaliser.messages.joins.weight <= 2_000


def test_repeats_of_an_event_are_so_many_events() -> None:
    out = read(
        Short(NormaliserSettings()),
        line(0, "message repeated 3 times: [ no x@example.org]"),
        line(1, "message repeated 2 times: [ x]"),
    )
    assert [row["log_sub"] for row in rows(out)] == [0, 1, 2]
    assert out.ignored == ((1, "debug"),)


WORDS = st.sampled_from([
    "a from x@a.example", "b from x@b.example", "c from x@c.example", "a to y@a.example sent",
    "b to y@a.example deferred",
    "a done", "b done", "c to y@c.example sent", "d done", "no x@example.org", "bad", "other", "",
    "message repeated 2 times: [ a to z@a.example sent]",
])  # fmt: skip
LOGS = st.lists(st.tuples(st.integers(0, 40), WORDS), max_size=40)
SMALL = NormaliserSettings(join_max_s=60, max_joins=2)


@given(log=LOGS, size=st.integers(1, 7))
def test_chunks_and_restarts_change_nothing_and_no_line_is_lost(log: list[tuple[int, str]], size: int) -> None:
    second, lines = 0, []
    for step, words in log:
        second += step
        lines.append(line(second, words))
    found, decided = [], []
    state = Short(SMALL).save()
    for start in range(0, len(lines), size):
        normaliser = Short(SMALL)
        normaliser.load(state)
        part = lines[start : start + size]
        out = normaliser.normalise(LineChunk(part, range(start, start + len(part))))
        found += [{**row, "line": row["line"] + start} for row in rows(out)]
        decided += [start + i for i, _ in out.ignored] + [start + r.line for r in out.rejects]
        state = normaliser.save()
    normaliser = Short(SMALL)
    whole = rows(normaliser.normalise(LineChunk(lines, range(len(lines)))) if lines else None)
    assert found == whole
    for row in [*whole, *rows(normaliser.finish())]:
        decided += row["log_offsets"] or [row["line"]]
    assert sorted(decided) == list(range(len(lines)))


@pytest.mark.parametrize("state", [b"[]", b'{"type": "other"}', b'{"seq": 1}', b'{"seq": 1, "now": 1, "open": [[1]]}'])
def test_a_state_of_something_else_is_refused(state: bytes) -> None:
    with pytest.raises(StateError, match="saved"):
        Short(NormaliserSettings()).load(state)
