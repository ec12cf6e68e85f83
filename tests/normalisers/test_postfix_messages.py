"""How lines of a queue id become one message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from streams.normalisers.abstract import LineChunk
from streams.normalisers.mail.postfix import PostfixNormaliser
from tests.normalisers.postfix_helpers import BOUNCED, DEFERRED, SENT, SETTINGS, lined, message, run


def test_all_lines_of_a_queue_id_become_one_message_with_every_recipient() -> None:
    lines = message("4F2A91C0DE", "bo@Example.ORG", "Cy@example.org")
    (event,) = run(lines).events
    assert event["event_action"] == "message"
    assert event["event_outcome"] == "success"
    assert event["email_complete"] is True
    assert event["email_to_address"] == ["bo@example.org", "Cy@example.org"]
    assert event["email_to_status"] == ["sent", "sent"]
    assert event["email_to_attempts"] == [1, 1]
    assert event["email_message_id"] == "4F2A91C0DE@school.example"
    assert event["email_local_id"] == "4F2A91C0DE"
    assert event["email_from_address"] == "ann@school.example"
    assert (event["user_name"], event["login_method"]) == ("ann", "PLAIN")
    assert (event["source_domain"], event["source_ip"]) == ("lab-7.school.example", "192.0.2.7")
    assert (event["email_size"], event["email_recipient_count"]) == (1200, 2)
    assert event["line"] == 5
    assert len(event["log_offsets"]) == 6
    assert event["log_offsets"] == sorted(event["log_offsets"])


def test_a_message_has_the_time_of_its_removal_and_of_its_first_line() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    lines[-1] = lines[-1].replace("09:00:00", "09:00:42")
    (event,) = run(lines).events
    assert event["timestamp"] == datetime(2025, 3, 10, 9, 0, 42, tzinfo=UTC)
    assert event["timestamp_first"] == datetime(2025, 3, 10, 9, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("qid", ["0F5383D", "4F2A91C0DE", "4XbV1p2FZ4zJ1yM", "3qkrRg0ycKzHGRy9"])
def test_short_and_long_queue_ids_are_joined(qid: str) -> None:
    (event,) = run(message(qid, "bo@example.org")).events
    assert event["email_local_id"] == qid


@pytest.mark.parametrize("program", ["postfix/submission/smtpd", "postfix-in/smtpd", "postfix/smtps/smtpd"])
def test_instances_and_services_with_names_of_their_own_are_joined(program: str) -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    lines[0] = lines[0].replace("postfix/smtpd", program)
    (event,) = run(lines).events
    assert event["source_ip"] == "192.0.2.7"


def test_two_hosts_in_one_log_may_have_the_same_queue_id() -> None:
    first, second = message("4F2A91C0DE", "bo@example.org"), message("4F2A91C0DE", "cy@example.org")
    second = [line.replace(" mail ", " mail2 ") for line in second]
    interleaved = [line for pair in zip(first, second, strict=True) for line in pair]
    one, two = run(interleaved).events
    assert (one["observer_hostname"], one["email_to_address"]) == ("mail", ["bo@example.org"])
    assert (two["observer_hostname"], two["email_to_address"]) == ("mail2", ["cy@example.org"])


def test_a_retry_changes_the_recipient_and_counts_as_an_attempt() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    lines.insert(3, lined(f"/smtp 4F2A91C0DE: to=<bo@example.org>, {DEFERRED}")[0])
    (event,) = run(lines).events
    assert event["email_to_address"] == ["bo@example.org"]
    assert event["email_to_status"] == ["sent"]
    assert event["email_to_dsn"] == ["2.0.0"]
    assert event["email_to_attempts"] == [2]
    assert event["event_outcome"] == "success"


@pytest.mark.parametrize(
    ("last", "outcome"),
    [
        ((SENT, SENT), "success"),
        ((SENT, BOUNCED), "unknown"),
        ((BOUNCED, BOUNCED), "failure"),
        ((DEFERRED,), "failure"),
    ],
)
def test_the_outcome_says_whether_all_or_none_got_it(last: tuple[str, ...], outcome: str) -> None:
    tries = [f"/smtp 4F2A91C0DE: to=<r{number}@example.org>, {how}" for number, how in enumerate(last)]
    (event,) = run(lined(*tries, "/qmgr 4F2A91C0DE: removed")).events
    assert event["event_outcome"] == outcome


def test_what_expires_in_the_queue_is_expired_and_what_was_sent_stays_sent() -> None:
    lines = lined(
        f"/smtp 4F2A91C0DE: to=<bo@example.org>, {SENT}",
        f"/smtp 4F2A91C0DE: to=<cy@example.net>, {DEFERRED}",
        "/qmgr 4F2A91C0DE: from=<ann@school.example>, status=expired, returned to sender",
        "/bounce 4F2A91C0DE: sender non-delivery notification: 5A1B2C3D4E",
        "/qmgr 4F2A91C0DE: removed",
    )
    (event,) = run(lines).events
    assert event["email_to_status"] == ["sent", "expired"]
    assert event["event_reason"] == "expired, returned to sender"
    assert len(event["log_offsets"]) == 5


def test_a_bounce_is_a_message_of_its_own_from_the_null_sender() -> None:
    lines = lined(
        "/cleanup 5A1B2C3D4E: message-id=<20250310.5A1B2C3D4E@mail.school.example>",
        "/qmgr 5A1B2C3D4E: from=<>, size=3000, nrcpt=1 (queue active)",
        f"/smtp 5A1B2C3D4E: to=<ann@school.example>, {SENT}",
        "/qmgr 5A1B2C3D4E: removed",
    )
    (event,) = run(lines).events
    assert event["email_from_address"] == ""
    assert event["source_ip"] is None


def test_a_local_submission_names_its_uid_and_the_queue_manager_the_whole_sender() -> None:
    lines = lined(
        "/pickup 6B00000001: uid=1004 from=<dee>",
        "/cleanup 6B00000001: message-id=<x@mail.school.example>",
        "/qmgr 6B00000001: from=<dee@mail.school.example>, size=300, nrcpt=1 (queue active)",
        "/qmgr 6B00000001: removed",
    )
    (event,) = run(lines).events
    assert (event["user_name"], event["email_from_address"]) == ("1004", "dee@mail.school.example")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["message-id=<a@b>"], "a@b"),
        (["resent-message-id=<r@b>", "message-id=<a@b>"], "a@b"),
        (["message-id=<a@b>", "resent-message-id=<r@b>"], "a@b"),
        (["resent-message-id=<r@b>"], "r@b"),
        (["message-id=<>"], None),
        (["message-id=a@b"], "a@b"),
        (["message-id=<a@b> (added by relay)"], "a@b"),
        (["message-id=<a@b>", "message-id=<c@d>"], "a@b"),
    ],
)
def test_the_message_id_is_the_first_and_not_that_of_a_resending(lines: list[str], expected: str | None) -> None:
    (event,) = run(lined(*(f"/cleanup 4F2A91C0DE: {line}" for line in lines), "/qmgr 4F2A91C0DE: removed")).events
    assert event["email_message_id"] == expected


REQUEUED = "status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 5C0FFEE123)"


@pytest.mark.parametrize(
    ("daemon", "relay", "answer", "to_filter"),
    [
        ("smtp", "127.0.0.1[127.0.0.1]:10024", REQUEUED, True),
        ("smtp", "localhost[::1]:10024", REQUEUED, True),
        ("lmtp", "mail.school.example[/run/amavis.sock]", REQUEUED, True),
        ("smtp", "127.0.0.1[127.0.0.1]:10024", "status=sent (250 2.7.0 Ok, discarded, id=123-01 - spam)", True),
        ("smtp", "scan.school.example[192.0.2.25]:10024", REQUEUED, True),
        ("pipe", "spamfilter", "status=sent (delivered via spamfilter service)", True),
        ("local", "local", "status=sent (forwarded as 5C0FFEE123)", True),
        ("lmtp", "mail.school.example[private/dovecot-lmtp]", "status=sent (250 2.0.0 <bo@x> qYy Saved)", False),
        ("lmtp", "127.0.0.1[127.0.0.1]:24", "status=sent (250 2.1.5 Delivered)", False),
        ("smtp", "mx.mailfilter.example[203.0.113.9]:25", "status=sent (250 2.0.0 Ok: queued as 5C0FFEE123)", False),
        ("smtp", "mx.example.org[203.0.113.9]:25", REQUEUED, False),
        ("smtp", "127.0.0.1[127.0.0.1]:10024", "status=deferred (host 127.0.0.1[127.0.0.1] said: 451 4.5.0 no)", False),
        ("local", "local", "status=sent (delivered to mailbox)", False),
        ("pipe", "dovecot", "status=sent (delivered via dovecot service)", False),
    ],
)
def test_a_hand_over_to_a_filter_is_told_from_a_delivery(
    daemon: str, relay: str, answer: str, *, to_filter: bool
) -> None:
    line = f"/{daemon} 4F2A91C0DE: to=<bo@example.org>, relay={relay}, delay=1, delays=0/0/0/1, dsn=2.0.0, {answer}"
    (event,) = run(lined(line, "/qmgr 4F2A91C0DE: removed")).events
    assert event["email_to_filter"] == [to_filter]


def test_an_expanded_alias_keeps_the_address_that_was_written() -> None:
    line = f"/smtp 4F2A91C0DE: to=<bo@example.org>, orig_to=<Staff@School.Example>, {SENT}"
    (event,) = run(lined(line, "/qmgr 4F2A91C0DE: removed")).events
    assert event["email_to_original_address"] == ["Staff@school.example"]


def test_a_quoted_address_cannot_forge_what_follows_it() -> None:
    forged = '"x>, relay=none, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (y"@example.org'
    (event,) = run(lined(f"/smtp 4F2A91C0DE: to=<{forged}>, {BOUNCED}", "/qmgr 4F2A91C0DE: removed")).events
    assert event["email_to_address"] == [forged]
    assert event["email_to_status"] == ["bounced"]


def test_a_recipient_refused_within_a_message_belongs_to_it() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    refusal = "reject: RCPT from lab-7.school.example[192.0.2.7]: 550 5.1.1 <no@school.example>: User unknown"
    tail = "; from=<ann@school.example> to=<no@school.example> proto=ESMTP helo=<lab-7>"
    lines.insert(1, lined(f"4F2A91C0DE: {refusal}{tail}")[0])
    (event,) = run(lines).events
    assert event["email_to_address"] == ["no@school.example", "bo@example.org"]
    assert event["email_to_status"] == ["rejected", "sent"]
    assert event["email_to_dsn"] == ["5.1.1", "2.0.0"]
    assert event["email_to_attempts"] == [0, 1]
    assert event["event_outcome"] == "unknown"
    assert (event["email_helo"], event["email_protocol"]) == ("lab-7", "ESMTP")


def test_a_milters_refusal_at_the_end_completes_the_message() -> None:
    lines = message("4F2A91C0DE")[:2] + lined(
        "/cleanup 4F2A91C0DE: milter-reject: END-OF-MESSAGE from lab-7.school.example[192.0.2.7]: 5.7.1 Spam; "
        "from=<ann@school.example> to=<bo@example.org> proto=ESMTP helo=<lab-7>",
        "/cleanup 4F2A91C0DE: removed (canceled)",
    )
    result = run(lines)
    (event,) = result.events
    assert (event["email_to_status"], event["email_complete"], event["event_reason"]) == (["rejected"], True, "Spam")
    assert event["event_outcome"] == "failure"
    assert result.ignored == [(3, "unattached")]


def test_a_header_check_refuses_before_the_message_id_is_logged_and_the_event_still_has_it() -> None:
    lines = message("4F2A91C0DE")[:1] + lined(
        "/cleanup 4F2A91C0DE: reject: header Subject: Win a prize from lab-7.school.example[192.0.2.7]; "
        "from=<ann@school.example> to=<bo@example.org> proto=ESMTP helo=<lab-7>: 5.7.1 no prizes",
        "/cleanup 4F2A91C0DE: message-id=<late@school.example>",
    )
    (event,) = run(lines).events
    assert event["email_message_id"] == "late@school.example"
    assert event["email_to_status"] == ["rejected"]
    assert event["event_reason"] == "5.7.1 no prizes"


def test_a_subject_is_hashed_and_not_kept() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    note = "warning: header Subject: Bake sale from lab-7.school.example[192.0.2.7]; from=<ann@school.example>"
    lines.insert(2, lined(f"/cleanup 4F2A91C0DE: {note} to=<list@school.example> proto=ESMTP helo=<lab-7>")[0])
    (event,) = run(lines).events
    assert len(event["email_subject_hash"]) == 32
    assert "Bake" not in str(event)
    assert event["email_to_address"] == ["bo@example.org"]  # the mention is no delivery


def test_a_subject_is_kept_only_where_the_source_says_so() -> None:
    lines = message("4F2A91C0DE", "bo@example.org")
    note = "warning: header Subject: Bake sale from lab-7.school.example[192.0.2.7]; from=<ann@school.example>"
    lines.insert(2, lined(f"/cleanup 4F2A91C0DE: {note} proto=ESMTP helo=<lab-7>")[0])
    (event,) = run(lines, replace(SETTINGS, keep_subject=True), cuts=[4], reload_at_cuts=True).events
    assert event["email_subject"] == "Bake sale"


@pytest.mark.parametrize(
    ("check", "reason"),
    [("body My password is hunter2", "body check"), ("header X-Note: hunter2", "header check: X-Note")],
)
def test_what_a_check_looked_at_in_a_message_is_stored_nowhere(check: str, reason: str) -> None:
    line = f"/cleanup 4F2A91C0DE: reject: {check} from lab-7[192.0.2.7]; from=<ann@school.example> to=<bo@example.org>"
    (event,) = run(lined(f"{line} proto=ESMTP helo=<x>")).all_events
    assert event["event_reason"] == reason
    assert "hunter2" not in str(event)
    broken = lined(f"/cleanup 4F2A91C0DE: reject: {check} {'x' * SETTINGS.max_line_bytes}")[0].encode()
    (letter,) = PostfixNormaliser(SETTINGS).normalise(LineChunk([broken], [0])).rejects
    assert b"hunter2" not in letter.raw
    assert letter.masked


@pytest.mark.parametrize("end", ["/postsuper 4F2A91C0DE: removed", "/postsuper 4F2A91C0DE: requeued"])
def test_the_administrator_can_end_a_message(end: str) -> None:
    (event,) = run([*message("4F2A91C0DE", "bo@example.org")[:-1], *lined(end)]).events
    assert event["email_complete"] is True


def test_lines_that_say_nothing_are_evidence_where_the_message_is_open_and_ignored_where_not() -> None:
    chat = lined(
        "/smtp 4F2A91C0DE: enabling PIX workarounds: disable_esmtp for mx.example.org[203.0.113.9]:25",
        "/qmgr 4F2A91C0DE: skipped, still being delivered",
        "/smtp 4F2A91C0DE: host mx.example.org[203.0.113.9] said: 450 4.7.1 later (in reply to RCPT TO command)",
        "/smtpd warning: 4F2A91C0DE: queue file size limit exceeded",
    )
    alone = run(chat)
    assert [reason for _, reason in alone.ignored] == ["unattached"] * 3 + ["warning"]
    within = run(message("4F2A91C0DE", "bo@example.org")[:3] + chat)
    assert len(within.finished[0]["log_offsets"]) == 7
    assert not within.ignored


def test_an_id_of_letters_that_postfix_itself_does_not_use_is_one_by_what_follows_it() -> None:
    (event,) = run(message("4bXyA12345uABCde", "bo@example.org")).events
    assert (event["email_local_id"], event["email_complete"]) == ("4bXyA12345uABCde", True)
    answer = "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4bXyA12345uABCdf"
    handed = "relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent"
    (event,) = run(lined(f"/smtp 4bXyA12345uABCde: to=<bo@example.org>, {handed} ({answer})")).all_events
    assert event["email_to_filter"] == [True]


def test_a_word_before_a_colon_is_no_queue_id() -> None:
    assert not run(
        lined(
            "warning: uid=0: File too large",
            "warning: to=, from=",
            "/smtp private/smtp: connect",
            "statistics: from none",
        )
    ).all_events
