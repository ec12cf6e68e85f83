"""A Windows event out of the text that the event viewer shows, in English, as older shippers forward it.

Read are Snare (`MSWinEventLog`, separated by tabs), NXLog's and others' plain syslog, evtsys (`4624: AUDIT_SUCCESS`),
QRadar's WinCollect (`AgentDevice=WindowsLog`), Splunk's classic form (`EventCode=4624`), and the bare text; with its
line breaks, or flattened to one line as syslog does.

In a flattened text a name may imitate what follows it. So of a name that somebody chose the first mention counts, of
all else the last: what comes behind the name was written by Windows.

Facts: the message texts in Microsoft's event reference; Snare's "Windows Event Log Format"; QRadar's WinCollect events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.normalisers.login.windows_events import WinEvent

_SENTENCES: Final[Mapping[str, int]] = {
    "An account was successfully logged on": 4624,
    "An account failed to log on": 4625,
    "An account was logged off": 4634,
    "User initiated logoff": 4647,
    "A logon was attempted using explicit credentials": 4648,
    "Special privileges assigned to new logon": 4672,
    "A user account was locked out": 4740,
    "A Kerberos authentication ticket (TGT) was requested": 4768,
    "A Kerberos service ticket was requested": 4769,
    "Kerberos pre-authentication failed": 4771,
    "The computer attempted to validate the credentials for an account": 4776,
    "The domain controller attempted to validate the credentials for an account": 4776,
    "The domain controller failed to validate the credentials for an account": 4777,
    "A session was reconnected to a Window Station": 4778,
    "A session was disconnected from a Window Station": 4779,
    "The workstation was locked": 4800,
    "The workstation was unlocked": 4801,
    "Network Policy Server granted access to a user": 6272,
    "Network Policy Server denied access to a user": 6273,
    "Network Policy Server discarded the request for a user": 6274,
    "Network Policy Server granted full access to a user": 6278,
}
_SENTENCE = re.compile("|".join(re.escape(sentence) for sentence in _SENTENCES))
_OTHER = re.compile(
    r"(?:A|An|The|Network Policy Server|Kerberos|User) [a-z][\w ()\-]{5,80}\.\s+"
    r"(?:Subject|User|Account|New|Target|Computer|Process)[\w ]{0,40}:",
    re.ASCII,
)

_SECTIONS: Final[Mapping[str, str]] = {
    "Subject": "Subject",
    "New Logon": "Target",
    "Account For Which Logon Failed": "Target",
    "Account Whose Credentials Were Used": "Target",
    "Account That Was Locked Out": "Target",
    "Account Information": "Target",
    "User": "Subject",
    "Client Machine": "Machine",
    "Process Information": "",
    "Network Information": "",
    "Additional Information": "",
    "Failure Information": "",
    "Service Information": "Service",
    "Target Server": "",
    "Detailed Authentication Information": "",
    "Logon Information": "",
    "Certificate Information": "",
    "Session": "",
    "NAS": "",
    "RADIUS Client": "",
    "Authentication Details": "",
}
_NAMES: Final[Mapping[str, str]] = {  # a label to the end of a name that begins with the section's word
    "Account Name": "UserName",
    "Account Domain": "DomainName",
    "Security ID": "UserSid",
    "User ID": "UserSid",
    "Logon ID": "LogonId",
    "Supplied Realm Name": "DomainName",
}
_LABELS: Final[Mapping[str, str]] = {
    "Logon Type": "LogonType",
    "Logon GUID": "LogonGuid",
    "Linked Logon ID": "TargetLinkedLogonId",
    "Elevated Token": "ElevatedToken",
    "Network Account Name": "TargetOutboundUserName",
    "Network Account Domain": "TargetOutboundDomainName",
    "Process Name": "ProcessName",
    "Caller Process Name": "ProcessName",
    "Workstation Name": "WorkstationName",
    "Source Workstation": "Workstation",
    "Caller Computer Name": "TargetDomainName",
    "Source Network Address": "IpAddress",
    "Network Address": "IpAddress",
    "Client Address": "IpAddress",
    "Source Port": "IpPort",
    "Client Port": "IpPort",
    "Port": "IpPort",
    "Logon Process": "LogonProcessName",
    "Authentication Package": "AuthenticationPackageName",
    "Package Name (NTLM only)": "LmPackageName",
    "Failure Reason": "FailureReason",
    "Status": "Status",
    "Sub Status": "SubStatus",
    "Failure Code": "Status",
    "Result Code": "Status",
    "Error Code": "Status",
    "Logon Account": "TargetUserName",
    "Target Server Name": "TargetServerName",
    "Service Name": "ServiceName",
    "Pre-Authentication Type": "PreAuthType",
    "Session Name": "SessionName",
    "Client Name": "ClientName",
    "Fully Qualified Account Name": "FullyQualifiedSubjectUserName",
    "Called Station Identifier": "CalledStationID",
    "Calling Station Identifier": "CallingStationID",
    "NAS IPv4 Address": "NASIPv4Address",
    "NAS IPv6 Address": "NASIPv6Address",
    "NAS Identifier": "NASIdentifier",
    "NAS Port-Type": "NASPortType",
    "NAS Port": "NASPort",
    "Client Friendly Name": "ClientName",
    "Client IP Address": "ClientIPAddress",
    "Connection Request Policy Name": "ProxyPolicyName",
    "Network Policy Name": "NetworkPolicyName",
    "Authentication Type": "AuthenticationType",
    "EAP Type": "EAPType",
    "Account Session Identifier": "AccountSessionIdentifier",
    "Reason Code": "ReasonCode",
    "Reason": "Reason",
    "Logging Results": "LoggingResult",
}
_SKIPPED = (
    "Process ID", "Caller Process ID", "Transited Services", "Key Length", "Ticket Options", "Session ID", "Privileges",
    "Ticket Encryption Type", "Certificate Issuer Name", "Certificate Serial Number", "Certificate Thumbprint",
    "Restricted Admin Mode", "Remote Credential Guard", "Virtual Account", "Impersonation Level", "Service ID",
    "OS-Version", "Authentication Provider", "Authentication Server",
)  # fmt: skip
_TOKENS = frozenset(
    "LogonType LogonGuid TargetLinkedLogonId IpAddress IpPort Status SubStatus PreAuthType ReasonCode "
    "SubjectLogonId TargetLogonId NASIPv4Address NASIPv6Address ClientIPAddress".split()
)
_CHOSEN = frozenset({"SubjectUserName", "TargetUserName", "SubjectUserSid", "FullyQualifiedSubjectUserName"})
_words = sorted((*_SECTIONS, *_NAMES, *_LABELS, *_SKIPPED), key=len, reverse=True)
_LABEL = re.compile(  # by first letters, so that few alternatives are tried; what stands before it is looked at last
    "("
    + "|".join(
        first + "(?:" + "|".join(re.escape(word[1:]) for word in _words if word[0] == first) + ")"
        for first in sorted({word[0] for word in _words})
    )
    + "):"
)
_PROSE = ("This event is generated", "Pre-authentication types,", "Certificate information is only")
_MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    section: {**_LABELS, **{label: section + end for label, end in _NAMES.items()}} for section in _SECTIONS.values()
}
_WORDS = frozenset((*_SECTIONS, *_NAMES, *_LABELS, *_SKIPPED))
_MANY = 12  # pieces; fewer are a text whose labels stand behind single blanks
_BLANKS = frozenset(" \t\r\n")
_GAP = re.compile(r" {2,}|[\t\r\n]")

_SNARE = re.compile(
    r"MSWinEventLog\s+\d{1,2}\s+(\S+)\s+\d+\s+(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\s+(\d{1,5})\s+(\S+)[\t ]",
    re.ASCII,
)
_COLLECT = re.compile(r"\bEventID=(\d{1,5})\b", re.ASCII)
_COMPUTER = re.compile(r"\bComputer(?:Name)?=([^\s]+)", re.ASCII)
_GENERATED = re.compile(r"\bTimeGenerated=(\d{9,10})\b", re.ASCII)
_SOURCE = re.compile(r"\b(?:Source|SourceName)=([^\t\r\n]+)")
_SPLUNK = re.compile(r"\bEventCode=(\d{1,5})\b", re.ASCII)
_NUMBERED = re.compile(r"(?:^|\s)(?:EventID[: ]+)?(\d{4})[: ]+(?:AUDIT_|Audit )(?:SUCCESS|FAILURE|Success|Failure)")


def text_event(record: str) -> WinEvent | None:
    """The event in a text; None where it is no such text."""
    if "#01" in record:  # rsyslog's escapes of control characters
        record = record.replace("#011", "\t").replace("#012", "\n").replace("#015", "\r")
    snare = _SNARE.search(record)
    if snare is not None:
        number = int(snare[3])
        return WinEvent(number, snare[2], _snare_computer(record[snare.end() :]), snare[4], _values(record, number))
    sentence = _SENTENCE.search(record)
    ahead = record[: sentence.start()] if sentence is not None else record
    numbered = _COLLECT.search(ahead) or _SPLUNK.search(ahead) or _NUMBERED.search(ahead)
    if numbered is None and sentence is None:
        return WinEvent(0, None, None, None, {}) if _OTHER.search(record) else None
    number = int(numbered[1]) if numbered is not None else _SENTENCES[sentence[0] if sentence is not None else ""]
    computer, source, time = _COMPUTER.search(ahead), _SOURCE.search(ahead), _GENERATED.search(ahead)
    stamp = f"@{time[1]}" if time is not None else _splunk_time(ahead)
    return WinEvent(
        number, stamp, computer[1] if computer else None, source[1].strip() if source else None, _values(record, number)
    )


def _splunk_time(ahead: str) -> str | None:
    first = ahead.lstrip().partition("\n")[0].strip()
    return first if "LogName=" in ahead and first[:1].isdigit() else None


def _snare_computer(rest: str) -> str | None:
    """Behind the source's name: user, kind of its SID, kind of event, computer; told apart by tabs alone."""
    parts = rest.split("\t")
    return parts[3].strip() or None if len(parts) > 4 else None


