"""What a login line says where it needs a second look: one attempt counted once, names that lie, passwords as names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streams.normalisers.abstract import LineChunk
from streams.normalisers.registry import make
from tests.normalisers.golden_files import SETTINGS

SSHD = "Mar  1 07:00:00 gate sshd[1]: "


def events(*lines: str) -> list[dict[str, Any]]:
    return (
        make("openssh", SETTINGS).normalise(LineChunk([x.encode() for x in lines], range(len(lines)))).events.to_dicts()
    )


def logins(*lines: str) -> list[tuple[str, str]]:
    found = [row for row in events(*lines) if row["event_action"] == "login"]
    return [(row["user_name"], row["event_outcome"]) for row in found]


def test_a_wrong_password_of_a_known_user_is_one_failure() -> None:
    assert logins(
        SSHD + "pam_unix(sshd:auth): authentication failure; logname= uid=0 tty=ssh ruser= rhost=10.0.0.1  user=jdoe",
        SSHD + "Failed password for jdoe from 10.0.0.1 port 5 ssh2",
        SSHD + "Connection closed by authenticating user jdoe 10.0.0.1 port 5 [preauth]",
    ) == [("jdoe", "failure")]  # fmt: skip


def test_a_wrong_password_of_an_unknown_user_is_one_failure() -> None:
    assert logins(
        SSHD + "Invalid user oracle from 10.0.0.1 port 5",
        SSHD + "Failed none for invalid user oracle from 10.0.0.1 port 5 ssh2",
        SSHD + "pam_unix(sshd:auth): check pass; user unknown",
        SSHD + "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=10.0.0.1",
        SSHD + "Failed password for invalid user oracle from 10.0.0.1 port 5 ssh2",
        SSHD + "Disconnected from invalid user oracle 10.0.0.1 port 5 [preauth]",
    ) == [("oracle", "failure")]  # fmt: skip


def test_a_success_is_one_success_with_its_sessions_beside_it() -> None:
    lines = [
        SSHD + "Postponed publickey for jdoe from 10.0.0.1 port 5 ssh2 [preauth]",
        SSHD + "Accepted publickey for jdoe from 10.0.0.1 port 5 ssh2: RSA SHA256:abc",
        SSHD + "pam_unix(sshd:session): session opened for user jdoe(uid=1000) by (uid=0)",
        SSHD + "Starting session: shell on pts/0 for jdoe from 10.0.0.1 port 5 id 0",
        SSHD + "pam_unix(sshd:session): session closed for user jdoe",
    ]
    assert logins(*lines) == [("jdoe", "success")]
    assert [row["event_action"] for row in events(*lines)] == [
        "login_step", "login", "session_start", "session_start", "session_end",
    ]  # fmt: skip


def test_repeated_failures_are_counted_as_many() -> None:
    failed = "Failed password for root from 10.0.0.1 port 5 ssh2"
    assert len(logins(SSHD + failed, SSHD + f"message repeated 7 times: [ {failed}]")) == 8
    assert len(logins(SSHD + failed, "Mar  1 07:00:09 gate last message repeated 7 times")) == 8


def test_a_repeat_is_cut_at_a_thousand() -> None:
    failed = "Failed password for root from 10.0.0.1 port 5 ssh2"
    assert len(logins(SSHD + f"message repeated 999999 times: [ {failed}]")) == 1000


def test_a_repeat_of_what_was_no_event_is_none() -> None:
    out = make("openssh", SETTINGS).normalise(
        LineChunk([b"Mar  1 07:00:00 gate kernel: x", b"Mar  1 07:00:09 gate last message repeated 7 times"], [0, 31])
    )
    assert out.events.is_empty()
    assert [str(reason) for _, reason in out.ignored] == ["other_program", "repeated_other"]


@pytest.mark.parametrize(
    "message",
    [
        "Failed password for invalid user S3cret!pw from 10.0.0.1 port 5 ssh2",
        "Invalid user S3cret!pw from 10.0.0.1 port 5",
        "input_userauth_request: invalid user S3cret!pw [preauth]",
        "Connection closed by invalid user S3cret!pw 10.0.0.1 port 5 [preauth]",
        "Disconnecting invalid user S3cret!pw 10.0.0.1 port 5: Too many authentication failures [preauth]",
        "error: PAM: User not known for illegal user S3cret!pw from 10.0.0.1",
        "error: maximum authentication attempts exceeded for invalid user S3cret!pw from 10.0.0.1 port 5 ssh2",
        "pam_sss(sshd:auth): received for user S3cret!pw: 10 (User not known to the underlying authentication module)",
        "pam_unix(sshd:auth): bad username [S3cret!pw]",
    ],
)
def test_a_password_typed_as_an_unknown_name_is_in_no_column(message: str) -> None:
    rows = events(SSHD + message)
    assert [row["user_name"] for row in rows] == ["(masked)"]
    assert "S3cret" not in str(rows)


def test_the_address_of_a_line_is_the_one_that_sshd_wrote_not_one_in_the_name() -> None:
    (row,) = events(SSHD + "Failed password for a from 192.0.2.1 port 1 ssh2 from 10.0.0.1 port 5 ssh2")
    assert (row["source_ip"], row["source_port"]) == ("10.0.0.1", 5)
    (row,) = events(SSHD + "Invalid user b from 192.0.2.1 port 1 from 10.0.0.1 port 5")
    assert (row["source_ip"], row["source_port"]) == ("10.0.0.1", 5)


def radius(*lines: str) -> list[dict[str, Any]]:
    chunk = LineChunk([f"Tue Mar  3 10:11:12 2020 : Auth: {x}".encode() for x in lines], range(len(lines)))
    return make("freeradius", SETTINGS).normalise(chunk).events.to_dicts()


def test_a_doubled_backslash_parts_a_domain_as_one_does() -> None:
    name = r"SCHOOL\\jdoe"  # sshd and FreeRADIUS escape what they log
    rows = events(SSHD + f"Failed password for {name} from 10.0.0.1 port 5 ssh2")
    rows += radius(f"Login OK: [{name}/<via Auth-Type = EAP>] (from client ap-1 port 0 cli 00-11-22-33-44-55)")
    assert [(row["user_name"], row["user_domain"]) for row in rows] == [("jdoe", "SCHOOL")] * 2


def test_a_byte_that_is_no_utf8_does_not_part_a_name() -> None:
    line = SSHD.encode() + b"Failed password for j\xf6rg from 10.0.0.1 port 5 ssh2"
    (row,) = make("openssh", SETTINGS).normalise(LineChunk([line], [0])).events.to_dicts()
    assert (row["user_name"], row["user_domain"]) == (r"j\xf6rg", None)


def test_a_timeout_names_the_client_not_the_server() -> None:
    line = "Timeout before authentication for connection from 10.0.0.1 to 192.0.2.22, pid = 7"  # OpenSSH 9.8
    (row,) = events(SSHD + line)
    assert (row["event_action"], row["source_ip"]) == ("handshake_failed", "10.0.0.1")


def test_a_fingerprint_ends_where_more_is_said() -> None:
    (row,) = events(SSHD + 'Failed hostbased for jdoe from 10.0.0.1 port 5 ssh2: RSA SHA256:xyz, client user "jdoe"')
    assert row["key_fingerprint"] == "SHA256:xyz"


def test_too_many_logins_at_once_are_a_failure_with_and_without_multilink() -> None:
    rest = "[jdoe] (from client ap-1 port 0 cli 00-11-22-33-44-55)"
    rows = radius(f"Multiple logins (max 1) : {rest}", f"Multiple logins (max 1) [MPP attempt]: {rest}")
    assert [(row["user_name"], row["event_outcome"]) for row in rows] == [("jdoe", "failure")] * 2
    assert [row["event_reason"] for row in rows] == ["Multiple logins (max 1)", "Multiple logins (max 1) [MPP attempt]"]


@pytest.mark.parametrize("level", ["none", "hidden", None, "low"])
@pytest.mark.parametrize("kinds", [["anonymizedIPAddress"], '["unfamiliarFeatures","anonymizedIPAddress"]', ["x"], []])
def test_an_address_that_hides_who_it_is_stands_with_and_without_a_level_of_risk(level: str | None, kinds: Any) -> None:
    record = {"createdDateTime": "2026-03-02T09:00:00Z", "userPrincipalName": "anna@school.example", "id": "1",
              "ipAddress": "203.0.113.9", "status": {"errorCode": 0}, "isInteractive": True,
              "riskLevelDuringSignIn": level, "riskEventTypes_v2": kinds}  # fmt: skip
    made = make("entra_signin", SETTINGS).normalise(LineChunk([json.dumps(record).encode()], range(1)))
    row = made.events.to_dicts()[0]
    assert row["source_is_proxy"] == (True if "anonymizedIPAddress" in kinds else None)
    assert bool(row["event_reason"]) == (level == "low")
