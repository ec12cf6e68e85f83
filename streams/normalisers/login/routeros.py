"""MikroTik RouterOS to login events: logins to the router, its hotspot and its PPP servers.

- `login`: `user … logged in from … via …`, `login failure for user …`; the hotspot's and PPP's `logged in`,
  `login failed` and `authentication failed`.
- `session_end`: `logged out`.

`event_outcome` is by the word. `service_name` is what it came through (winbox, ssh, web …), `hotspot` or `ppp`. Other
topics (firewall, dhcp, …) are ignored.

Facts: MikroTik, "Log" (topics), "System/Logging", "Hotspot"; messages of RouterOS 6 and 7.
"""

from __future__ import annotations

import re
from typing import Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser

ACTIONS: Final = ("login", "session_end")

_TOPICS = re.compile(r"(?:([a-z][a-z0-9\-]*(?:,[a-z0-9\-!]+){1,6}):? )(?:[\w\-]{1,32}: )?(.*)\Z", re.DOTALL | re.ASCII)
_FAILURE_FROM = re.compile(
    r"login failure for user (.*) from ([0-9A-Fa-f:.]{2,45}) via ([\w\-]{1,32})\Z", re.DOTALL | re.ASCII
)
_FAILURE = re.compile(r"login failure for user (.*)( )via ([\w\-]{1,32})\Z", re.DOTALL | re.ASCII)
_USER = re.compile(
    r"user (.*) logged (in|out)(?: from ([0-9A-Fa-f:.]{2,45}))?(?: via ([\w\-]{1,32}))?\Z", re.DOTALL | re.ASCII
)
_HOTSPOT = re.compile(
    r"(?:->: )?(.*) \(([0-9A-Fa-f:.]{2,45})\): (logged in|logged out|login failed)(?:: (.*))?\Z", re.DOTALL | re.ASCII
)
_PPP_IN = re.compile(r"(.*) logged in, ([0-9A-Fa-f:.]{2,45})(?: from ([0-9A-Fa-f:.]{2,45}))?\Z", re.DOTALL | re.ASCII)
_PPP_OUT = re.compile(
    r"(.*) logged out, (\d{1,9})(?: \d{1,20}){0,6}(?: from ([0-9A-Fa-f:.]{2,45}))?\Z", re.DOTALL | re.ASCII
)
_PPP_FAILED = re.compile(r"(?:<[^>]{1,128}>: )?user (.*) authentication failed(.*)\Z", re.DOTALL)


class RouterosNormaliser(RecordNormaliser):
    """RouterOS through syslog, or its log on disk with a time in front."""

    kind = EventKind.LOGIN
    type_name = "routeros"
    DATASET = "routeros"
    fields = tuple(
        "timestamp event_dataset event_action event_outcome event_reason observer_hostname process_name process_pid "
        "user_name user_domain source_ip login_method assigned_ip service_name session_seconds".split()
    )

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if head.program is not None and "," in head.program:  # `system,info,account: user …`
            message = f"{head.program} {message}"
        found = _TOPICS.match(message)
        if found is None:
            return Ignored.OTHER_PROGRAM
        topics, said = found[1].split(","), found[2]
        if "hotspot" in topics:
            return _hotspot(said)
        if "ppp" in topics or topics[0] in ("l2tp", "pptp", "sstp", "pppoe", "ovpn"):
            return _ppp(said)
        return _router(said) if topics[0] == "system" else Ignored.OTHER_RECORD


def _router(said: str) -> Read:
    failure = _FAILURE_FROM.match(said) or _FAILURE.match(said)
    if failure is not None:
        return _fact("login", "failure", failure[1], failure[2], failure[3])
    user = _USER.match(said)
    if user is not None:
        return _fact("login" if user[2] == "in" else "session_end", "success", user[1], user[3], user[4])
    if said.startswith("login failure"):
        return Unreadable(Refused.UNKNOWN_FORM, "a verdict of unknown form")
    return Ignored.OTHER_RECORD


def _hotspot(said: str) -> Read:
    found = _HOTSPOT.match(said)
    if found is None:
        return Ignored.OTHER_RECORD
    user, ip, word, reason = found.groups()
    action = "session_end" if word == "logged out" else "login"
    fact = _fact(action, "failure" if word == "login failed" else "success", user, ip, "hotspot")
    fact["event_reason"] = cloud.reason(reason)
    return fact


def _ppp(said: str) -> Read:
    begun = _PPP_IN.match(said)
    if begun is not None:
        fact = _fact("login", "success", begun[1], begun[3], "ppp")
        fact["assigned_ip"] = addresses.ip(begun[2])
        return fact
    ended = _PPP_OUT.match(said)
    if ended is not None:
        fact = _fact("session_end", "success", ended[1], ended[3], "ppp")
        fact["session_seconds"] = int(ended[2])
        return fact
    failed = _PPP_FAILED.match(said)
    if failed is None:
        return Ignored.OTHER_RECORD
    fact = _fact("login", "failure", failed[1], None, "ppp")
    fact["event_reason"] = cloud.reason(failed[2].strip(" -:"))
    return fact


def _fact(action: str, outcome: str, user: str, ip: str | None, service: str | None) -> Fact:
    fact: Fact = {
        "event_action": action,
        "event_outcome": outcome,
        "source_ip": addresses.ip(ip or ""),
        "login_method": "password" if action == "login" else None,
        "service_name": service or "routeros",
        "process_name": None,
        "process_pid": None,
    }
    cloud.name_account(fact, user or None)
    return fact
