"""The header of a syslog line, in the dialects there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.normalisers.abstract import LineChunk, NormaliserSettings
from streams.normalisers.records import HEADER_STARTS
from streams.normalisers.registry import make
from streams.normalisers.syslog import Splitter, SyslogLine, split

FORMS = {
    "Mar  1 08:00:00 h sshd[5]: m": ("Mar  1 08:00:00", "h", "sshd", 5, "m"),
    "<38>Mar  1 08:00:00 h sshd[5]: m": ("Mar  1 08:00:00", "h", "sshd", 5, "m"),
    "<38> Mar  1 08:00:00 h sshd[5]: m": ("Mar  1 08:00:00", "h", "sshd", 5, "m"),
    "Mar 1 08:00:00 h sshd[5]: m": ("Mar 1 08:00:00", "h", "sshd", 5, "m"),
    "Mar  1 08:00:00.123456 h sshd: m": ("Mar  1 08:00:00.123456", "h", "sshd", None, "m"),
    "2024 Mar  1 08:00:00 h sshd: m": ("2024 Mar  1 08:00:00", "h", "sshd", None, "m"),
    "Mar  1 2024 08:00:00 h sshd: m": ("Mar  1 2024 08:00:00", "h", "sshd", None, "m"),
    "Mar  1 08:00:00 2024 h sshd: m": ("Mar  1 08:00:00 2024", "h", "sshd", None, "m"),
    "Mar  1 08:00:00 sshd[5]: no host": ("Mar  1 08:00:00", None, "sshd", 5, "no host"),
    "Mar  1 08:00:00 h : empty tag": ("Mar  1 08:00:00", "h", None, None, "empty tag"),
    "Mar  1 08:00:00 h last message repeated 2 times": (
        "Mar  1 08:00:00", "h", None, None, "last message repeated 2 times",
    ),
    "Mar  1 08:00:00 h 192.0.2.1 dhcpd[5]: relayed": ("Mar  1 08:00:00", "h", "dhcpd", 5, "relayed"),
    "Mar  1 08:00:00 h sshd[5] <Notice>: m": ("Mar  1 08:00:00", "h", "sshd", 5, "m"),
    "Mar  1 08:00:00 <auth.info> h sshd[5]: m": ("Mar  1 08:00:00", "h", "sshd", 5, "m"),
    "Mar  1 08:00:00 h sshd[5]: [ID 800047 auth.info] m": ("Mar  1 08:00:00", "h", "sshd", 5, "m"),
    "Mar  1 08:00:00 h gdm-password]: m": ("Mar  1 08:00:00", "h", "gdm-password", None, "m"),
    "Mar  1 08:00:00 h postfix/smtp[5]: A: to=<b>": ("Mar  1 08:00:00", "h", "postfix/smtp", 5, "A: to=<b>"),
    '<14>Mar  1 08:00:00 h {"a": 1}': ("Mar  1 08:00:00", "h", None, None, '{"a": 1}'),
    "<14>Mar  1 08:00:00 h a=b c: d": ("Mar  1 08:00:00", "h", None, None, "a=b c: d"),
    "Mar  1 08:00:00 h dhcpd:": ("Mar  1 08:00:00", "h", "dhcpd", None, ""),
    "2024-03-01T08:00:00.5+01:00 h sshd[5]: m": ("2024-03-01T08:00:00.5+01:00", "h", "sshd", 5, "m"),
    "2024-03-01T08:00:00+0100 h sshd[5]: m": ("2024-03-01T08:00:00+0100", "h", "sshd", 5, "m"),
    "2024-03-01 08:00:00 h sshd[5]: m": ("2024-03-01 08:00:00", "h", "sshd", 5, "m"),
    "<38>1 2024-03-01T08:00:00Z h sshd 5 - - m": ("2024-03-01T08:00:00Z", "h", "sshd", 5, "m"),
    '<38>1 2024-03-01T08:00:00Z h sshd 5 ID [a b="c\\"]"][d] m': ("2024-03-01T08:00:00Z", "h", "sshd", 5, "m"),
    "<38>1 2024-03-01T08:00:00Z - - - - -": ("2024-03-01T08:00:00Z", None, None, None, ""),
    "<38>1 2024-03-01T08:00:00Z h (squid-1)[5]: m": ("2024-03-01T08:00:00Z", "h", "(squid-1)", 5, "m"),
    "<38>1 2024-03-01T08:00:00Z h sshd 5 - - \ufeffm": ("2024-03-01T08:00:00Z", "h", "sshd", 5, "m"),
    "Mar  1 08:00:00 h sshd[99999999999999999999]: m": ("Mar  1 08:00:00", "h", "sshd", None, "m"),
}  # fmt: skip


@pytest.mark.parametrize("line", FORMS)
def test_a_header_is_split_in_every_dialect(line: str) -> None:
    assert split(line) == SyslogLine(*FORMS[line])


@pytest.mark.parametrize(
    "line", ["", "no header", "08:00:00 h sshd: m", "Foo  1 08:00:00 h sshd: m", "1709287200.1 1 x"]
)
def test_a_line_without_a_header_is_not_split(line: str) -> None:
    assert split(line) is None


PIECES = (
    "Mar  1 08:00:00|Mar 11 08:00:00|Mar 1 08:00:00| |  |h|sshd[5]|sshd|:|: |m|[ID 1 a.b] |192.0.2.1|<38>|1 |]|"
    '<Notice>|<auth.info> |2024|\xa0|[a b="c: d"]|- '
).split("|")


@given(lines=st.lists(st.lists(st.sampled_from(PIECES), max_size=9).map("".join), min_size=1, max_size=30))
def test_the_splitter_of_a_source_answers_as_split_does(lines: list[str]) -> None:
    splitter = Splitter()
    heads = [f"Mar  1 08:00:0{index % 3} {line}" for index, line in enumerate(lines)]
    for line in [*lines, *heads, *heads]:
        assert splitter.split(line) == split(line)


JOURNAL = (
    '{"__REALTIME_TIMESTAMP":"1709280000123456","_HOSTNAME":"gate","SYSLOG_IDENTIFIER":"sshd","_PID":"7",'
    '"PRIORITY":"6","MESSAGE":"Accepted password for ada from 192.0.2.9 port 22 ssh2"}'
)


def test_an_entry_of_the_journal_is_a_line_with_a_header() -> None:
    message = "Accepted password for ada from 192.0.2.9 port 22 ssh2"
    assert split(JOURNAL) == SyslogLine("@1709280000.123456", "gate", "sshd", 7, message)
    assert Splitter().split(JOURNAL) == split(JOURNAL)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{"__REALTIME_TIMESTAMP":"1","MESSAGE":[104,105,255]}', "hi\\xff"),
        ('{"__REALTIME_TIMESTAMP":"1","MESSAGE":null}', ""),
        ('{"__REALTIME_TIMESTAMP":"1"}', ""),
    ],
)
def test_a_message_of_bytes_is_text_and_a_missing_one_is_empty(entry: str, message: str) -> None:
    line = split(entry)
    assert line is not None
    assert (line.message, line.stamp) == (message, "@0.000001")


@pytest.mark.parametrize("text", ['{"a": 1}', '{"__REALTIME_TIMESTAMP": "x"}', '{"__REALTIME_TIMESTAMP":"1"', "{"])
def test_other_json_is_no_entry_of_the_journal(text: str) -> None:
    assert split(text) is None
    assert Splitter().split(text) is None


@pytest.mark.parametrize("type_name", ["openssh", "postfix", "isc_dhcpd", "freeradius"])
def test_formats_behind_syslog_are_read_from_the_journal_too(type_name: str) -> None:
    messages = {
        "openssh": ("sshd", "Accepted password for ada from 192.0.2.9 port 22 ssh2"),
        "postfix": (
            "postfix/smtpd",
            "NOQUEUE: reject: RCPT from x[192.0.2.1]: 554 5.7.1 <a@b>: no; from=<c@d> to=<a@b>",
        ),
        "isc_dhcpd": ("dhcpd", "DHCPACK on 10.0.0.5 to 02:00:5e:00:00:01 (pc) via eth0"),
        "freeradius": ("radiusd", "(0) Login OK: [ada] (from client ap port 1 cli 02-00-5e-00-00-01)"),
    }
    program, message = messages[type_name]
    line = json.dumps(
        {"__REALTIME_TIMESTAMP": "1709280000000000", "_HOSTNAME": "h", "SYSLOG_IDENTIFIER": program, "MESSAGE": message}
    )
    out = make(type_name, NormaliserSettings()).normalise(LineChunk([line.encode()], [0]))
    assert out.events["timestamp"].to_list() == [datetime(2024, 3, 1, 8, tzinfo=UTC)]
    assert out.events["observer_hostname"].to_list() == ["h"]


@given(st.text(max_size=2), st.sampled_from(["", "<13>Mar  1 08:00:00 h p: m", "1 2024-03-01T08:00:00Z h a - - - m"]))
def test_what_starts_like_no_header_has_none(start: str, rest: str) -> None:
    line = start + rest
    if line[:1] not in HEADER_STARTS or (line[:1] == "<" and not line[1:2].isdigit()):
        assert line[:1] == "{" or split(line) is None
