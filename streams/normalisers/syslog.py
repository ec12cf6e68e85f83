"""The header that syslog daemons put before a line.

Understood, with or without a leading `<PRI>`, with or without a blank behind it:

- RFC 3164 section 4.1.2 and its common dialects: `Mmm dd hh:mm:ss host tag[pid]: message`, with a fraction, with a
  year before the month, after the day or after the time, without a host, with an empty tag, with the address of a
  relay between host and tag;
- the same with an RFC 3339 or ISO 8601 time in front (rsyslog's `RSYSLOG_FileFormat`, systemd's `short-iso`);
- a line of `journalctl -o json` (`journal`), whose fields stand for the header;
- RFC 5424: `<PRI>1 time host app procid msgid structured-data message`, also where a sender puts an RFC 3164 tag
  after such a start (seen from OPNsense).

Times are left as text; `streams.normalisers.times.SourceClock` reads them.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from streams.normalisers.journal import unwrap_journal

MAX_PID_DIGITS = 18  # what fits a signed 64-bit integer whatever the digits are

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_BSD = rf"(?:\d{{4}} )?(?:{_MONTHS}) {{1,2}}\d{{1,2}}(?: \d{{4}})? \d\d:\d\d:\d\d(?:[.,]\d{{1,9}})?(?: \d{{4}}(?= ))?"
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_LEVEL = r"(?:<\w+\.\w+> )?"  # FreeBSD's syslogd -v
_TAG = r"([^\s\[\]:{}\"=]*)(?:\[([^\]\s]*)\]|\])?(?: <\w+>)?:(?: +|$)(.*)"  # a lone bracket: gdm's `gdm-password]:`

# The host must not end in a colon: then it is the tag of a line without a host.
_TAGGED = re.compile(
    rf"(?:<\d{{1,3}}> ?)?(?:1 )?({_BSD}|{_ISO}) +{_LEVEL}(?:(\S*[^\s:]) +)?{_TAG}", re.DOTALL | re.ASCII
)
_RELAYED = re.compile(
    rf"(?:<\d{{1,3}}> ?)?({_BSD}|{_ISO}) +(\S+) +(?:\d{{1,3}}\.){{3}}\d{{1,3}} +{_TAG}", re.DOTALL | re.ASCII
)
_SHORT_STAMP = re.compile(rf"(?:{_MONTHS}) [ \d]\d \d\d:\d\d:\d\d \Z", re.ASCII)
_UNTAGGED = re.compile(rf"(?:<\d{{1,3}}> ?)?({_BSD}|{_ISO}) +{_LEVEL}(\S+) +(.*)", re.DOTALL | re.ASCII)
_SD = r'(?:-|(?:\[[^\]"]*(?:"(?:[^"\\]|\\.)*"[^\]"]*)*\])+)'
_RFC5424 = re.compile(
    rf"(?:<\d{{1,3}}> ?)?1 (-|{_ISO}) (\S+) ([^\s:]+) (\S+) (\S+) {_SD}(?: (.*))?$", re.DOTALL | re.ASCII
)
_SOLARIS_ID = re.compile(r"\[ID \d+ \w+\.\w+\] ", re.ASCII)


class SyslogLine(NamedTuple):
    """A line taken apart.

    Attributes:
        stamp: The time as written, for `SourceClock.micros`.
        host: Host that wrote the line; None where the line names none.
        program: Program in the tag, without process id; None where the tag is empty or missing.
        pid: Process id; None where missing or no number.
        message: All behind the tag, without leading blanks.
    """

    stamp: str
    host: str | None
    program: str | None
    pid: int | None
    message: str


def split(line: str) -> SyslogLine | None:
    """Take a line apart; None where it does not start with a syslog header.

    The time's form is checked, its value is not: `Feb 30` splits, and no clock will read it. Runs in time linear in
    the length of the line.
    """
    if line[:1] == "{":
        journal = unwrap_journal(line)
        return None if journal is None else SyslogLine(*journal)
    rfc5424 = _RFC5424.match(line)
    if rfc5424 is not None:
        stamp, host, app, procid, _, message = rfc5424.groups()
        text = (message or "").removeprefix("\ufeff")
        return SyslogLine(stamp, _named(host), _named(app), _pid(procid), text)
    tagged = _TAGGED.match(line) or _RELAYED.match(line)
    if tagged is None:
        untagged = _UNTAGGED.match(line)
        return None if untagged is None else SyslogLine(untagged[1], untagged[2], None, None, untagged[3])
    stamp, host, program, pid, message = tagged.groups()
    if message.startswith("[ID "):
        message = _SOLARIS_ID.sub("", message, count=1)
    return SyslogLine(stamp, host, program or None, _pid(pid) if pid else None, message)


class Splitter:
    """`split` for the lines of one source: the same answers, quicker where hosts and programs come again.

    Remembers the texts between time and message, at most `MAX_TAGS`; then it starts anew.
    """

    MAX_TAGS = 4096

    def __init__(self) -> None:
        self._stamp = ""  # the last time found good, with the blank behind it
        self._tags: dict[str, tuple[str | None, str | None, int | None] | None] = {}

    def split(self, line: str) -> SyslogLine | None:
        """See `split`."""
        cut = line.find(": ", 16)
        stamp = line[:16]
        if stamp[:1] == "{":
            journal = unwrap_journal(line)
            return None if journal is None else SyslogLine(*journal)
        if cut < 0 or (stamp != self._stamp and not self._is_stamp(stamp)):
            return split(line)
        tag = line[16 : cut + 1]
        known = self._tags[tag] if tag in self._tags else self._learn(tag, stamp)
        if known is None:
            return split(line)
        message = line[cut + 2 :].lstrip(" ")
        if message.startswith("[ID "):
            message = _SOLARIS_ID.sub("", message, count=1)
        return SyslogLine(stamp[:15], *known, message)

    def _is_stamp(self, stamp: str) -> bool:
        if _SHORT_STAMP.match(stamp) is None:
            return False
        self._stamp = stamp
        return True

    def _learn(self, tag: str, stamp: str) -> tuple[str | None, str | None, int | None] | None:
        if len(self._tags) >= self.MAX_TAGS:
            self._tags.clear()
        whole = f"{stamp}{tag}"
        known = None
        if _TAGGED.fullmatch(whole) or _RELAYED.fullmatch(whole):
            found = split(whole)
            if found is not None and found.stamp == stamp[:15]:  # no year behind the time, which is part of the stamp
                known = (found.host, found.program, found.pid)
        self._tags[tag] = known
        return known


def _named(text: str) -> str | None:
    return None if text == "-" else text


def _pid(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_PID_DIGITS else None
