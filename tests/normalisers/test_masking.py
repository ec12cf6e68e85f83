"""Secrets in lines: masked where they are known for what they are, and nothing else."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.kinds import EventKind
from streams.normalisers import masking
from streams.normalisers.abstract import LineChunk
from streams.normalisers.masking import MASK, TRIGGERS, looks_like_password, mask_bytes, mask_text
from streams.normalisers.registry import make, types
from tests.normalisers.golden_files import SETTINGS, expected_of, lines_of

MASKED = {
    "GET http://bob:hunter2@example.org/x": "GET http://(masked)@example.org/x",
    "GET http://a:b@c:d@example.org/x": "GET http://(masked)@example.org/x",
    "CONNECT bob:hunter2@example.org:443 HTTP/1.1": "CONNECT (masked)@example.org:443 HTTP/1.1",
    "http://e.org/?a=1&password=hunter2&b=2": "http://e.org/?a=1&password=(masked)&b=2",
    "http://e.org/?user_password=a%20b&b=2": "http://e.org/?user_password=(masked)&b=2",
    "http://e.org/?X-Amz-Signature=0af&b=2": "http://e.org/?X-Amz-Signature=(masked)&b=2",
    "http://e.org/?login[password]=x&b=2": "http://e.org/?login[password]=(masked)&b=2",
    "http://e.org/a;jsessionid=77?b=2": "http://e.org/a;jsessionid=(masked)",
    "http://e.org/#access_token=77&b=2": "http://e.org/#access_token=(masked)&b=2",
    "http://e.org/?u=http%3A%2F%2Ff.org%2F%3Ftoken%3Dabc%26z%3D1": (
        "http://e.org/?u=http%3A%2F%2Ff.org%2F%3Ftoken%3D(masked)%26z%3D1"
    ),
    '"Authorization: Basic Ym9iOmh1bnRlcjI=" 5': '"Authorization:(masked)" 5',
    "[Cookie:%20a%3Db%0D%0AHost:%20e.org]": "[Cookie:(masked)%0D%0AHost:%20e.org]",
    "Set-Cookie: id=1; path=/": "Set-Cookie:(masked)",
}

KEPT = [
    "http://e.org/?a=1&compass=3&bypass=4&tokens=5&inside=6&keyword=7&design=8",
    "http://e.org/mail@example.org/x",
    "http://e.org/?password=&b=2",
    "to=<bob@example.org>, relay=mx.example.org",
    "Failed password for bob from 192.0.2.1 port 5 ssh2",
    "Login OK: [bob/<via Auth-Type = eap>] (from client x port 0)",
    '<Data Name="TargetUserName">PC-1$</Data> UserName=EXAMPLE\\bob, User <bob@example.org> Account Name: Jane Doe',
]


@pytest.mark.parametrize("line", MASKED)
def test_a_known_secret_is_masked_in_text_and_bytes(line: str) -> None:
    assert mask_text(line) == MASKED[line]
    assert mask_bytes(line.encode()) == (MASKED[line].encode(), True)
    assert mask_text(MASKED[line]) == MASKED[line]


@pytest.mark.parametrize("line", KEPT)
def test_what_is_no_secret_is_kept(line: str) -> None:
    assert mask_text(line) == line
    assert mask_bytes(line.encode()) == (line.encode(), False)


@pytest.mark.parametrize("line", MASKED)
def test_the_quick_look_finds_every_line_that_masking_changes(line: str) -> None:
    assert re.search(TRIGGERS, line) or line.startswith("CONNECT")


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        (b"Failed password for invalid user S3cret!x from a", b"Failed password for invalid user (masked) from a"),
        (b"Login incorrect: [bob/hun]ter2] (from client x", b"Login incorrect: [bob/(masked)] (from client x"),
        (b"Login incorrect (pap: no): [bob/hunter2", b"Login incorrect (pap: no): [bob/(masked)"),
        (b"Multiple logins (max 1) [MPP attempt]: [b/pw] (from", b"Multiple logins (max 1) [MPP attempt]: [b/(masked)"),
        (b'<Data Name="TargetUserName">hunter2!</Data>', b'<Data Name="TargetUserName">(masked)</Data>'),
        (b'{"TargetUserName":"hunter2!","x":1}', b'{"TargetUserName":"(masked)","x":1}'),
        (b"Account Name:\t\thunter2!\r\n", b"Account Name:\t\t(masked)\r\n"),
        (b"Failed, UserName=hunter2!, User-Name=bob, a=b", b"Failed, UserName=(masked), User-Name=bob, a=b"),
        (b"Group <a> User <hunter2!> IP <1>", b"Group <a> User <(masked)> IP <1>"),
    ],
)  # fmt: skip
def test_a_dead_letter_shows_no_password_of_a_login(line: bytes, masked: bytes) -> None:
    assert mask_bytes(line) == (masked, True)


@pytest.mark.parametrize("name", ["Tr0ub4dor&3", "P@ssw0rd", "xK7pQ2w9", "hunter2!", "pa$$word", "x@realm", "aB3" * 9])
def test_a_password_typed_as_name_looks_like_one(name: str) -> None:
    assert looks_like_password(name)


@pytest.mark.parametrize(
    "name",
    ["root", "jdoe", "JSmith22", "Winter2024", "j.smith-2", "o'brien", "bob@example.org", "bob@REALM", "EXAMPLE\\bob",
     "pc01$", "123456", "host/pc1.example.org", "bob+list@example.org", "fake from 192.0.2.1 port 5"],
)  # fmt: skip
def test_a_name_does_not_look_like_a_password(name: str) -> None:
    assert not looks_like_password(name)


PROXIES = [name for name, entry in types().items() if entry.kind is EventKind.PROXY]


@pytest.mark.parametrize("name", PROXIES)
def test_a_source_may_name_further_parameters_whose_values_are_masked(name: str) -> None:
    """Every parameter of the golden lines' URLs is named: no value of any is left, in events or in dead letters."""
    lines = lines_of(name)
    queries = [fate["url_query"] for fate in expected_of(name) if fate.get("url_query")]
    names = {part.partition("=")[0].lower() for query in queries for part in query.split("&") if "=" in part}
    plain = {n for n in names if n.isascii() and n.replace("_", "").isalnum()}
    settings = replace(SETTINGS, mask_parameters=frozenset(plain))
    out = make(name, settings).normalise(LineChunk(lines, list(range(len(lines)))))
    for column in ("url_query", "url_original", "http_request_referrer"):
        for text in out.events[column].drop_nulls():
            for parameter, value in re.findall(r"[?&]([A-Za-z0-9_]+)=([^&#\s]*)", f"?{text}"):
                assert parameter.lower() not in plain or value in ("", MASK), (column, text)
    for reject in out.rejects:
        for parameter, value in re.findall(rb"[?&]([A-Za-z0-9_]+)=([^&#\s\"'<>;|,]+)", reject.raw):
            assert parameter.decode().lower() not in plain or value.startswith(MASK.encode()), reject.raw


PARTS = [
    *MASKED, "@", "://u:p@h", "CONNECT a:b@c:1", "Authorization: x", "COOKIE%3aa", "password=", "token%3Dq", "?",
    "&sid=1", "Login OK: [bob/pw] (from client x)", "invalid user xK7pQ2w9", "FOR 'hunter2!", "UserName=hunter2!",
    "é", "\xff", " ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=5)))
def test_what_no_pattern_can_find_is_not_looked_for(parts: list[str]) -> None:
    """The quick looks before the patterns change nothing."""
    text = "".join(parts)
    line = text.encode("utf-8", "surrogatepass")
    slow_text, slow = text, line
    for pattern, replacement in masking._TEXT:
        slow_text = pattern.sub(replacement, slow_text)
    for pattern_bytes, replacement_bytes in masking._BYTES:
        slow = pattern_bytes.sub(replacement_bytes, slow)
    slow = masking._RADIUS_BYTES.sub(rb"\1" + MASK.encode(), slow)
    for names in (masking._TYPED_NAME_BYTES, masking._NAME_FIELD_BYTES):
        slow = names.sub(masking._typed_name, slow)
    assert mask_text(text) == slow_text
    assert mask_bytes(line) == (slow, slow != line)
