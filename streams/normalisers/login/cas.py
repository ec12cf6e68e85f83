"""Apereo CAS' audit log to login events.

Read are the single-line form (parted by bars), the form over several lines, and JSON, each behind the prefix of log4j
or alone. Of a record over several lines the event stands at the line with the client's address; its other lines are
ignored (`cas_record_part`), and what stands behind that line is not read.

- `login`: AUTHENTICATION_SUCCESS, AUTHENTICATION_FAILED.
- `authentication`: a service ticket, that is an application somebody who is signed in went to; delegated clients.
- `refused`: a service ticket that was not given, a service that is not open to the user.
- `session_start`: the ticket granting ticket was created. `session_end`: it was destroyed, or somebody logged out.

`event_outcome` is by the action. CAS does not say why an authentication failed.

Facts: Apereo CAS, "Audits", and Inspektr's AbstractStringAuditTrailManager: order of the fields, keys, default bar.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.login import cloud
from streams.normalisers.login.reasons_cloud import CloudIgnored
from streams.normalisers.login.stamped import StampedNormaliser
from streams.normalisers.reasons import Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.times import SourceClock

ACTIONS: Final = ("login", "authentication", "refused", "session_start", "session_end")

_ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "AUTHENTICATION_SUCCESS": ("login", "success"),
    "AUTHENTICATION_FAILED": ("login", "failure"),
    "AUTHENTICATION_FAILURE": ("login", "failure"),
    "SERVICE_TICKET_CREATED": ("authentication", "success"),
    "SERVICE_TICKET_NOT_CREATED": ("refused", "failure"),
    "SERVICE_ACCESS_ENFORCEMENT_FAILED": ("refused", "failure"),
    "DELEGATED_CLIENT_SUCCESS": ("authentication", "success"),
    "DELEGATED_CLIENT_FAILURE": ("authentication", "failure"),
    "TICKET_GRANTING_TICKET_CREATED": ("session_start", "success"),
    "TICKET_GRANTING_TICKET_NOT_CREATED": ("session_start", "failure"),
    "TICKET_GRANTING_TICKET_DESTROYED": ("session_end", "success"),
    "TICKET_DESTROYED": ("session_end", "success"),
    "LOGOUT_SUCCESS": ("session_end", "success"),
    "LOGOUT_FAILED": ("session_end", "failure"),
}
_LEVEL = r"(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)"
_ANSI = r"(?:\x1b\[[\d;]{0,12}m)?"
_KEYED = re.compile(
    r"(WHO|WHAT|ACTION|APPLICATION|WHEN|CLIENT[ _]IP(?:[ _]ADDRESS)?|SERVER[ _]IP(?:[ _]ADDRESS)?|USER[ _\-]AGENT|"
    r"GEO[ _\-]LOCATION|HEADERS|EXTRA INFO|LOCALE|TENANT|DEVICE[ _]FINGERPRINT): ?(.*)\Z",
    re.DOTALL,
)
_ACTION = re.compile(r"[A-Z][A-Z0-9_]{3,80}\Z", re.ASCII)
_WHEN = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2} \d{1,2} \d\d:\d\d:\d\d) ([A-Za-z0-9:+\-]{1,40}) (\d{4})\Z", re.ASCII)
_NAMED = re.compile(r"(\w{0,40}Credential)\(?(?:username|id|userId)=([^,)\]]{1,256})")
_SERVICE = re.compile(r"https?://([^/\s\"|,}\]'?#]{1,255})", re.IGNORECASE)

_UTC: Final = SourceClock(NormaliserSettings())


class CasNormaliser(StampedNormaliser):
    """cas_audit.log, also with other lines of the server between."""

    kind = EventKind.LOGIN
    type_name = "cas"
    DATASET = "cas"
    OWN = (
        re.compile(
            rf"{_ANSI}(?P<stamp>\d{{4}}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[,.]\d{{3}}) "
            rf"{_LEVEL} +\[[^\]]{{0,200}}\] - (?P<rest>.*)\Z",
            re.DOTALL | re.ASCII,
        ),
    )
    fields = tuple(
        "timestamp event_dataset event_action event_outcome observer_hostname process_name process_pid user_name "
        "user_domain source_ip login_method service_name application_name user_agent_original".split()
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self._record: dict[str, str] = {}  # of a record over several lines, what was read so far
        self._begun: int | None = None  # its time

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message.strip("<> \x1b\t")
        if message.endswith("\x1b[m"):
            message = message[:-3].rstrip("> ")
        keyed = _KEYED.match(message)
        if keyed is not None:
            return self._part(keyed[1].replace("_", " "), keyed[2])
        if message.startswith("Audit trail record BEGIN"):
            self._record, self._begun = {}, self.clock.micros(head.stamp) if head.stamp else None
            return CloudIgnored.CAS_RECORD_PART
        if not message.strip("= "):
            return CloudIgnored.CAS_RECORD_PART
        if message[:1] == "{":
            return self._json(message)
        return self._single(message, bool(head.stamp))

    def _part(self, key: str, value: str) -> Read:
        """A line of a record over several lines; the one with the client's address completes it."""
        if not key.startswith("CLIENT IP"):
            if len(self._record) < 16:
                self._record.setdefault(key, value[:1024])
            return CloudIgnored.CAS_RECORD_PART
        record, begun = self._record, self._begun
        self._record, self._begun = {}, None
        if "ACTION" not in record:
            return Unreadable(Refused.UNKNOWN_FORM, "an address without an action before it")
        when = begun if begun is not None else self._when(record.get("WHEN", ""))
        return self._fact(record.get("ACTION", ""), record.get("WHO"), record.get("WHAT", ""), value, when)

    def _single(self, message: str, stamped: bool) -> Read:  # noqa: FBT001
        """`when|application|what|action|who|client|server`; a bar in a name must not shift what stands behind it."""
        parts = message.split("|")
        at = [
            number
            for number in range(3, len(parts) - 2)
            if _ACTION.match(parts[number]) and addresses.ip(parts[number + 2].strip()) is not None
        ]
        if len(at) != 1:
            if at or (len(parts) > 6 and any(part in _ACTIONS for part in parts)):
                return Unreadable(
                    Refused.BAD_FIELD, "bars in a name or service: where the action stands is not certain"
                )
            return CloudIgnored.CAS_OTHER
        place = at[0]
        what = "|".join(parts[2:place])
        when = None if stamped else self._when(parts[0])
        taken = self._fact(parts[place], parts[place + 1], what, parts[place + 2], when, stamped=stamped)
        if isinstance(taken, dict) and len(parts) > place + 4:
            taken["user_agent_original"] = cloud.stated(parts[place + 4].strip())
        return taken

    def _json(self, message: str) -> Read:
        try:
            obj = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        if not isinstance(obj, dict):
            return CloudIgnored.CAS_OTHER
        client = obj.get("clientInfo")
        client = client if isinstance(client, dict) else obj
        action = cloud.stated(obj.get("action") or obj.get("actionPerformed"))
        if action is None:
            return CloudIgnored.CAS_OTHER
        stamp = obj.get("when") or obj.get("whenActionWasPerformed")
        when = self._when(stamp) if isinstance(stamp, str) else cloud.utc(stamp)
        what = obj.get("what") or obj.get("resourceOperatedUpon")
        who = cloud.stated(obj.get("who") or obj.get("principal"))
        address = cloud.stated(client.get("clientIpAddress") or client.get("clientIp"))
        taken = self._fact(action, who, what if isinstance(what, str) else str(what or ""), address, when)
        if isinstance(taken, dict):
            taken["user_agent_original"] = cloud.stated(client.get("userAgent"))
        return taken

    def _fact(
        self, action: str, who: str | None, what: str, address: str | None, when: int | None, *, stamped: bool = False
    ) -> Read:
        known_as = _ACTIONS.get(action.strip())
        if known_as is None:
            return CloudIgnored.CAS_OTHER
        if when is None and not stamped:
            return cloud.NO_TIME
        named = _NAMED.search(what)
        name = cloud.stated((who or "").strip())
        if name is None or name.startswith("audit:"):
            name = named[2] if named is not None else None
        service = _SERVICE.search(what) if known_as[0] in ("authentication", "refused") else None
        fact: Fact = {
            "event_action": known_as[0],
            "event_outcome": known_as[1],
            "source_ip": addresses.ip((address or "").strip()),
            "login_method": "password" if known_as[0] == "login" and "UsernamePassword" in what else None,
            "service_name": "cas",
            "application_name": service[1].lower() if service is not None else None,
        }
        if when is not None:
            fact["timestamp"] = when
        cloud.name_account(fact, name)
        return fact

    def _when(self, text: str) -> int | None:
        """`Fri Mar 01 08:30:00 CET 2024` in the source's zone (UTC where it says so), or ISO 8601."""
        found = _WHEN.match(text.strip())
        if found is None:
            iso = text.strip()
            zoned = iso.endswith("Z") or iso[-6:-5] in ("+", "-") or iso.isdigit()
            return cloud.utc(iso) if zoned else self.clock.micros(iso[:26])
        day, zone, year = found.groups()
        stamp = f"{day} {year}"
        return _UTC.micros(stamp) if zone in ("UTC", "GMT", "Z") else self.clock.micros(stamp)

    def remember(self) -> dict[str, Any]:
        """The record that is not complete."""
        return {"record": self._record, "begun": self._begun}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        record, begun = saved.get("record", {}), saved.get("begun")
        if not isinstance(record, dict) or not isinstance(begun, int | None):
            raise TypeError("an open record has another form")
        self._record, self._begun = {str(key): str(value) for key, value in record.items()}, begun
