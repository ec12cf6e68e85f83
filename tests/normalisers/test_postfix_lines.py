"""Lines that are events of their own, and lines that are none."""

from __future__ import annotations

import time

import pytest

from schemas.errors import StateError
from schemas.kinds import EventKind
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.columns import event_columns
from streams.normalisers.lines import MAX_REPEATS
from streams.normalisers.mail.postfix import PostfixNormaliser
from streams.normalisers.mail.postfix_chatter import IGNORED
from tests.normalisers.postfix_helpers import SETTINGS, assert_conserved, flat, lined, run

TAIL = "from=<Eve@Bad.Example> to=<ann@School.Example> proto=ESMTP helo=<evil>"


def test_a_refusal_without_a_queue_id_is_an_event_with_all_that_it_says() -> None:
    refusal = "554 5.7.1 <ann@School.Example>: Relay access denied"
    line = f"NOQUEUE: reject: RCPT from mta.bad.example[203.0.113.5]:4711: {refusal}; {TAIL}"
    (event,) = run(lined(line)).events
    said = flat(event)
    for of_header in ("timestamp", "event_dataset", "observer_hostname", "process_name", "process_pid", "log_sub"):
        assert said.pop(of_header) is not None
    assert said == {
        "event_action": "rejected",
        "event_outcome": "failure",
        "event_reason": "Relay access denied",
        "email_from_address": "Eve@bad.example",
        "email_to_address": ["ann@school.example"],
        "email_to_original_address": [""],
        "email_to_status": ["rejected"],
        "email_to_dsn": ["5.7.1"],
        "email_to_relay": [""],
        "email_to_filter": [False],
        "email_to_attempts": [0],
        "source_ip": "203.0.113.5",
        "source_port": 4711,
        "source_domain": "mta.bad.example",
        "email_helo": "evil",
        "email_protocol": "ESMTP",
        "email_complete": True,
    }


FROM = "from unknown[203.0.113.5]"
DONE = [
    (f"reject: RCPT {FROM}: 550 5.1.1 <a@b>: User unknown; {TAIL}", "rejected failure rejected", "User unknown"),
    (f"milter-reject: MAIL {FROM}: 451 4.7.1 Grey; {TAIL}", "rejected failure rejected", "Grey"),
    (f"reject_warning: RCPT {FROM}: 553 5.7.1 Not owner; {TAIL}", "warned unknown accepted", "Not owner"),
    (f"discard: RCPT {FROM}: <x@y>: Sender address; {TAIL}", "discarded failure discarded", "Sender address"),
    (f"filter: RCPT {FROM}: <x@y>: FILTER f:[::1]:9; {TAIL}", "filtered unknown accepted", "FILTER f:[::1]:9"),
    (f"hold: RCPT {FROM}: <x@y>: held; {TAIL}", "held unknown accepted", "held"),
    (f"permit: RCPT {FROM}: action=permit; {TAIL}", "noted unknown accepted", "action=permit"),
    ("reject: CONNECT from [203.0.113.5]:99: too many connections", "rejected failure", "too many connections"),
    (f"reject: RCPT {FROM}: 554 5.7.1 Service unavailable", "rejected failure", "Service unavailable"),
    (f"reject: RCPT {FROM}: 550 5.5.1 No; from=<a@b>, to=<c@d>, helo=<h>", "rejected failure rejected", "No"),
    (f"reject: RCPT {FROM}: 554 5.7.1 No; blocked by x; {TAIL}", "rejected failure rejected", "No; blocked by x"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "what", "reason"), DONE)
def test_what_is_done_before_there_is_a_queue_id(body: str, what: str, reason: str) -> None:
    (event,) = run(lined(f"NOQUEUE: {body}")).events
    assert [event["event_action"], event["event_outcome"], *event["email_to_status"]] == what.split()
    assert event["event_reason"] == reason
    assert (event["source_ip"], event["source_domain"]) == ("203.0.113.5", None)