def _values(record: str, number: int) -> dict[str, Any]:
    """Values of the event data by their XML names."""
    end = max(record.rfind(prose) for prose in _PROSE)  # the last one is Windows' own
    if end < 0:
        end = len(record)
    pieces = _pieces(record[:end])
    found = _by_pieces(pieces) if len(pieces) >= _MANY else _by_labels(record, end)
    if number in (4634, 4647, 4800, 4801):  # whose text calls the account that left the subject
        found = {name.replace("Subject", "Target"): value for name, value in found.items()}
    return found


def _pieces(text: str) -> list[str]:
    """Parts of a text between tabs, line breaks and runs of blanks."""
    for sign in "\t\r\n":
        if sign in text:
            text = text.replace(sign, "  ")
    return [part for piece in text.split("  ") if (part := piece.strip())]


def _by_pieces(pieces: Sequence[str]) -> dict[str, Any]:
    """Values of a text whose parts are set apart by tabs, line breaks or several blanks: every shipper's but a few."""
    found: dict[str, Any] = {}
    section, awaited = "Subject", ""
    for piece in pieces:
        if awaited:
            if piece[-1:] != ":" or piece[:-1] not in _WORDS:
                _keep(found, awaited, piece)
                awaited = ""
                continue
            awaited = ""  # the label before has no value
        if piece[-1:] == ":":
            word, value = piece[:-1], None
        else:
            word, sign, value = piece.partition(": ")
            if not sign:
                continue
        if word in _SECTIONS:
            section = _SECTIONS[word] or section
            continue
        name = _MEANINGS[section].get(word)
        if name is None:
            continue
        if value is None:
            awaited = name
        else:
            _keep(found, name, value)
    return found


def _by_labels(record: str, end: int) -> dict[str, Any]:
    """Values of a text of one line with single blanks: a value ends where the next label begins."""
    found: dict[str, Any] = {}
    section, name, behind = "Subject", "", 0
    for label in _LABEL.finditer(record, 0, end):
        start = label.start()
        if start and record[start - 1] not in _BLANKS:
            continue
        if name:
            _keep(found, name, _first(record[behind:start]))
        word, behind = label[1], label.end()
        name = _MEANINGS[section].get(word, "")
        if not name and word in _SECTIONS:
            section = _SECTIONS[word] or section
    if name:
        _keep(found, name, _first(record[behind:end]))
    return found


def _first(value: str) -> str:
    """A value without what a wider gap parts from it."""
    value = value.strip()
    gap = _GAP.search(value)
    return value if gap is None else value[: gap.start()]


def _keep(found: dict[str, Any], name: str, value: str) -> None:
    if name in _CHOSEN:
        found.setdefault(name, value)
    else:
        found[name] = value.partition(" ")[0] if name in _TOKENS else value
