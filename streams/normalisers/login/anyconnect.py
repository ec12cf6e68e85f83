r"""Cisco ASA and Firepower Threat Defense: AnyConnect (Secure Client), clientless VPN, logins to the device itself.

ASA tells of one login several times. Which of its messages is the verdict, the option `verdicts` says:

- `sessions` (the default): 716038 and 716039 (SSL VPN), 713052 and 713167 (IKEv1), 605005 and 605004 (to the device),
  109005 and 109006 (cut-through proxy). They name the client's address.
- `aaa`: 113004, 113012 `success`, 113005, 113015, 113016, 113017 `failure`, whatever the login is for: for devices
  that log no 716038 and for IKEv2, at the price of an address in failures alone. The others are `authentication` then.

Actions: `login` as above; `authentication`: the other verdicts, 113008, 611101, 611102; `login_step`: a challenge
(113010); `attempts_exceeded`: 113006; `handshake_failed`: no server answered (113013, 113014); `connection`: 716001,
113039, 722022, 722033, 722034; `session_start`: an address was assigned (722051, 751025, 713228); `session_update`: the
client's software (722055); `disconnect`: 716002, 722023, 722037; `session_end`: 113019 with its duration, 611103.

`application_name` is the group (tunnel group or group policy). A name that ASA hides (`*****`) is null.

Facts: Cisco's "Secure Firewall ASA Series Syslog Messages" and "Threat Defense Syslog Messages".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import framed, reason, stated, user
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = (
    "login",
    "login_step",
    "authentication",
    "attempts_exceeded",
    "handshake_failed",
    "connection",
    "disconnect",
    "session_start",
    "session_end",
    "session_update",
)

_TAG = re.compile(r"%(?:ASA|FTD|PIX|FWSM|Threat ?Defense)-(?:[\w\-]{1,16}-)?([0-7])-(\d{6}):? ?", re.ASCII)
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_STAMP = re.compile(
    rf"((?:{_MONTHS}) {{1,2}}\d{{1,2}}(?: \d{{4}})? \d\d:\d\d:\d\d(?:\.\d{{1,6}})?(?: \d{{4}}(?= |:))?"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?)(?: (UTC|GMT|[A-Z]{3,5})(?=[ :]))?",
    re.ASCII,
)
_HOST = re.compile(r"[:\s]*([^\s:%]{1,255})?[\s:\-]*\Z", re.ASCII)
_ANGLES = re.compile(r"Group <(.{0,128}?)> User <(.{0,256})> IP <([0-9A-Fa-f:.%]{0,64})> (.*)\Z", re.DOTALL)
_EQUALS = re.compile(r"Group = (.{0,128}?), Username = (.{0,256}), IP = ([0-9A-Fa-f:.%]{1,64}),? (.*)\Z", re.DOTALL)
_AAA = re.compile(
    r"AAA (?:user )?(\w+) (Successful|Rejected|rejected) ?: (?:reason = (.{0,128}?) : )?"
    r"(?:server = +(\S{1,255})|local database) ?: user = (.{0,256}?)(?: : user IP = (\S{1,64}))?\s*\Z",
    re.DOTALL,
)
_STATUS = re.compile(r"AAA transaction status (\w+) : user = (.{0,256})\Z", re.DOTALL)
_UNREACHED = re.compile(r"AAA (.{0,200}?) : (?:server = +\S{1,255} : )?user = (.{0,256})\Z", re.DOTALL)
_CHALLENGE = re.compile(r"AAA challenge received for user (.{0,256}) from server (\S{1,64}?)\.?\Z", re.DOTALL)
_LOCKED = re.compile(r"User (.{0,256}) locked out on exceeding", re.DOTALL)
_UNAME = re.compile(r"User \w[\w ]{0,40}: (?:IP address: ([^,\s]{1,64}), )?Uname: (.{0,256}?)\s*\Z", re.DOTALL)
_DEVICE = re.compile(
    r"Login (?:denied|permitted) from ([0-9A-Fa-f:.%]{2,64})/(\d{1,5}) to (\S{1,128})/(\w{1,16}) for user "
    r"\"?(.{0,256}?)\"?\s*\Z",
    re.DOTALL,
)
_PROXY = re.compile(
    r"Authentication (?:succeeded|failed) for user '?(.{0,256}?)'? from ([0-9A-Fa-f:.%]{2,64})/(\d{1,5}) to \S+ "
    r"on interface \S+\Z",
    re.DOTALL,
)
_ENDED = re.compile(
    r"Session disconnected\. Session Type: (.{0,64}?), Duration: ([\dhms:d ]{1,24}), Bytes xmt: \d+, Bytes rcv: \d+, "
    r"Reason: (.{0,200})\Z",
    re.DOTALL,
)
_DURATION = re.compile(r"(?:(\d{1,5})d )?(\d{1,6})h?:(\d{1,2})m?:(\d{1,2})s?\Z", re.ASCII)
_ASSIGNED = re.compile(r"IPv4 Address <([0-9.]{0,15})> IPv6 address <([0-9A-Fa-f:.]{0,45})> assigned", re.IGNORECASE)
_IKE = re.compile(
    r"Local:\S{1,64} Remote:(\S{1,64}) Username:(.{0,256}) IKEv2 (?:Group:(.{0,128}) )?IPv4 Address=([0-9.]{0,15}) "
    r"IPv6 address=(\S{0,45}) assigned",
    re.DOTALL,
)
_PRIVATE = re.compile(r"Assigned private IP address (\S{1,64}) to remote user")
_CLIENT = re.compile(r"Client Type: (.{1,300})\Z", re.DOTALL)
_NO_USER = re.compile(r"(?:user|username) (?:was )?not found|unknown user|invalid user", re.IGNORECASE)

_AAA_VERDICTS = frozenset({113004, 113005, 113012, 113015, 113016, 113017})


def _fact(action: str, outcome: str, service: str, name: str | None, address: str | None) -> Fact:
    fact: Fact = {"event_action": action, "event_outcome": outcome, "service_name": service}
    name = stated(name)
    user(fact, None if name is not None and set(name) == {"*"} else name)
    if address:
        fact["source_ip"] = addresses.ip(address)
    return fact


def _aaa(_: int, text: str) -> Fact | None:
    match = _AAA.match(text)
    if match is None:
        return None
    kind, verdict, why, _server, name, address = match.groups()
    if kind not in ("authentication", "credentials"):
        return {}
    outcome = "success" if verdict == "Successful" else "failure"
    fact = _fact("authentication", outcome, "aaa", name, address)
    if why and outcome == "failure":
        fact["event_reason"] = reason(why)
        if _NO_USER.search(why):
            unknown = fact.pop("user_name", None)
            user(fact, stated(name) if unknown is not None else None, unknown=True)
            fact["user_known"] = False
    return fact


def _status(_: int, text: str) -> Fact | None:
    match = _STATUS.match(text)
    if match is None:
        return None
    outcome = {"ACCEPT": "success", "REJECT": "failure"}.get(match[1], "unknown")
    return _fact("authentication", outcome, "aaa", match[2], None)


def _unreached(_: int, text: str) -> Fact | None:
    match = _UNREACHED.match(text)
    if match is None:
        return None
    fact = _fact("handshake_failed", "failure", "aaa", match[2], None)
    fact["event_reason"] = reason(match[1])
    return fact


def _challenge(_: int, text: str) -> Fact | None:
    match = _CHALLENGE.match(text)
    return None if match is None else _fact("login_step", "unknown", "aaa", match[1], None)


def _locked(_: int, text: str) -> Fact | None:
    match = _LOCKED.match(text)
    if match is None:
        return None
    return {**_fact("attempts_exceeded", "failure", "aaa", match[1], None), "event_reason": "account locked out"}


def _grouped(match: re.Match[str], action: str, outcome: str) -> Fact:
    fact = _fact(action, outcome, "vpn", match[2], match[3])
    fact["application_name"] = stated(match[1])
    return fact


def _verdict(number: int, text: str) -> Fact | None:
    match = _ANGLES.match(text)
    if match is None or not match[4].startswith("Authentication: "):
        return None
    fact = _grouped(match, "login", "success" if number == 716038 else "failure")
    if number != 716038:
        fact["event_reason"] = "rejected"
    return fact


def _ike_verdict(number: int, text: str) -> Fact | None:
    match = _EQUALS.match(text)
    if match is None:
        return None
    fact = _grouped(match, "login", "success" if number == 713052 else "failure")
    if number != 713052:
        fact["event_reason"] = reason(match[4])
    return fact


def _link(number: int, text: str) -> Fact | None:
    """A connection of a session, begun or ended."""
    match = _ANGLES.match(text)
    if match is None:
        return None
    ended = number in (716002, 722023, 722037)
    fact = _grouped(match, "disconnect" if ended else "connection", "unknown")
    if ended:
        fact["event_reason"] = reason(match[4].partition(": ")[2].rstrip("."))
    return fact


def _assigned(_: int, text: str) -> Fact | None:
    match = _ANGLES.match(text)
    given = None if match is None else _ASSIGNED.match(match[4])
    if match is None or given is None:
        return None
    fact = _grouped(match, "session_start", "success")
    _give(fact, given[1], given[2])
    return fact


def _give(fact: Fact, four: str, six: str) -> None:
    framed(fact, four if four and four != "0.0.0.0" else None)  # noqa: S104 - how ASA writes that there is none
    if "assigned_ip" not in fact and six and six != "::":
        framed(fact, six)


def _ike_assigned(_: int, text: str) -> Fact | None:
    match = _IKE.match(text)
    if match is None:
        return None
    remote, name, group, four, six = match.groups()
    fact = _fact("session_start", "success", "vpn", name, remote.rpartition(":")[0])
    fact["application_name"] = stated(group)
    _give(fact, four, six)
    return fact


def _private(_: int, text: str) -> Fact | None:
    match = _EQUALS.match(text)
    given = None if match is None else _PRIVATE.match(match[4])
    if match is None or given is None:
        return None
    fact = _grouped(match, "session_start", "success")
    framed(fact, given[1])
    return fact


def _client(_: int, text: str) -> Fact | None:
    match = _ANGLES.match(text)
    client = None if match is None else _CLIENT.match(match[4])
    if match is None or client is None:
        return None
    return {**_grouped(match, "session_update", "unknown"), "user_agent_original": client[1].strip().rstrip(".")}


def _ended(_: int, text: str) -> Fact | None:
    match = _EQUALS.match(text)
    said = None if match is None else _ENDED.match(match[4])
    if match is None or said is None:
        return None
    fact = _grouped(match, "session_end", "unknown")
    fact["event_reason"] = reason(said[3].strip('"'))
    spent = _DURATION.match(said[2])
    if spent is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in spent.groups())
        fact["session_seconds"] = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return fact


def _uname(number: int, text: str) -> Fact | None:
    match = _UNAME.match(text)
    if match is None:
        return None
    if number == 611103:
        return _fact("session_end", "unknown", "asa", match[2], match[1])
    return _fact("authentication", "success" if number == 611101 else "failure", "asa", match[2], match[1])


def _device(number: int, text: str) -> Fact | None:
    match = _DEVICE.match(text)
    if match is None:
        return None
    fact = _fact("login", "success" if number == 605005 else "failure", match[4].lower(), match[5], match[1])
    fact["source_port"] = addresses.port(match[2]) or None
    return fact


def _proxy(number: int, text: str) -> Fact | None:
    match = _PROXY.match(text)
    if match is None:
        return None
    fact = _fact("login", "success" if number == 109005 else "failure", "cut-through", match[1], match[2])
    fact["source_port"] = addresses.port(match[3]) or None
    return fact


_READERS: Final[Mapping[int, Callable[[int, str], Fact | None]]] = {
    **dict.fromkeys(_AAA_VERDICTS, _aaa),
    113006: _locked,
    113008: _status,
    113010: _challenge,
    113013: _unreached,
    113014: _unreached,
    113019: _ended,
    113039: _link,
    716001: _link,
    716002: _link,
    716038: _verdict,
    716039: _verdict,
    713052: _ike_verdict,
    713167: _ike_verdict,
    713228: _private,
    722022: _link,
    722023: _link,
    722033: _link,
    722034: _link,
    722037: _link,
    722051: _assigned,
    722055: _client,
    751025: _ike_assigned,
    611101: _uname,
    611102: _uname,
    611103: _uname,
    605004: _device,
    605005: _device,
    109005: _proxy,
    109006: _proxy,
}


class AnyconnectNormaliser(RecordNormaliser):
    """Messages of ASA and FTD about logins."""

    kind = EventKind.LOGIN
    type_name = "anyconnect"
    DATASET = "anyconnect"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "user_name", "user_domain", "user_known", "source_ip", "source_port", "service_name", "session_seconds",
        "application_name", "assigned_ip", "user_agent_original", "event_code",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        verdicts = settings.options.get("verdicts", "sessions")
        if verdicts not in ("sessions", "aaa"):
            raise ConfigError(
                f"whose verdicts count is {verdicts!r}", where="options.verdicts", hint='use "sessions" or "aaa"'
            )
        self._aaa = verdicts == "aaa"

    def _head(self, text: str) -> Head:
        """The line whole: its headers have more forms than syslog's, and are looked at behind the message's tag."""
        return super()._head(text) if text[:1] == "{" else Head("", None, None, None, text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        tag = _TAG.search(head.message)
        if tag is None:
            if self._splitter.split(head.message) is not None:
                return Ignored.OTHER_PROGRAM
            return Unreadable(Refused.NO_HEADER, "no message of ASA or FTD")
        number = int(tag[2])
        reader = _READERS.get(number)
        if reader is None:
            return NetworkIgnored.FIREWALL_OTHER
        fact = reader(number, head.message[tag.end() :].strip())
        if fact is None:
            return Unreadable(Refused.UNKNOWN_FORM, f"message {number} in another form")
        if not fact:
            return NetworkIgnored.FIREWALL_OTHER
        fact["event_code"] = tag[2]
        if self._aaa:
            _by_aaa(number, fact)
        return self._placed(fact, head.message[: tag.start()], head)

    def _placed(self, fact: Fact, before: str, head: Head) -> Read:
        """Time and device out of what stands before the tag: the last header counts, the device's own."""
        stamp = None
        for stamp in _STAMP.finditer(before):  # noqa: B007 - the last one
            pass
        if stamp is None:
            return fact if head.stamp else Unreadable(Refused.BAD_TIME, "no time in the line")
        if stamp[2] in ("UTC", "GMT") and stamp[1][:1] not in "0123456789":
            when = moments.zoned(_utc(stamp[1])) if len(stamp[1]) > 16 else None
            when = when or self.clock.micros(stamp[1])
        else:
            when = self.clock.micros(stamp[1])
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {stamp[1]}")
        fact["timestamp"] = when
        host = _HOST.match(before, stamp.end())
        if host is not None and host[1] is not None:
            fact["observer_hostname"] = host[1]
        return fact


_DATED = re.compile(r"([A-Z][a-z]{2}) +(\d{1,2}) (\d{4}) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)\Z", re.ASCII)


def _utc(stamp: str) -> str:
    """`Mar 01 2024 08:00:00` as ISO 8601 in UTC; as it is where it has another form."""
    match = _DATED.match(stamp)
    if match is None:
        return stamp
    month = _MONTHS.split("|").index(match[1]) + 1
    return f"{match[3]}-{month:02d}-{int(match[2]):02d} {match[4]}Z"


def _by_aaa(number: int, fact: Fact) -> None:
    if number in _AAA_VERDICTS:
        fact["event_action"] = "login"
    elif fact["event_action"] == "login":
        fact["event_action"] = "authentication"
