r"""Palo Alto GlobalProtect: the log of that name (PAN-OS 9.1 and later) and the SYSTEM messages before it.

A client logs in to the portal, then to a gateway, which is what carries traffic. One attempt is one `login`:

- `login`: the gateway's verdict (`gateway-auth`, `globalprotectgateway-auth-succ`, `…-fail`), the portal's refusal, for
  who is refused there never comes to a gateway, and clientless VPN's.
- `authentication`: the portal's acceptance; and whatever is logged of the user `pre-logon`, a computer without anybody.
- `session_start`: `gateway-connected` or SYSTEM's `…-config-succ`, with the address given. `session_end`:
  `gateway-logout`, with its duration.
- Other stages (prelogin, configuration, HIP, tunnels) are ignored (`vpn_step`).

Forms: comma separated fields behind a syslog header, CEF (the firewall's custom format and Strata Logging Service),
LEEF, JSON (the HTTPS format). `device_id` is the client's host id, `source_geo_country` the source region where it is a
country. Times are those with a zone (High Resolution Timestamp) where a line has it, UTC in Strata Logging Service's
CEF and LEEF, else the firewall's local time.

Facts: Palo Alto Networks' "GlobalProtect Log Fields" and "System Log Fields" (PAN-OS 9.1 to 11.2), "GlobalProtect Event
Descriptions", "Network/GlobalProtect" of the log forwarding schema, its CEF and LEEF configuration guides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses, moments
from streams.normalisers.json_records import decoded
from streams.normalisers.json_records import text as scalar
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.network_fields import reason, stated, user, whole
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.payload import cef, leef
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.records import Fact, Head, Read, RecordNormaliser
from streams.normalisers.tables import cells

ACTIONS: Final = ("login", "authentication", "session_start", "session_end")

_CSV = re.compile(
    r"(?:^|[\s:])([\d.]{0,4},[^,]{0,40},[^,]{0,32},(?:[^,]{0,16},){0,3}?(?:GLOBALPROTECT|SYSTEM),.*)\Z", re.DOTALL
)
_HOST = re.compile(r"\s(\S{1,255}?)[\s:]*\Z")  # the last word before the fields

_FIELDS: Final = (  # behind the generated time; a dash is a column that is not read
    "- event stage auth-method - user region machine public-ipv4 public-ipv6 private-ipv4 private-ipv6 host-id - - - "
    "- - reason error description status location duration - - portal - - high-resolution - - - - gateway - - - - "
    "- device"
).split()
_SYSTEM_FIELDS: Final = ("- event object - - - - opaque - - - - - - - device - - high-resolution").split()

_NAMES: Final[Mapping[str, str]] = {
    name: canonical
    for canonical, names in {
        "event": "eventidvalue eventid",
        "auth-method": "authmethod",
        "tunnel-type": "tunneltype",
        "user": "sourceusername srcuser usrname suser sourceuser",
        "region": "sourceregion srcregion",
        "machine": "endpointdevicename machinename shost",
        "public-ipv4": "publicipv4 publicip src",
        "public-ipv6": "publicipv6",
        "private-ipv4": "privateipv4 privateip",
        "private-ipv6": "privateipv6",
        "host-id": "hostid",
        "reason": "quarantinereason",
        "error": "connectionerror",
        "description": "opaque",
        "status": "eventstatus",
        "location": "globalprotectgatewaylocation",
        "duration": "loginduration",
        "connect-method": "connectionmethod connectmethod",
        "error-code": "connectionerrorid errorcode",
        "high-resolution": "timegeneratedhighresolution highrestimestamp highresolutiontimestamp",
        "generated": "timegenerated start devtime generatedtime",
        "received": "timereceived rt receivetime",
        "device": "devicename dvchost",
    }.items()
    for name in names.split()
}
_NOBODYS_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - how PAN-OS writes that there is none
_OPAQUE = re.compile(
    r"(?:^|[.,] )(Login from|Source region|User name|Auth type|Reason|Private IP|Client version|Device name|"
    r"Client OS version|VPN type|Error|Session duration): "
)
_COUNTRY = re.compile(r"[A-Z]{2}\Z", re.ASCII)
_UNKNOWN_USER = re.compile(r"not in allow ?list|unknown user|user (?:is )?not found|no such user", re.IGNORECASE)
_SECONDS = re.compile(r"\d+")


class GlobalprotectNormaliser(RecordNormaliser):
    """GlobalProtect's events."""

    kind = EventKind.LOGIN
    type_name = "globalprotect"
    DATASET = "globalprotect"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "user_name", "user_domain", "user_known", "source_ip", "login_method",
        "service_name", "session_seconds", "device_id", "host_name", "application_name", "assigned_ip",
        "source_geo_country", "event_code",
    )  # fmt: skip

    def _head(self, text: str) -> Head:
        """Fields name the firewall and the time themselves; the header before them is looked at for want of one."""
        if text[:1] != "{" and (",GLOBALPROTECT," in text or ",SYSTEM,globalprotect," in text):
            return Head("", None, None, None, text)
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        found = _CSV.search(message)
        if found is not None:
            taken = self._row(found[1])
            if isinstance(taken, dict) and "observer_hostname" not in taken:
                host = _HOST.search(message, 0, found.start(1))
                taken |= {} if host is None else {"observer_hostname": host[1]}
            return taken
        if "CEF:" in message:
            return self._cef(message)
        if "LEEF:" in message:
            return self._leef(message)
        if message[:1] == "{":
            return self._json(message)
        if head.stamp and (head.program is not None or ",TRAFFIC," in message or ",THREAT," in message):
            return Ignored.OTHER_PROGRAM
        return Unreadable(Refused.UNKNOWN_FORM, "no record of GlobalProtect")

    def _cef(self, message: str) -> Read:
        record = cef(message)
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a CEF head of unknown form")
        if "GLOBALPROTECT" not in f"{record.event_class} {record.name}".upper():
            return Ignored.OTHER_RECORD if record.vendor.startswith("Palo Alto") else Ignored.OTHER_PROGRAM
        said = _canonical(record.fields)
        if record.product == "LF":
            said["dtz"] = "UTC"
        return self._said(said)

    def _leef(self, message: str) -> Read:
        record = leef(message.replace("| |", "|\t|", 1) if "\t" in message else message)  # a tab shown as a blank
        if record is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a LEEF head of unknown form")
        if "globalprotect" not in (record.fields.get("cat", "") + record.fields.get("SubType", "")).lower():
            return Ignored.OTHER_RECORD if record.vendor.startswith("Palo Alto") else Ignored.OTHER_PROGRAM
        said = {"event": record.event_id, **_canonical(record.fields)}
        if record.product == "Next Generation Firewall":
            said["dtz"] = "UTC"
        return self._said(said)

    def _json(self, message: str) -> Read:
        try:
            value = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        said = _canonical({key: scalar(inner) for key, inner in value.items()}) if isinstance(value, dict) else {}
        if "globalprotect" not in (said.get("logtype", "") + said.get("subtype", "") + said.get("type", "")).lower():
            return Ignored.OTHER_RECORD if said else Unreadable(Refused.UNKNOWN_FORM, "no record of GlobalProtect")
        return self._said(said)

    def _row(self, row: str) -> Read:
        values = cells(row)
        if values is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        at = next((place for place, value in enumerate(values[:8]) if value in ("GLOBALPROTECT", "SYSTEM")), None)
        if at is None:
            return Unreadable(Refused.UNKNOWN_FORM, "the kind of log stands in no column where it may")
        system = values[at] == "SYSTEM"
        if system and values[at + 1 : at + 2] != ["globalprotect"]:
            return Ignored.OTHER_RECORD
        generated = values[at + 3 : at + 4]
        names = _SYSTEM_FIELDS if system else _FIELDS
        said: dict[str, str] = {}
        for name, value in zip(names, values[at + 4 :], strict=False):
            if value and name != "-":
                text = stated(value)
                if text is not None:
                    said[name] = text
        said["generated"] = generated[0] if generated else ""
        if system:
            said |= _opaque(said.get("opaque", ""))
            said.setdefault("portal", said.get("object", ""))
        return self._said(said)

    def _said(self, said: Mapping[str, str]) -> Read:
        kind = _kind(said)
        if kind is None:
            return NetworkIgnored.VPN_STEP
        fact: Fact = {"event_action": kind[0], "event_outcome": kind[1], "service_name": "globalprotect"}
        when = self._time(said)
        if when is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {said.get('generated', '')[:40]}")
        fact["timestamp"] = when
        fact["event_code"] = said.get("event")
        _who(fact, said)
        _where(fact, said)
        return fact

    def _time(self, said: Mapping[str, str]) -> int | None:
        for key in ("high-resolution", "generated", "received"):
            text = said.get(key)
            if text is None:
                continue
            if said.get("dtz") == "UTC" and not text.endswith(("Z", "UTC")):
                text = f"{text} UTC"
            when = moments.zoned(text) or self.clock.micros(text) or moments.numbers(text, self.clock)
            when = when or self._month_first(text) or moments.since_1970(text)
            if when is not None:
                return self.clock.seen(when)
        return None

    def _month_first(self, text: str) -> int | None:
        """`Mar 01 2021 20:35:54`, with `UTC` behind it or not."""
        plain = text.removesuffix(" UTC")
        parts = plain.split(" ")
        if len(parts) != 4:
            return None
        return moments.common(
            f"{parts[1]} {parts[0]} {parts[2]} {parts[3]}{' UTC' if plain != text else ''}", self.clock
        )


