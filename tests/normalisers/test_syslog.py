"""The header of a syslog line, in the dialects there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
