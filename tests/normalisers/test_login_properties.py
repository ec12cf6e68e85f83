"""What holds for every line that anyone may write to the logs of identity providers, mail and file servers."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk
from streams.normalisers.login import keycloak
from streams.normalisers.reasons import Refused, vocabulary
from streams.normalisers.registry import make, types
from tests.normalisers.damaging import assert_each_decided_once, assert_quick, damaged_lines, hostile
from tests.normalisers.golden_files import SETTINGS, in_chunks, lines_of

TYPES = sorted(import_module("streams.normalisers.login.types_cloud").TYPES) + sorted(
    set(import_module("streams.normalisers.login.types").TYPES) - {"openssh"}
)


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_every_line_is_exactly_one_of_event_ignored_and_reject_however_chunked(
    type_name: str, data: st.DataObject
) -> None:
    lines = data.draw(damaged_lines(type_name, values=True))
    out = make(type_name, SETTINGS).normalise(LineChunk(lines, list(range(len(lines)))))
    assert_each_decided_once(out, lines)
    assert {r.reason for r in out.rejects} <= set(Refused)
    assert {reason for _, reason in out.ignored} <= vocabulary()
    assert set(out.events["event_outcome"].to_list()) <= {"success", "failure", "unknown"}
    actions = set(import_module(types()[type_name].made_by.partition(":")[0]).ACTIONS)
    assert set(out.events["event_action"].to_list()) <= actions
    size = data.draw(st.integers(1, len(lines)))
    assert in_chunks(make(type_name, SETTINGS), lines, size) == in_chunks(make(type_name, SETTINGS), lines, len(lines))


ODD: list[Any] = [
    None, [], {}, [[]], [None], ["x"], {"a": 1}, True, -1, 0, 2**70, 1.5, -1e308, "", "1.2.3.4:99999", "[", "{", "@",
    "a\\b@c", "9" * 400, "2024-03-01T13:30:00Z", [1, "a", {}],
]  # fmt: skip


def paths(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [above, *(path for key, part in inner for path in paths(part, (*above, key)))]


def put(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    changed = value.copy()
    changed[path[0]] = put(value[path[0]], path[1:], odd)
    return changed


@pytest.mark.parametrize("type_name", [name for name in TYPES if lines_of(name)[0].startswith(b"{")])
def test_a_value_of_another_type_anywhere_in_a_record_raises_nothing(type_name: str) -> None:
    records = [json.loads(line) for line in lines_of(type_name) if line.startswith(b"{") and line.endswith(b"}")]
    for record in records[:12]:
        lines = [json.dumps(put(record, path, odd)).encode() for path in paths(record) for odd in ODD]
        out = make(type_name, SETTINGS).normalise(LineChunk(lines, list(range(len(lines)))))
        decided = {*out.events["line"].to_list()} | {i for i, _ in out.ignored} | {r.line for r in out.rejects}
        assert len(decided) == len(lines)


SYSLOG = "Mar  1 08:30:00 h "
HOSTILE = [
    ("dovecot", hostile(">, rip=1.2.3.4, lip=1.2.3.4", SYSLOG + "dovecot: imap-login: Login: user=<")),
    ("dovecot", hostile("(auth failed, 1 attempts ", SYSLOG + "dovecot: imap-login: Disconnected ")),
    ("dovecot", hostile(",1.2.3.4", SYSLOG + "dovecot: auth: pam(")),
    ("dovecot", hostile("imap(", SYSLOG + "dovecot: ")),
    ("zimbra", hostile(";] a - ", "2024-03-01 08:30:00,123 INFO  [x] [a=b")),
    ("zimbra", hostile("authentication failed for [a], ", "2024-03-01 08:30:00,123 INFO  [x] [a=b;] imap - ")),
    ("nginx_mail", hostile(", client: 1.2.3.4, server: 1", "2024/03/01 08:30:00 [info] 1#1: *1 client logged in")),
    ("nginx_mail", hostile('" while in', '2024/03/01 08:30:00 [info] 1#1: *1 client login failed: "')),
    ("vsftpd", hostile('] OK LOGIN: Client "1.2.3.4"', "Fri Mar  1 08:30:01 2024 [pid 1] [")),
    ("vsftpd", hostile("[a] FTP ", "Fri Mar  1 08:30:01 2024 [pid 1] ")),
    ("proftpd", hostile(" (Login failed): Incorrect", SYSLOG + "proftpd[1]: h (a[1.2.3.4]) - USER ")),
    ("proftpd", hostile(": no such user found from a [1.2.3.4]", SYSLOG + "proftpd[1]: h (a[1.2.3.4]) - USER ")),
    ("pure_ftpd", hostile("(a@b) [INFO] ", SYSLOG + "pure-ftpd: ")),
    ("imap_pop", hostile(", ip=[1.2.3.4]", SYSLOG + "imapd: LOGIN, user=a")),
    ("imap_pop", hostile(" a User logged in", SYSLOG + "imap[1]: login: h [1.2.3.4] ")),
    ("imap_pop", hostile(" SASL(-13): a", SYSLOG + "imap[1]: badlogin: h [1.2.3.4] ")),
    ("imap_pop", hostile(" auth=a host=", SYSLOG + "imapd[1]: Login user=")),
    ("openldap", hostile('" method=1', SYSLOG + 'slapd[1]: conn=1 op=0 BIND dn="')),
    ("openldap", hostile(" etime=1", SYSLOG + "slapd[1]: conn=1 op=0 RESULT tag=97 err=0")),
    ("samba", hostile("] at [Fri, 01 Mar 2024] with [", "Auth: [SMB2,x] user [a]\\[")),
    ("samba", hostile("Auth: [a,b] user [", "")),
    ("keycloak", hostile(", a=", "2024-03-01 08:30:00,123 WARN  [x] (t) type=LOGIN, realmId=")),
    ("keycloak", hostile("a='", "2024-03-01 08:30:00,123 WARN  [x] (t) type=LOGIN, realmId=")),
    ("keycloak", hostile('a="', "2024-03-01 08:30:00,123 WARN  [x] (t) type=LOGIN, realmId=")),
    ("cas", hostile("|AUTHENTICATION_FAILED|a|1.2.3.4", "2024-03-01 08:30:00,123 INFO [x] - Fri|CAS")),
    ("cas", hostile("UsernamePasswordCredential(", "2024-03-01 08:30:00,123 INFO [x] - WHAT: ")),
    ("shibboleth", hostile("Login by '", "2024-03-01 08:30:00,123 - 1.2.3.4 - INFO [x] - a: ")),
    ("shibboleth", hostile("|", "1.2.3.4")),
    ("web_login", hostile("user 'a' and", 'time="2024-03-01T08:30:00Z" msg="Unsuccessful 1FA authentication by ')),
    ("web_login", hostile(" (1.2.3.4)", SYSLOG + "LLNG[1]: Bad password for a")),
    ("web_login", hostile("/imap/143 from: 1.2.3.4/1", "[2024-03-01 08:30:00,123] INFO in x: Login attempt for: ")),
    ("routeros", hostile(" via a", SYSLOG + "system,error,critical login failure for user a")),
    ("routeros", hostile("a,", SYSLOG)),
    ("exchange_imap_pop", hostile("R=", "2024-03-01T13:00:00Z,a,1,1.2.3.4:143,1.2.3.4:1,u,1,1,1,login,x,")),
    ("entra_signin", hostile('{"properties":')),
    ("entra_signin", hostile("[")),
    ("m365_audit", hostile('{"AuditData":"')),
    ("m365_audit", hostile("a=", "CEF:0|MCAS|SIEM_Agent|1|EVENT_CATEGORY_LOGIN|a|0|")),
    ("google_login", hostile('{"events":[')),
    ("duo", hostile('{"description":')),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "line"), HOSTILE, ids=[f"{t}-{n}" for n, (t, _) in enumerate(HOSTILE)])
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(type_name: str, line: bytes) -> None:
    assert_quick(type_name, line)


NAME = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters="\x85\xa0@\\"), min_size=1, max_size=30
)
FORGED = st.sampled_from([
    ">, rip=6.6.6.6, lip=6.6.6.6", '] OK LOGIN: Client "6.6.6.6"', ": Login successful.", ", ip=[6.6.6.6]",
    '", client: 6.6.6.6, server: 0.0.0.0:25, login: "', "] (x) [INFO] root is now logged in", ", ipAddress=6.6.6.6",
])  # fmt: skip
NGINX = ', client: 192.0.2.7, server: 0.0.0.0:143, login: "{}"'
TEMPLATES = [
    ("dovecot", SYSLOG + "dovecot: imap-login: Aborted login (auth failed, 1 attempts): user=<{}>, rip=192.0.2.7"),
    ("vsftpd", 'Fri Mar  1 08:30:01 2024 [pid 1] [{}] FAIL LOGIN: Client "192.0.2.7"'),
    ("proftpd", SYSLOG + "proftpd[1]: h (192.0.2.7[192.0.2.7]) - USER {} (Login failed): Incorrect password"),
    ("pure_ftpd", SYSLOG + "pure-ftpd: (?@192.0.2.7) [WARNING] Authentication failed for user [{}]"),
    ("imap_pop", SYSLOG + "imapd: LOGIN FAILED, user={}, ip=[192.0.2.7]"),
    ("nginx_mail", '2024/03/01 08:30:01 [info] 1#1: *1 client login failed: "x" while in http auth state' + NGINX),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "template"), TEMPLATES, ids=[name for name, _ in TEMPLATES])
@given(name=NAME, forged=FORGED, behind=st.booleans())
def test_a_failed_login_is_read_back_whatever_the_user_name_pretends(
    type_name: str, template: str, name: str, forged: str, behind: bool
) -> None:
    typed = name + forged if behind else forged + name
    line = template.replace("{}", typed).encode()
    rows: list[dict[str, Any]] = make(type_name, SETTINGS).normalise(LineChunk([line], [0])).events.to_dicts()
    assert [(row["event_outcome"], row["source_ip"]) for row in rows] == [("failure", "192.0.2.7")]
    assert rows[0]["user_name"] == typed


@given(st.lists(st.sampled_from([
    "type=", "type=LOGIN", ", a=", ", username=", '"', "'", "b", ",", " ", "\\", ', a.b-c="x"', ", d='y, e=z'", "=",
]), max_size=10))  # fmt: skip
def test_pairs_of_keycloak_are_the_same_read_at_once_or_one_by_one(parts: list[str]) -> None:
    text = "type=" + "".join(parts)
    assert keycloak._pairs(text) == keycloak._pairs_one_by_one(text)