@pytest.mark.parametrize(
    ("address", "helo"),
    [
        ('"; from=<boss@school.example> to=<x@y> proto=SMTP helo=<z"@bad.example', "evil"),
        ("eve@bad.example", "x; from=<boss@school.example> to=<x@y> proto=SMTP helo=<z"),
    ],
)
def test_what_a_client_writes_into_a_refusal_cannot_name_another_sender(address: str, helo: str) -> None:
    tail = f"from=<eve@bad.example> to=<{address}> proto=ESMTP helo=<{helo}>"
    (event,) = run(lined(f"NOQUEUE: reject: RCPT from unknown[203.0.113.5]: 554 5.7.1 <{address}>: No; {tail}")).events
    assert event["email_from_address"] == "eve@bad.example"


def test_a_before_queue_filters_verdict_names_the_message_and_delivers_to_nobody() -> None:
    answer = "250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 Ok: queued as 5C0FFEE123"
    accepted = f"proxy-accept: END-OF-MESSAGE: {answer}; {TAIL}"
    refused = f"proxy-reject: END-OF-MESSAGE: 554 5.7.0 Reject, id=1-2 - spam; {TAIL}"
    first, second = run(lined(accepted, refused)).events
    assert (first["event_action"], first["email_local_id"], first["email_to_filter"]) == (
        "accepted",
        "5C0FFEE123",
        [True],
    )
    assert (second["event_action"], second["event_reason"]) == ("rejected", "Reject, id=1-2 - spam")


@pytest.mark.parametrize(
    ("line", "user", "reason"),
    [
        ("authentication failed: authentication failure", None, "authentication failed: authentication failure"),
        ("authentication failed: UGFzc3dvcmQ6, sasl_username=ann", "ann", "authentication failed: UGFzc3dvcmQ6"),
        (
            "authentication failed: (reason unavailable), sasl_username=(unavailable)",
            None,
            "authentication failed: (reason unavailable)",
        ),
        ("authentication failed: x, sasl_username=hunter#2!xY", "(masked)", "authentication failed: x"),
        ("authentication aborted", None, "authentication aborted"),
    ],
)
def test_a_failed_authentication_is_an_event_and_a_password_typed_as_name_is_masked(
    line: str, user: str | None, reason: str
) -> None:
    (event,) = run(lined(f"warning: dsl.example[203.0.113.5]: SASL LOGIN {line}")).events
    assert (event["event_action"], event["event_outcome"]) == ("authentication_failed", "failure")
    assert (event["user_name"], event["event_reason"], event["login_method"]) == (user, reason, "LOGIN")
    assert (event["source_ip"], event["source_domain"]) == ("203.0.113.5", "dsl.example")


def test_an_authenticated_session_without_a_queue_id_is_an_event() -> None:
    (event,) = run(
        lined("NOQUEUE: client=lab-7.school.example[192.0.2.7], sasl_method=PLAIN, sasl_username=ann")
    ).events
    assert (event["event_action"], event["user_name"], event["source_ip"]) == ("authenticated", "ann", "192.0.2.7")


def test_behind_a_proxy_the_client_is_the_original_one() -> None:
    line = "4F2A91C0DE: client=localhost[127.0.0.1], orig_queue_id=NOQUEUE, orig_client=lab-7.school.example[192.0.2.7]"
    (event,) = run(lined(line)).finished
    assert (event["source_ip"], event["source_domain"]) == ("192.0.2.7", "lab-7.school.example")