@lru_cache(maxsize=1_024)
def _canonical_name(name: str) -> str:
    plain = name.removeprefix("PanOS").replace("_", "").lower()
    return _NAMES.get(plain, plain)


def _canonical(fields: Mapping[str, Any]) -> dict[str, str]:
    said: dict[str, str] = {}
    for name, value in fields.items():
        text = stated(value)
        if text is not None:
            said.setdefault(_canonical_name(name), text)
    return said


def _opaque(text: str) -> dict[str, str]:
    """A SYSTEM message's own fields; of those that come twice the first, for the name stands behind the address."""
    labels = list(_OPAQUE.finditer(text))
    found: dict[str, str] = {}
    for number, label in enumerate(labels):
        end = labels[number + 1].start() if number + 1 < len(labels) else len(text)
        found.setdefault(label[1], text[label.end() : end].rstrip("., "))
    columns = {
        "public-ipv4": "Login from", "region": "Source region", "user": "User name", "auth-method": "Auth type",
        "error": "Reason", "private-ipv4": "Private IP", "machine": "Device name", "duration": "Session duration",
    }  # fmt: skip
    return {name: value for name, label in columns.items() if (value := stated(found.get(label)))}


def _kind(said: Mapping[str, str]) -> tuple[str, str] | None:
    event = said.get("event", "").lower()
    failed = said.get("status", "").lower() == "failure" or event.endswith(("-fail", "-failed"))
    good = said.get("status", "").lower() == "success" or event.endswith("-succ")
    outcome = "failure" if failed else "success" if good else "unknown"  # a record that was cut has no status
    kind = None
    if event.startswith(("gateway-auth", "gw-auth", "globalprotectgateway-auth", "clientlessvpn-login")):
        kind = ("login", outcome)
    elif event.startswith(("portal-auth", "globalprotectportal-auth")):
        kind = ("login" if failed else "authentication", outcome)
    elif event in ("gateway-connected", "globalprotectgateway-config-succ"):
        kind = ("session_start", outcome)
    elif event in ("gateway-logout", "globalprotectgateway-logout-succ", "clientlessvpn-logout"):
        kind = ("session_end", "unknown")
    if kind is not None and kind[0] == "login" and said.get("user") == "pre-logon":
        kind = ("authentication", kind[1])
    return kind


