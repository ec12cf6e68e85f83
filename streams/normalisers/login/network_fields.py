"""What the formats of network access share: values that say nothing, RADIUS attributes, methods.

Facts: RFC 2865, 2866, 2868, 2869 (attributes), RFC 3580 section 3.20 (Called-Station-Id is the access point's MAC
address, a colon and the SSID), RFC 3579 (EAP).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from streams.normalisers import addresses
from streams.normalisers.login.login_fields import MAX_REASON
from streams.normalisers.masking import MASK, looks_like_password
from streams.normalisers.records import Fact

MAX_VALUE = 512
"""Characters of a name or identifier that are kept; what is longer was never one."""

_NOTHING = frozenset({"", "-", "n/a", "N/A", "none", "null", "NULL", "(null)", "unknown", "Unknown", "<not set>"})
_STATION = re.compile(
    r"((?:[0-9A-Fa-f]{2}[:\-]){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}|[0-9A-Fa-f]{12})(?::(.{1,64}))?\Z",
    re.ASCII | re.DOTALL,
)
_UNSAFE_LONG = 2**63 - 1
_MOST_DELAY_S = 86_400  # a longer one is a device's broken clock
_MAC_ADDRESS_NAME = re.compile(r"(?:[0-9A-Fa-f]{2}[:.\-]?){5}[0-9A-Fa-f]{2}\Z", re.ASCII)


def stated(value: Any) -> str | None:
    """A value as text without blanks around it; None where it says nothing."""
    if value is None:
        return None
    text = value.strip() if value.__class__ is str else str(value)
    if text in _NOTHING:
        return None
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE]


def whole(text: str | None, most: int = _UNSAFE_LONG) -> int | None:
    """A whole number from zero to `most`; None for anything else."""
    if text is None or len(text) > 19 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= most else None


def reason(text: str | None) -> str | None:
    """A reason, one line, cut at `MAX_REASON`."""
    if text is None:
        return None
    return " ".join(text.split())[:MAX_REASON] or None


@lru_cache(maxsize=16_384)
def called_station(text: str) -> tuple[str, str | None]:
    """Access point and SSID of a Called-Station-Id: a MAC address in its canonical form, else the name as logged."""
    match = _STATION.match(text)
    if match is None:
        name, colon, ssid = text.rpartition(":")  # some access points put their own name before the colon
        return (name, ssid) if colon and name and ssid and addresses.ip(text) is None else (text, None)
    return addresses.mac(match[1]) or match[1], match[2]


def user(fact: Fact, name: str | None, *, unknown: bool = False) -> None:
    """Put an account into a fact: its realm apart, and masked where no such account exists and it may be a password."""
    if name is None:
        return
    if unknown:
        fact["user_known"] = False
        if looks_like_password(name):
            fact["user_name"] = MASK
            return
    account, realm = addresses.account(name)
    fact["user_name"] = account
    if realm is not None:
        fact["user_domain"] = realm


def station(fact: Fact, calling: str | None) -> None:
    """Put a Calling-Station-Id into a fact: a MAC address, or the address that a VPN client came from."""
    if calling is None:
        return
    mac = addresses.mac(calling)
    if mac is not None:
        fact["source_mac"] = mac
        return
    ip = addresses.ip(calling)
    if ip is not None:
        fact["source_ip"] = ip


def framed(fact: Fact, address: str | None) -> None:
    """Put the address that a session was given into a fact; it is where a device of 802.1X is found from then on."""
    ip = None if address is None else addresses.ip(address)
    if ip is None or ip in ("255.255.255.254", "255.255.255.255", "0.0.0.0"):  # noqa: S104 - RFC 2865 5.8: no address
        return
    fact["assigned_ip"] = ip
    fact.setdefault("source_ip", ip)


def radius(fact: Fact, values: Mapping[str, str | None]) -> None:
    """Put RADIUS attributes into a fact.

    Args:
        fact: Gets the columns; those that are there stay.
        values: By attribute name in lower case with dashes, as RFC 2865 and later spell it; nothing but what is stated.
    """
    get = values.get
    station(fact, get("calling-station-id"))
    framed(fact, get("framed-ip-address") or get("framed-ipv6-address"))
    called = get("called-station-id")
    if called is not None:
        point, ssid = called_station(called)
        fact["access_point"] = point
        if ssid is not None:
            fact["network_ssid"] = ssid
    if "access_point" not in fact and get("nas-identifier") is not None:
        fact["access_point"] = get("nas-identifier")
    nas = get("nas-ip-address") or get("nas-ipv6-address")
    if nas is not None:
        fact["nas_ip"] = addresses.ip(nas)
    port = get("nas-port-id") or get("nas-port")
    if port is not None:
        fact["nas_port"] = port
    vlan = get("tunnel-private-group-id") or get("tunnel-private-group-id:0")
    if vlan is not None:
        fact["network_vlan"] = vlan.lstrip("\x00").partition(" ")[2] if vlan.startswith("(tag=") else vlan
    session = get("acct-session-id")
    if session is not None:
        fact["session_id"] = session


def delayed(when: int, delay: str | None) -> int:
    """When it happened: an accounting record that was held back says for how many seconds (RFC 2866 section 5.2)."""
    seconds = whole(delay, _MOST_DELAY_S)
    return when if seconds is None else when - seconds * 1_000_000


def is_mac_name(name: str | None) -> bool:
    """Whether a user name is a hardware address: a device let in by it (MAC authentication bypass)."""
    return name is not None and _MAC_ADDRESS_NAME.match(name) is not None


_CERTIFICATE = ("smart card or other certificate", "certificat")
_METHODS = (("ttls", "eap-ttls"), ("teap", "eap-teap"), ("fast", "eap-fast"), ("tls", "eap-tls"), ("md5", "eap-md5"))


@lru_cache(maxsize=4_096)
def method(outer: str | None, inner: str | None = None) -> str | None:
    """The method in one word, such as `eap-peap`, `eap-tls`, `eap-ttls`, `ms-chap-v2` and `pap`.

    Args:
        outer: Authentication type or protocol, as logged.
        inner: EAP type, as logged.
    """
    words = f"{outer or ''} {inner or ''}".lower()
    if any(word in words for word in _CERTIFICATE):
        return "eap-tls"
    if "peap" in words:
        return "eap-peap"
    for word, name in _METHODS:
        if word in words:
            return name
    plain = (outer or "").lower().strip().replace(" ", "-").replace("_", "-")
    if plain in ("mschapv2", "ms-chapv2", "ms-chap-v2", "mschap-v2"):
        return "ms-chap-v2"
    if plain.startswith(("pap_", "pap/")):
        return "pap"
    if plain == "eap" and inner and "secured password" in words:
        return "eap-mschapv2"
    return plain or None
