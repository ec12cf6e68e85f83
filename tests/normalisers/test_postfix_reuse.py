"""When a message is flushed, and whose the lines of a queue id are that is used again."""

from __future__ import annotations

import pytest

from streams.normalisers.abstract import NormaliserSettings
from tests.normalisers.postfix_helpers import SENT, SETTINGS, assert_conserved, lined, message, run


def at(hour: int, day: int = 10) -> str:
    return f"Mar {day} {hour:02d}:00:00"


HOUR = NormaliserSettings(year=2025, join_max_s=3600)


def test_a_message_is_flushed_by_the_logs_own_time_and_its_later_recipients_are_of_the_same_message() -> None:
    lines = [
        *message("4F2A91C0DE", "bo@example.org")[:-1],
        *lined("connect from x.example[192.0.2.1]", at=at(10)),
        *lined("connect from x.example[192.0.2.1]", at="Mar 10 10:00:01"),
        *lined(f"/smtp 4F2A91C0DE: to=<cy@example.org>, {SENT}", "/qmgr 4F2A91C0DE: removed", at=at(12)),
    ]
    first, second = run(lines, HOUR).events
    assert (first["line"], first["email_complete"], first["timestamp"].hour) == (5, False, 10)
    assert first["email_to_address"] == ["bo@example.org"]
    assert (second["email_complete"], second["email_to_address"]) == (True, ["cy@example.org"])
    for column in ("email_message_id", "email_from_address", "user_name", "source_ip", "email_local_id"):
        assert first[column] == second[column] is not None
    assert_conserved(lines, run(lines, HOUR))


def test_what_a_line_flushes_comes_before_what_it_completes_in_the_order_of_the_newest_lines() -> None:
    lines = [
        *lined("AAAAAA1: client=a.example[192.0.2.1]", at="Mar 10 09:00:02"),
        *lined("AAAAAA2: client=b.example[192.0.2.2]", at="Mar 10 09:00:01"),
        *lined("AAAAAA3: client=c.example[192.0.2.3]", at="Mar 10 11:00:00"),
        *lined("/qmgr AAAAAA3: removed", at="Mar 10 11:00:05"),
    ]
    events = run(lines, HOUR).events
    assert [(e["email_local_id"], e["line"], e["log_sub"]) for e in events] == [
        ("AAAAAA2", 2, 0),
        ("AAAAAA1", 2, 1),
        ("AAAAAA3", 3, 0),
    ]
    last = [*lines[:2], *lined("/qmgr AAAAAA3: removed", at="Mar 10 11:00:00")]
    last.insert(2, lined("AAAAAA3: client=c.example[192.0.2.3]", at="Mar 10 10:00:00")[0])
    assert [(e["email_local_id"], e["log_sub"]) for e in run(last, HOUR).events][-3:] == [
        ("AAAAAA2", 0),
        ("AAAAAA1", 1),
        ("AAAAAA3", 2),
    ]


def test_a_queue_id_that_begins_again_is_another_message_even_if_the_removal_is_missing() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")[:-1] + message("4F2A91C0DE", "cy@example.org", at=at(15))
    first, second = run(lines).events
    assert (first["email_complete"], first["email_to_address"]) == (False, ["bo@example.org"])
    assert (second["email_complete"], second["email_to_address"]) == (True, ["cy@example.org"])


def test_another_sender_or_size_tells_another_message_where_the_first_lines_are_lost() -> None:
    other = message("4F2A91C0DE", "cy@example.org", sender="zoe@school.example", at=at(15))[2:]
    first, second = run(message("4F2A91C0DE", "bo@example.org")[:-1] + other).events
    assert (first["email_from_address"], first["user_name"]) == ("ann@school.example", "ann")
    assert (second["email_from_address"], second["user_name"]) == ("zoe@school.example", None)


def test_a_new_message_under_an_old_queue_id_inherits_nothing() -> None:
    lines = [
        *message("4F2A91C0DE", "bo@example.org")[:-1],
        *lined("connect from x.example[192.0.2.1]", at=at(9, 12)),
        *lined(
            "/cleanup 4F2A91C0DE: message-id=<new@school.example>",
            f"/smtp 4F2A91C0DE: to=<q@example.org>, {SENT}",
            at=at(10, 12),
        ),
    ]
    *_, new = run(lines).all_events
    assert (new["email_message_id"], new["email_from_address"], new["user_name"]) == ("new@school.example", None, None)