def test_repeats_of_one_failure_are_as_many_events() -> None:
    failure = "warning: dsl.example[203.0.113.5]: SASL LOGIN authentication failed: x"
    lines = lined(f"message repeated 4 times: [ {failure}]", f"message repeated 999999999 times: [ {failure}]")
    result = run(lines)
    assert [e["log_sub"] for e in result.events[:4]] == [0, 1, 2, 3]
    assert len(result.events) == 4 + MAX_REPEATS
    assert_conserved(lines, result)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("connect from lab-7.school.example[192.0.2.7]", "connection"),
        ("disconnect from unknown[unknown] commands=0/0", "connection"),
        ("lost connection after AUTH from unknown[203.0.113.5]", "connection"),
        ("/smtp connect to mx.example.org[203.0.113.9]:25: Connection refused", "connection"),
        ("Anonymous TLS connection established from x[192.0.2.7]: TLSv1.3 with cipher X (256/256 bits)", "tls"),
        ("SSL_accept error from unknown[203.0.113.5]: lost connection", "tls"),
        ("warning: TLS library problem: error:0A000076", "tls"),
        ("/anvil statistics: max connection rate 1/60s for (smtp:203.0.113.5) at Mar 10 09:00:00", "statistics"),
        ("/scache statistics: start interval Mar 10 09:00:00", "statistics"),
        ("/postscreen PASS NEW [203.0.113.5]:4711", "postscreen"),
        ("/dnsblog addr 203.0.113.5 listed by domain bl.example as 127.0.0.2", "dns_blocklist"),
        ("warning: non-SMTP command from unknown[203.0.113.5]: GET / HTTP/1.1", "protocol_violation"),
        ("warning: hostname x.example does not resolve to address 203.0.113.5", "warning"),
        ("/master reload -- version 3.9.0, configuration /etc/postfix", "service_state"),
        ("/postfix-script refreshing the Postfix mail system", "service_state"),
        ("/tlsmgr anything", "tls"),
        ("/proxymap anything", "service_state"),
        ("< unknown[203.0.113.5]: AUTH PLAIN AGFubgBodW50ZXIy", "debug"),
        ("smtp_sasl_authenticate: mx: SASL mechanisms PLAIN", "debug"),
        ("NOQUEUE: lost connection after DATA (17 bytes) from unknown[203.0.113.5]", "connection"),
        ("NOQUEUE: client=lab-7.school.example[192.0.2.7]", "connection"),
        ("an unheard of message", "postfix_other"),
        ("ABCDEF1: removed", "unattached"),
        ("", "blank_line"),
    ],
)
def test_other_lines_are_ignored_for_a_reason_of_the_closed_list(rest: str, reason: str) -> None:
    line = lined(rest)[0] if rest else "Mar 10 09:00:00 mail postfix/smtpd[7]: "
    result = run([line])
    assert result.ignored == [(0, reason)]
    assert reason in IGNORED
    assert not result.all_events


@pytest.mark.parametrize(
    "program", ["dovecot[1]", "amavis[3]", "postfix/policyd-spf[9]", "sshd[2]", "evil/smtpdx[1]", "kernel"]
)
def test_other_programs_are_ignored_even_where_they_write_like_postfix(program: str) -> None:
    result = run([f"Mar 10 09:00:00 mail {program}: 4F2A91C0DE: to=<a@b>, relay=x, delay=1, status=sent (x)"])
    assert result.ignored == [(0, "other_program")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no header at all", "no_header"),
        ("Feb 30 09:00:00 mail postfix/qmgr[1]: 4F2A91C0DE: removed", "bad_time"),
        ("Mar 10 09:00:00 mail postfix/smtp[1]: 4F2A91C0DE: to=<a@b>, relay=none, delay=1", "unknown_form"),
        ("Mar 10 09:00:00 mail postfix/qmgr[1]: 4F2A91C0DE: from=<a@b>, size=x", "unknown_form"),
        ("Mar 10 09:00:00 mail postfix/pickup[1]: 4F2A91C0DE: uid=root", "unknown_form"),
        ("Mar 10 09:00:00 mail postfix/smtpd[1]: 4F2A91C0DE: client=", "unknown_form"),
        ("Mar 10 09:00:00 mail postfix/smtpd[1]: NOQUEUE: reject: RCPT", "unknown_form"),
        ("x" * 70_000, "line_too_long"),
    ],
)
def test_a_line_that_cannot_be_read_is_a_dead_letter_with_the_reason(line: str, reason: str) -> None:
    result = run([line])
    assert result.rejects == [(0, reason)]
    assert not result.all_events


