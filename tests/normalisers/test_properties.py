"""What holds for every line that anyone may write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.addresses import ip
from streams.normalisers.masking import mask_text
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.registry import make
from tests.normalisers.damaging import assert_each_decided_once, assert_quick, damaged_lines, hostile
from tests.normalisers.golden_files import SETTINGS, in_chunks

TYPES = ["freeradius", "isc_dhcpd", "openssh", "squid"]
TOKEN = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_characters="\x85\xa0"), min_size=1, max_size=12
)


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_every_line_is_exactly_one_of_event_ignored_and_reject(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged_lines(type_name))
    out = make(type_name, SETTINGS).normalise(LineChunk(lines, list(range(len(lines)))))
    assert_each_decided_once(out, lines)
    assert {r.reason for r in out.rejects} <= set(Refused)
    assert {reason for _, reason in out.ignored} <= set(Ignored)


@pytest.mark.parametrize("type_name", TYPES)
@given(data=st.data())
def test_damaged_lines_give_the_same_however_they_are_chunked(type_name: str, data: st.DataObject) -> None:
    lines = data.draw(damaged_lines(type_name))
    size = data.draw(st.integers(1, len(lines)))
    whole = in_chunks(make(type_name, SETTINGS), lines, len(lines))
    assert in_chunks(make(type_name, SETTINGS), lines, size) == whole


SSHD = "Mar  1 07:00:00 gate sshd[1]: "
DHCPD = "Mar  1 08:00:00 dhcp1 dhcpd: "
RADIUS = "Fri Mar  1 07:30:00 2024 : Auth: Login incorrect"
HOSTILE = [
    ("openssh", hostile(" from 1.2.3.4 port 1", SSHD + "Failed password for ")),
    ("openssh", hostile("user ", SSHD + "Connection closed by ")),
    ("openssh", hostile("with for from ", SSHD + "Unable to negotiate ")),
    ("openssh", hostile(" port 1:", SSHD + "Received disconnect from ")),
    ("openssh", hostile(" not allowed", SSHD + "User a")),
    ("openssh", hostile("a:", SSHD + "Unable to negotiate with ")),
    ("openssh", hostile("(", SSHD + "refused connect from ")),
    ("openssh", hostile(" for ", SSHD + "error: PAM: ")),
    ("openssh", hostile(" ; ", "Mar  1 07:00:00 gate sudo: bob : ")),
    ("openssh", hostile(" ; TTY=", "Mar  1 07:00:00 gate sudo: bob : ")),
    ("openssh", hostile("user=", "Mar  1 07:00:00 gate x: pam_unix(a:b): authentication failure; ")),
    ("openssh", hostile("'", "Mar  1 07:00:00 gate login: FAILED LOGIN 1 FROM a FOR ")),
    ("openssh", hostile("' from ", "Mar  1 07:00:00 gate dropbear: Bad password attempt for '")),
    ("openssh", hostile("repeated ", SSHD + "message repeated 5 times: [")),
    ("openssh", hostile('[a="', "<1>1 2024-03-01T07:00:00Z h p 1 - ")),
    ("openssh", hostile("1", "Mar  1 07:00:00 ")),
    ("isc_dhcpd", hostile(") via (", DHCPD + "DHCPDISCOVER from 00:00:5e:10:00:01 (")),
    ("isc_dhcpd", hostile(" (", DHCPD + "DHCPACK on 10.0.0.1 to ")),
    ("isc_dhcpd", hostile(" uid", DHCPD + "DHCPDISCOVER from 00:00:5e:10:00:01 via eth0 ")),
    ("isc_dhcpd", hostile(" network a: ", DHCPD + "DHCPDISCOVER from 00:00:5e:10:00:01 via eth0: network ")),
    ("freeradius", hostile("(a): [", RADIUS)),
    ("freeradius", hostile("] (from client ", RADIUS + ": [a/")),
    ("freeradius", hostile("Login OK", RADIUS)),
    ("squid", hostile(" HIER_DIRECT/x", "1709287200.125 42 10.20.1.15 TCP_MISS/200 5120 GET ")),
    ("squid", hostile(' HTTP/1.1" 200 1', '10.1.1.1 - - [01/Mar/2024:11:00:02 +0100] "GET ')),
    ("squid", hostile('" "', '10.1.1.1 - - [01/Mar/2024:11:00:02 +0100] "GET /a"b HTTP/1.1" 200 1 "')),
    ("squid", hostile(" [a", "a b c")),
    ("squid", hostile("?a=://", "1709287200.125 42 10.20.1.15 TCP_MISS/200 5120 GET ", " - HIER_NONE/- -")),
    ("squid", hostile("&_token", "1709287200.125 42 10.20.1.15 TCP_MISS/200 5120 GET http://x/?", " - HIER_NONE/- -")),
]


@pytest.mark.parametrize(("type_name", "line"), HOSTILE, ids=[f"{t}-{n}" for n, (t, _) in enumerate(HOSTILE)])
def test_a_hostile_line_takes_no_longer_than_its_length_warrants(type_name: str, line: bytes) -> None:
    assert_quick(type_name, line)


# --- Squid: the columns against a parser that takes one line apart in the obvious way ---------------------------------


def obvious(line: str) -> dict[str, Any] | None:
    """Native form without blanks in the URL, by splitting. None where it does not fit."""
    first, *rest = line.split(" ")
    parts = [first, *(" ".join(rest).lstrip(" ").split(" "))]
    seconds, _, fraction = first.partition(".")
    duration, client, verdict, size, method, url, user, peering, mime = parts[1:10]
    result, status = verdict.split("/")
    hierarchy, _, peer = peering.partition("/")
    address = ip(peer)
    moment = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(fraction.ljust(6, "0")))
    return {
        "timestamp": moment, "event_duration": int(duration) * 1_000_000, "source_ip": ip(client),
        "proxy_result": stated(result), "http_response_status_code": int(status) or None,
        "http_response_bytes": int(size), "http_request_method": stated(method),
        "url_original": mask_text(url), "user_name": stated(user.rpartition("%5C")[2]),
        "user_domain": user.rpartition("%5C")[0] or None, "proxy_hierarchy": stated(hierarchy),
        "destination_ip": address, "destination_domain": None if address or not stated(peer) else peer.lower(),
        "http_response_mime_type": stated(mime), **obvious_url(mask_text(url)),
    }  # fmt: skip


def stated(text: str) -> str | None:
    return None if text == "-" else text


def obvious_url(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    name, dot, extension = parts.path.rpartition("/")[2].rpartition(".")
    return {
        "url_scheme": parts.scheme, "url_domain": parts.hostname, "url_port": parts.port,
        "url_path": parts.path or None, "url_query": parts.query or None,
        "url_extension": extension.lower() if dot and name else None,
    }  # fmt: skip


LABEL = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
SEGMENT = st.from_regex(r"[A-Za-z0-9_%~,'!\"]{0,8}(\.[A-Za-z0-9]{1,5})?", fullmatch=True)


@st.composite
def native_lines(draw: st.DrawFn) -> str:
    host = draw(st.one_of(st.builds("{}.{}".format, LABEL, LABEL), st.just("[2001:db8::80]"), st.just("192.0.2.80")))
    user_info = draw(st.sampled_from(["", "", "", "bob:pw@"]))
    port = draw(st.sampled_from(["", "", ":8080", ":65535"]))
    path = draw(st.one_of(st.just(""), st.lists(SEGMENT, min_size=1, max_size=4).map(lambda s: "/" + "/".join(s))))
    query = draw(st.sampled_from(["", "?q=1", "?a=b&token=abc&c=d", "?x=a/b?c", "?u=http://y.example.org/z"]))
    url = f"{draw(st.sampled_from(['http', 'https', 'ftp']))}://{user_info}{host}{port}{path}{query}"
    seconds = draw(st.integers(0, 4_000_000_000))
    peer = draw(st.sampled_from(["192.0.2.7", "2001:DB8::7", "parent.Example.org", "-"]))
    client = draw(st.sampled_from(["10.1.2.3", "2001:db8::15", "::ffff:10.1.2.4"]))
    status = draw(st.sampled_from(["000", "200", "304", "404", "503"]))
    extra = draw(st.sampled_from(["", " 902351708.872", ' "extra" [columns]']))
    return (
        f"{seconds}.{draw(st.integers(0, 999)):03d} {draw(st.integers(0, 999_999)):6d} {client}"
        f" {draw(st.sampled_from(['TCP_MISS', 'TCP_HIT', '-']))}/{status} {draw(st.integers(0, 10**12))} GET {url}"
        f" {draw(st.sampled_from(['-', 'jdoe', 'EXAMPLE%5Cjdoe']))}"
        f" {draw(st.sampled_from(['HIER_DIRECT', 'HIER_NONE']))}/{peer}"
        f" {draw(st.sampled_from(['-', 'text/html']))}{extra}"
    )


@given(lines=st.lists(native_lines(), min_size=1, max_size=20))
def test_squid_columns_equal_the_obvious_parse_of_each_line(lines: list[str]) -> None:
    out = make("squid", NormaliserSettings()).normalise(LineChunk([x.encode() for x in lines], list(range(len(lines)))))
    rows = out.events.to_dicts()
    assert len(rows) == len(lines)
    for line, row in zip(lines, rows, strict=True):
        expected = obvious(line)
        assert expected is not None
        assert {name: row[name] for name in expected} == expected


@given(user=TOKEN, address=st.ip_addresses(), port=st.integers(1, 65_535))
def test_a_failed_login_is_read_back_whatever_the_user_name(user: str, address: Any, port: int) -> None:
    line = f"Mar  1 07:00:00 gate sshd[1]: Failed password for {user} from {address} port {port} ssh2"
    row = make("openssh", SETTINGS).normalise(LineChunk([line.encode()], [0])).events.to_dicts()[0]
    whole = "@".join(part for part in (row["user_name"], row["user_domain"]) if part)
    assert whole in (user, f"{user.partition(chr(92))[2]}@{user.partition(chr(92))[0]}")
    assert (row["source_ip"], row["source_port"], row["event_outcome"]) == (ip(str(address)), port, "failure")
