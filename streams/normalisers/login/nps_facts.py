"""What Network Policy Server says, as login events: from its files and from its events in the security log.

Facts: Microsoft's "Interpret NPS Database Format Log Files", "Interpret IAS Format Log Files", the
enumeration ATTRIBUTEID of sdoias.h, and the reference of the events 6272 to 6280.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from streams.normalisers import addresses
from streams.normalisers.login.network_fields import method, radius, reason, stated, user, whole
from streams.normalisers.login.nps_codes import AUTHENTICATION, NO_SUCH_USER, REASONS, end_reason
from streams.normalisers.records import Fact

EVENTS: Final[Mapping[int, tuple[str, str]]] = {
    6272: ("login", "success"),
    6273: ("login", "failure"),
    6274: ("handshake_failed", "failure"),
    6276: ("authentication", "failure"),
    6277: ("authentication", "success"),
    6278: ("authentication", "success"),
    6279: ("attempts_exceeded", "failure"),
}
"""6276 (quarantine), 6277 (probation) and 6278 (full access) tell the health check behind a 6272."""

_PACKETS: Final[Mapping[int, tuple[str, str]]] = {
    1: ("login_step", "unknown"),
    2: ("login", "success"),
    3: ("login", "failure"),
    11: ("login_step", "unknown"),
}
_ACCOUNTING: Final[Mapping[int, str]] = {1: "session_start", 2: "session_end", 3: "session_update"}


def windows_fact(number: int, data: Mapping[str, Any]) -> Fact:
    """An event of the security log."""
    said = {name: stated(value) for name, value in data.items()}
    action, outcome = EVENTS[number]
    fact: Fact = {"event_dataset": "nps", "event_action": action, "event_outcome": outcome, "service_name": "radius"}
    code = whole(said.get("ReasonCode"), 100_000)
    _who(fact, said.get("SubjectUserName"), said.get("FullyQualifiedSubjectUserName"), code)
    domain = said.get("SubjectDomainName")
    if domain is not None and "user_name" in fact:
        fact.setdefault("user_domain", domain)
    radius(fact, {
        "calling-station-id": said.get("CallingStationID"), "called-station-id": said.get("CalledStationID"),
        "nas-ip-address": said.get("NASIPv4Address"), "nas-ipv6-address": said.get("NASIPv6Address"),
        "nas-identifier": said.get("NASIdentifier"), "nas-port": said.get("NASPort"),
        "acct-session-id": said.get("AccountSessionIdentifier"),
    })  # fmt: skip
    _client(fact, said.get("ClientName"), said.get("ClientIPAddress"))
    fact["login_method"] = method(said.get("AuthenticationType"), said.get("EAPType"))
    machine = said.get("SubjectMachineName")
    if machine is not None:
        fact["host_name"] = machine
    if code:
        fact["event_reason"] = REASONS.get(code) or reason(said.get("Reason")) or f"reason code {code}"
    elif number == 6279:
        fact["event_reason"] = "account locked out"
    return fact


def _who(fact: Fact, name: str | None, qualified: str | None, code: int | None) -> None:
    r"""The account: as sent, else `DOMAIN\name`; the directory's path of an account holds no account name."""
    if name is None and qualified is not None and "\\" in qualified:
        name = qualified
    user(fact, name, unknown=code == NO_SUCH_USER)
    if qualified is not None and "\\" in qualified and "user_name" in fact:
        fact.setdefault("user_domain", qualified.partition("\\")[0])


def _client(fact: Fact, name: str | None, address: str | None) -> None:
    """The RADIUS client, where the request itself does not say which access point it was."""
    if name is not None:
        fact.setdefault("access_point", name)
    if address is not None and fact.get("nas_ip") is None:
        fact["nas_ip"] = addresses.ip(address)


def file_fact(said: Mapping[str, str], asked: Mapping[str, str]) -> Fact | None:
    """A record of a file; None for a packet that says nothing about a login.

    Args:
        said: The record's own attributes, by name in lower case; nothing but what is stated.
        asked: Those of the request that it answers, as far as it is known: the answer repeats few of them.
    """
    packet = whole(said.get("packet-type"), 255)
    if packet == 4:
        action, outcome = _ACCOUNTING.get(whole(said.get("acct-status-type"), 255) or 0), "unknown"
    else:
        action, outcome = _PACKETS.get(packet or 0, (None, ""))
    if action is None:
        return None
    both = {**asked, **said}
    code = whole(said.get("reason-code"), 100_000)
    fact: Fact = {"event_action": action, "event_outcome": outcome, "service_name": "radius"}
    name = said.get("user-name") or asked.get("user-name")
    _who(fact, name, both.get("sam-account-name") or both.get("fully-qualified-user-name"), code)
    radius(fact, both)
    _client(fact, both.get("client-friendly-name"), both.get("client-ip-address"))
    outer = both.get("authentication-type")
    fact["login_method"] = method(AUTHENTICATION.get(outer or "", outer), both.get("eap-friendly-name"))
    if outcome == "failure" and code:
        fact["event_reason"] = REASONS.get(code) or f"reason code {code}"
    if packet == 4:
        fact["session_seconds"] = whole(said.get("acct-session-time"))
        if action == "session_end":
            fact["event_reason"] = end_reason(said.get("acct-terminate-cause"))
    elif "session_id" not in fact and both.get("class") is not None:
        fact["session_id"] = both["class"]
    fact["observer_hostname"] = said.get("computer-name")
    return fact