def test_secrets_in_dead_letters_are_masked() -> None:
    from streams.normalisers.abstract import LineChunk

    line = b"Mar 10 09:00:00 mail postfix/smtp[1]: 4F2A91C0DE: to=<a@b>, relay=http://ann:hunter2@proxy.example/"
    (reject,) = PostfixNormaliser(SETTINGS).normalise(LineChunk([line], [0])).rejects
    assert b"hunter2" not in reject.raw
    assert reject.masked
    assert reject.timestamp is not None


@pytest.mark.parametrize(
    "header",
    [
        "Mar 10 09:00:00 mail postfix/qmgr[7]:",
        "<22>Mar 10 09:00:00 mail postfix/qmgr[7]:",
        "2025-03-10T09:00:00.123456+00:00 mail postfix/qmgr[7]:",
        "2025-03-10T09:00:00Z mail postfix/qmgr[7]:",
        "<22>1 2025-03-10T09:00:00Z mail postfix/qmgr 7 - -",
        "Mar 10 09:00:00 2025 mail postfix/qmgr[7]:",
    ],
)
def test_headers_of_all_common_syslogs_are_read(header: str) -> None:
    line = f"{header} 4F2A91C0DE: from=<ann@school.example>, size=1, nrcpt=1 (queue active)"
    (event,) = run([line]).finished
    assert (event["observer_hostname"], event["process_name"], event["process_pid"]) == ("mail", "postfix/qmgr", 7)
    assert (event["timestamp"].day, event["timestamp"].hour, event["email_local_id"]) == (10, 9, "4F2A91C0DE")


def test_the_frame_has_the_columns_of_the_schema_with_and_without_events() -> None:
    from streams.normalisers.abstract import LineChunk

    for rest in ("connect from x[192.0.2.1]", f"NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 No; {TAIL}"):
        frame = PostfixNormaliser(SETTINGS).normalise(LineChunk([lined(rest)[0].encode()], [0])).events
        assert dict(frame.schema) == dict(event_columns(EventKind.MAIL))


@pytest.mark.parametrize("state", [b"", b"[]", b'{"type":"squid"}', b'{"open":[[1]]}', b'{"seq":1,"open":3}'])
def test_a_foreign_state_is_refused(state: bytes) -> None:
    with pytest.raises(StateError):
        PostfixNormaliser(SETTINGS).load(state)


def test_a_new_source_has_nothing_to_load() -> None:
    PostfixNormaliser(SETTINGS).load(b"{}")


HOSTILE = [
    "NOQUEUE: reject: RCPT from x[1.2.3.4]: 554 5.7.1 " + "; from=<" * 8000,
    "NOQUEUE: reject: RCPT from x[1.2.3.4]: 554 5.7.1 <" + '"\\' * 30_000,
    "NOQUEUE: reject: RCPT from x[1.2.3.4]: 554 5.7.1 t; from=<a> to=<b> proto=c helo=<" + ">: " * 20_000,
    "ABCDEF1: to=<" + '"' * 60_000,
    "ABCDEF1: to=<a>, relay=b," + " a=b," * 12_000,
    "ABCDEF1: client=" + "a[" * 30_000,
    "ABCDEF1: client=a[1.2.3.4]" + ", sasl_username=a" * 3_500,
    "warning: a[1.2.3.4]: SASL LOGIN authentication failed: " + ", sasl_username=" * 3_500,
    "warning: " + "T" * 60_000,
    "cache " + "a" * 60_000,
    "proxy-accept: x: " + "queued as " * 6_000,
    "ABCDEF1: reject: header " + " from a[b]" * 6_000,
    "message repeated 3 times: [ " * 2_000,
    "ABCDEF1: message-id=" + "<" * 60_000,
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_line_made_to_be_slow_is_not(body: str) -> None:
    line = lined(body)[0]
    began = time.process_time()
    result = run([line])
    assert time.process_time() - began < 1.0
    assert_conserved([line], result)


def test_settings_cannot_ask_for_more_joins_than_have_sub_indices() -> None:
    assert PostfixNormaliser(NormaliserSettings(max_joins=10**6))._messages.joins.limit + MAX_REPEATS < 2**16
