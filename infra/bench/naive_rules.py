"""The five rules row by row in plain Python, as one would write them at first.

Windows are dicts of deques in the order of arrival. No watermarks, no repeats, no checkpoints: what Faust delivers is
taken as it comes. It finds nearly what the engine finds, and is here to be timed, not to be relied upon.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from agents.context.district import District
from agents.context.inventory import Inventory
from schemas.kinds import EventKind

Event = Mapping[str, Any]
Found = tuple[str, str, float]  # rule, group key, Unix time
MINUTE = 60.0
_NOBODY = re.compile(r"(host/.*|anonymous@.*|.*\$|anonymous|([0-9a-f]{2}[:.-]?){5}[0-9a-f]{2})", re.IGNORECASE)
_NO_PASSWORD = {"publickey", "hostbased", "none", "eap-tls"}
_NO_DEVICE = {"00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"}


class NaiveRules:
    """All rules, fed one event at a time.

    Args:
        district: Mail domains and sites.
        inventory: Known devices.
    """

    def __init__(self, district: District, inventory: Inventory) -> None:
        self._district, self._inventory = district, inventory
        self._internal = lru_cache(100_000)(district.is_internal_address)
        self._site = lru_cache(100_000)(self._site_of)
        self._leases: dict[str, str] = {}
        self._known: set[str] = set()
        self._open: set[tuple[str, str]] = set()
        self._mail: dict[str, deque[tuple[float, str, str]]] = defaultdict(deque)
        self._counts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
        self._users: dict[str, deque[tuple[float, str]]] = defaultdict(deque)
        self._sites: dict[str, deque[tuple[float, str]]] = defaultdict(deque)
        self._failures: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._by_kind: dict[str, Callable[[Event, float], list[Found]]] = {
            EventKind.PROXY.value: lambda _event, _t: [],
            EventKind.DHCP.value: self._dhcp,
            EventKind.MAIL.value: self._mass_mail,
            EventKind.LOGIN.value: self._login,
        }

    def feed(self, kind: str, event: Event) -> list[Found]:
        """Take an event; the violations that begin with it."""
        return self._by_kind[kind](event, datetime.fromisoformat(event["timestamp"]).timestamp())

    def _site_of(self, access_point: str | None, ip: str | None) -> str | None:
        if access_point and (site := self._district.site_of_access_point(access_point)):
            return site
        return self._district.network_index.name_of(ip) if ip else None

    def _begins(self, rule: str, key: str, t: float, *, holds: bool) -> list[Found]:
        """One violation a time that a condition begins to hold."""
        if not holds:
            self._open.discard((rule, key))
            return []
        if (rule, key) in self._open:
            return []
        self._open.add((rule, key))
        return [(rule, key, t)]

    def _dhcp(self, event: Event, t: float) -> list[Found]:
        mac, ip, action = event.get("source_mac"), event.get("source_ip"), event.get("event_action")
        if ip and action == "ack" and mac:
            self._leases[ip] = mac
        elif ip and action in ("release", "expire", "decline"):
            self._leases.pop(ip, None)
        if not mac or mac in self._known or mac in _NO_DEVICE or mac in self._inventory.devices:
            return []
        self._known.add(mac)
        return [("new-device", mac, t)]

    def _mass_mail(self, event: Event, t: float) -> list[Found]:
        sender = (event.get("email_from_address") or "").lower()
        if not sender or not self._internal(sender):
            return []
        message = event.get("email_message_id") or event.get("email_local_id") or event["event_id"]
        window, counts = self._mail[sender], self._counts[sender]
        while window and window[0][0] <= t - 60 * MINUTE:
            _, old, to = window.popleft()
            counts[old, to] -= 1
            if not counts[old, to]:
                del counts[old, to]
        places = zip(event["email_to_address"], event["email_to_status"], event["email_to_filter"], strict=False)
        for address, status, is_filter in places:
            if status == "sent" and not is_filter and address:
                window.append((t, message, address.lower()))
                counts[message, address.lower()] += 1
        inside = sum(1 for _, to in counts if self._internal(to))
        largest = max(Counter(m for m, _ in counts).values(), default=0)
        holds = inside >= 100 or len(counts) - inside >= 50 or largest >= 50
        return self._begins("mass-mail", sender, t, holds=holds)

    def _login(self, event: Event, t: float) -> list[Found]:
        user = (event.get("user_name") or "").lower().rpartition("\\")[2]
        if event.get("event_action") != "login" or event.get("service_name") in ("su", "sudo"):
            return []
        if not user or _NOBODY.fullmatch(user):
            return []
        if self._internal(user):
            user = user.rpartition("@")[0] or user
        success = event.get("event_outcome") == "success"
        found = self._guessed(event, user, t, success=success)
        if success:
            found += self._shared(event, user, t) + self._two_sites(event, user, t)
        return found

    def _guessed(self, event: Event, user: str, t: float, *, success: bool) -> list[Found]:
        method = event.get("login_method") or ""
        if method in _NO_PASSWORD or method.startswith("gssapi"):
            return []
        mac = event.get("source_mac") or self._leases.get(event.get("source_ip") or "")
        device = self._inventory.devices.get(mac) if mac else None
        failures = self._failures[user, mac or event.get("source_ip") or ""]
        while failures and failures[0] <= t - 5 * MINUTE:
            failures.popleft()
        if not success:
            if device is None or device.owner != user:
                failures.append(t)
            return []
        return self._begins("guessed-password", user, t, holds=len(failures) >= 8)

    def _shared(self, event: Event, user: str, t: float) -> list[Found]:
        mac = event.get("source_mac") or self._leases.get(event.get("source_ip") or "")
        device = self._inventory.devices.get(mac) if mac else None
        if mac is None or (device is not None and device.kind == "shared"):
            return []
        there = _within(self._users[mac], t, 30 * MINUTE, user)
        return self._begins("shared-device", mac, t, holds=len(there) >= 3)

    def _two_sites(self, event: Event, user: str, t: float) -> list[Found]:
        site = self._site(event.get("access_point"), event.get("source_ip") or event.get("nas_ip"))
        if site is None:
            return []
        there = _within(self._sites[user], t, 10 * MINUTE, site)
        return self._begins("two-sites", user, t, holds=len(there) >= 2)


def _within(window: deque[tuple[float, str]], t: float, span: float, value: str) -> set[str]:
    """Distinct values of a window after a value came in."""
    while window and window[0][0] <= t - span:
        window.popleft()
    window.append((t, value))
    return {v for _, v in window}