def test_first_lines_in_another_order_are_one_message() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    lines[0], lines[1] = lines[1], lines[0]
    (event,) = run(lines).events
    assert (event["email_message_id"], event["user_name"]) == ("4F2A91C0DE@school.example", "ann")


def test_a_client_long_after_another_first_line_is_another_message() -> None:
    lines = lined("/cleanup 4F2A91C0DE: message-id=<bounce@school.example>")
    lines += message("4F2A91C0DE", "bo@example.org", at="Mar 10 09:02:00")
    first, second = run(lines).events
    assert (first["email_message_id"], first["email_complete"]) == ("bounce@school.example", False)
    assert second["email_message_id"] == "4F2A91C0DE@school.example"


@pytest.mark.parametrize("seen", [slice(0, 2), slice(0, 3), slice(2, 3)])
def test_a_message_id_after_the_queue_managers_line_or_a_delivery_begins_another_message(seen: slice) -> None:
    internal = lined(
        "/cleanup 4F2A91C0DE: message-id=<one@school.example>",
        "/qmgr 4F2A91C0DE: from=<>, size=7, nrcpt=1 (queue active)",
        f"/smtp 4F2A91C0DE: to=<bo@example.org>, {SENT}",
    )
    lines = internal[seen] + [line.replace("<one@", "<two@").replace("bo@", "cy@") for line in internal]
    first, second = run(lines).all_events
    assert first["email_message_id"] in {None, "one@school.example"}
    assert second["email_message_id"] == "two@school.example"
    assert second["email_to_address"] == ["cy@example.org"]


def test_what_was_flushed_is_forgotten_when_its_queue_id_is_used_again() -> None:
    lines = [
        *message("4F2A91C0DE", "bo@example.org")[:-1],
        *message("4F2A91C0DE", "cy@example.org", sender="zoe@school.example", at=at(14)),
        *lined(f"/smtp 4F2A91C0DE: to=<late@example.org>, {SENT}", at=at(16)),
    ]
    *_, late = run(lines, HOUR).all_events
    assert late["email_to_address"] == ["late@example.org"]
    assert (late["email_from_address"], late["email_message_id"]) == (None, None)


def test_a_delivery_that_its_removal_overtook_is_of_the_same_message_but_not_an_hour_later() -> None:
    lines = message("4F2A91C0DE", "bo@example.org", "cy@example.org")
    late = lines.pop(4)
    _, soon = run([*lines, late]).all_events
    assert (soon["email_to_address"], soon["user_name"]) == (["cy@example.org"], "ann")
    _, other = run([*lines, late.replace(" 09:", " 10:")]).all_events
    assert (other["email_to_address"], other["user_name"]) == (["cy@example.org"], None)


def test_what_is_open_at_the_end_is_flushed_in_the_order_of_the_newest_lines() -> None:
    lines = lined("AAAAAA1: client=a.example[192.0.2.1]", "AAAAAA2: client=b.example[192.0.2.2]")
    lines += lined("/cleanup AAAAAA1: message-id=<a@b>")
    result = run(lines, SETTINGS)
    assert [(e["email_local_id"], e["log_sub"], e["email_complete"], e["line"]) for e in result.finished] == [
        ("AAAAAA2", 0, False, 0),
        ("AAAAAA1", 1, False, 0),
    ]


def test_what_is_flushed_has_the_time_that_the_log_had_reached_and_not_one_far_ahead() -> None:
    stuck = message("4F2A91C0DE", "bo@example.org")[:-1]
    later = lined("connect from x.example[192.0.2.1]", at=at(11))
    wrong = lined("connect from x.example[192.0.2.1]", at=at(10, day=20))
    (at_the_end,) = run([*stuck, *later]).finished
    (at_a_jump,) = run([*stuck, *later, *wrong]).events
    assert [(e["timestamp"].day, e["timestamp"].hour) for e in (at_the_end, at_a_jump)] == [(10, 11)] * 2
