"""The grammar of the lines of a Cisco ESA's text mail logs (and AMP, bounce and authentication logs, which look alike).

Facts: Cisco "User Guide for AsyncOS for Cisco Secure Email Gateway" 8 to 15, chapter "Logging" (text mail logs with
injection, delivery, policies, scanning, message splintering and quarantine; bounce logs; AMP engine logs).

Everything here is a pure function of text, in time linear in the line. What a sender chooses (addresses, subject,
Message-ID, names of files) stands at the end of its line, or is found from both ends.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_OWN_STAMP = rf"(?:[A-Z][a-z]{{2}} )?(?:{_MONTHS}) {{1,2}}\d{{1,2}} \d\d:\d\d:\d\d(?: \d{{4}})?"

LEVELS: Final = "Critical|Warning|Info|Debug|Trace|Error|Notice"
PREFIX = re.compile(
    rf"(?:({_OWN_STAMP})(?: {{1,2}}(?:(\S{{1,255}}) )?[\w.\-]{{1,64}})?:? +)?(?:[\w.\-]{{1,64}}: )?({LEVELS}): +(.*)",
    re.DOTALL | re.ASCII,
)
"""Own time (where the line has one: as a file, or behind a header), host, level, words."""

CONSOLIDATED: Final = "ESA_CONSOLIDATED_LOG_EVENT"
OWN_CEF = re.compile(rf"({_OWN_STAMP}):? +(CEF: ?0\|.*)", re.DOTALL | re.ASCII)

MID = re.compile(r"(?:Start |Message finished |Message aborted )?MID (\d{1,12})\b ?(.*)", re.DOTALL | re.ASCII)
ICID = re.compile(r"ICID (\d{1,12}) (.*)", re.DOTALL | re.ASCII)
START = re.compile(r"Start MID (\d{1,12}) ICID (\d{1,12})\b", re.ASCII)
FROM = re.compile(r"(?:MID (\d{1,12}) )?ICID (\d{1,12}) From: <?([^>]*)>?(?: (.*))?\Z", re.DOTALL | re.ASCII)
TO = re.compile(
    r"(?:MID (\d{1,12}) )?ICID (\d{1,12}) (?:RID (\d{1,9}) )?To: <([^>]*)>?(?: (.*))?\Z", re.DOTALL | re.ASCII
)
CLIENT = re.compile(
    r"New SMTP ICID (\d{1,12}) interface .{0,255}? address (\S{1,64})(?: reverse dns host (\S{1,255}))?", re.ASCII
)
POLICY = re.compile(
    r"ICID (\d{1,12}) (ACCEPT|RELAY|REJECT|TCPREFUSE|CONTINUE) (?:SG (\S{1,255}) )?(.*)", re.DOTALL | re.ASCII
)
SMTP_AUTH = re.compile(
    r"SMTP Auth: \(ICID (\d{1,12})\) (succeeded|failed)(?: for user: (.*?))?(?: using AUTH mechanism: (\S{1,64})"
    r"(?: with profile: .*)?)?\Z",
    re.DOTALL | re.ASCII,
)
SERVER = re.compile(r"New SMTP DCID (\d{1,12}) interface \S{1,255} address (\S{1,64})(?: port (\d{1,5}))?", re.ASCII)
DONE = re.compile(r"Message done DCID (\d{1,12}) MID (\d{1,12}) to RID \[([\d, ]{0,60000})\]", re.ASCII)
BEGUN = re.compile(r"Delivery start DCID (\d{1,12}) MID (\d{1,12}) to RID \[([\d, ]{0,60000})\]", re.ASCII)
FAILED = re.compile(
    r"(Bounced|Delayed|Double bounce): DCID (\d{1,12}) MID (\d{1,12})(?: From: <[^>]{0,512}>)?(?: To: <([^>]{0,512})>)?"
    r"(?: to)? RID \[?(\d{1,9})\]?(?: - ([245]\.\d{1,3}\.\d{1,3}))?(?: - (.*))?\Z",
    re.DOTALL | re.ASCII,
)
RESPONSE = re.compile(r"RID \[([\d, ]{0,60000})\] Response '(.*)'\s*\Z", re.DOTALL | re.ASCII)
READY = re.compile(r"ready (\d{1,18}) bytes from <", re.ASCII)
TABLE = re.compile(r"matched .{0,300}(?:in the|for) (inbound|outbound) ", re.ASCII)
REWRITTEN = re.compile(r"rewritten to MID (\d{1,12})\b(.*)", re.DOTALL | re.ASCII)
SPLIT = re.compile(r"was split creating MID (\d{1,12})\b", re.ASCII)
GENERATED = re.compile(r"was generated (?:based on|from) MID (\d{1,12})\b", re.ASCII)
QUARANTINED = re.compile(
    r"(?:quarantined to|enqueued for transfer to centralized quarantine) \"(.{0,255}?)\"(?: \((.*)\))?",
    re.DOTALL | re.ASCII,
)
RELEASED = re.compile(
    r"released from (?:centralized )?(?:quarantine \"(.{0,255}?)\"|all quarantines)(?: \((.*?)\))?", re.ASCII
)
DELETED = re.compile(
    r"deleted from (?:centralized )?(?:quarantine \"(.{0,255}?)\"|all quarantines)(?: \((.*?)\))?", re.ASCII
)
ISQ = re.compile(r"ISQ: (?:Quarantined|Tagging) MID (\d{1,12})\b", re.ASCII)
THREAT_LEVEL = re.compile(r"Threat Level=\d{1,3} Category=(\S{1,64}) Type=(\S{1,64})", re.ASCII)
ENGINE = re.compile(r"(?:interim verdict )?using engine: ?(CASE|GRAYMAIL|SLBL|IMS|CSN) ?(.*)", re.DOTALL | re.ASCII)
INTERIM_AV = re.compile(r"interim AV verdict using (\S{1,64}) (\w{1,64})", re.ASCII)
ANTIVIRUS = re.compile(
    r"antivirus (negative|positive|encrypted|unscannable|repaired)(?: '(.{0,255})')?", re.DOTALL | re.ASCII
)
AMP = re.compile(r"AMP file reputation verdict ?: ?(\w{1,64})", re.ASCII)
OUTBREAK = re.compile(r"Outbreak Filters: verdict (\w{1,64})", re.ASCII)
ATTACHMENT = re.compile(r"attachment '(.*)'\s*\Z", re.DOTALL | re.ASCII)

AMP_QUERY = re.compile(
    r"File reputation query initiating\. File Name = '(.*)', MID = (\d{1,12}), File Size = (\d{1,18}) bytes, "
    r"File Type = (\S{1,255})\s*\Z",
    re.DOTALL | re.ASCII,
)
AMP_ANSWER = re.compile(
    r"Response received for file reputation query from \w{1,32}\. File Name = '(.*)', MID = (\d{1,12}), Disposition = "
    r"([\w ]{1,64}), Malware = ([^,]{1,255}), .{0,255}?sha256 = ([0-9A-Fa-f]{64})\b",
    re.DOTALL | re.ASCII,
)
AMP_NOT_SENT = re.compile(
    r"File not uploaded for analysis\.\s+MID = (\d{1,12}) File SHA256\[([0-9A-Fa-f]{64})\] file mime\[([^\]]{0,255})\]",
    re.ASCII,
)

ADMIN = re.compile(
    r"req:|http service|Session \S{1,64} from|SSL error|Error in http|[Ll]og(?:in|out):|User \S|The user |PID:? \d"
    r"|An authentication attempt|commit|CLI ",
    re.ASCII,
)
"""Logins to the appliance itself and its web pages, from GUI, authentication and CLI logs."""


class Failure(NamedTuple):
    """A line about a delivery that failed: `Bounced`, `Delayed` or `Double bounce`."""

    word: str
    dcid: str
    mid: str
    to: str | None
    rid: str
    dsn: str
    words: str


def failure(text: str) -> Failure | None:
    """Read such a line; None where it is none."""
    match = FAILED.match(text)
    if match is None:
        return None
    word, dcid, mid, to, rid, dsn, words = match.groups()
    return Failure(word, dcid, mid, to, rid, dsn or "", words or "")


def rids(text: str) -> list[str]:
    """The numbers of `RID [0, 1]`."""
    return [one for one in text.replace(" ", "").split(",") if one]


def subject_of(text: str) -> str | None:
    """The subject of `Subject 'text'`, `Subject "text"` or `Subject text`; None where it is no such line."""
    if not text.startswith("Subject "):
        return None
    subject = text[8:].strip()
    if len(subject) > 1 and subject[0] == subject[-1] and subject[0] in "'\"":
        subject = subject[1:-1]
    return subject.replace("\\r\\n", "").replace("\\n", "")