def _who(fact: Fact, said: Mapping[str, str]) -> None:
    why = said.get("error") or said.get("description") or said.get("reason")
    failed = fact["event_outcome"] == "failure"
    user(fact, said.get("user"), unknown=failed and why is not None and _UNKNOWN_USER.search(why) is not None)
    if why is not None and (failed or fact["event_action"] == "session_end"):
        fact["event_reason"] = reason(why)
    how = said.get("auth-method")
    if how is not None:
        fact["login_method"] = how.lower()
    fact["application_name"] = said.get("gateway") or said.get("portal") or None
    if fact["event_action"] == "session_end":
        seconds = _SECONDS.match(said.get("duration", ""))
        fact["session_seconds"] = whole(seconds[0]) if seconds is not None else None


def _where(fact: Fact, said: Mapping[str, str]) -> None:
    for column, names in (
        ("source_ip", ("public-ipv4", "public-ipv6")),
        ("assigned_ip", ("private-ipv4", "private-ipv6")),
    ):
        found = (addresses.ip(said[name]) for name in names if name in said and said[name] not in _NOBODYS_ADDRESSES)
        fact[column] = next((address for address in found if address is not None), None)
    if fact["event_action"] not in ("session_start", "session_end"):
        fact["assigned_ip"] = None  # before a session the private address is the client's own network's
    fact["host_name"], fact["device_id"] = said.get("machine"), said.get("host-id")
    region = said.get("region")
    if region is not None and _COUNTRY.match(region):
        fact["source_geo_country"] = region
    if said.get("device") is not None:
        fact["observer_hostname"] = said["device"]
