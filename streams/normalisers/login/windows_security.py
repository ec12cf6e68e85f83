r"""The security log of Windows to login events, in whatever a shipper carries it (`windows_events`, `windows_text`).

One attempt is one `login`. Windows tells of one at up to three places, so the option `verdicts` says which counts:
`hosts` (the default, for logs of the computers that people sit at or servers that they use) or `domain` (where only
the domain controllers' logs are read).

- `login`: a host's verdict: 4624 `success`, 4625 `failure`. With `verdicts = "domain"` a domain controller's verdict:
  4768, 4771, 4776 and 4777.
- `authentication`: with `hosts` 4768, 4771, 4776, 4777, which a domain controller logs beside the host; with `domain`
  a 4625. Always a 4625 of a service (logon type 5), whose password nobody typed.
- `session_start`: a 4624 that is nobody's attempt: Windows' own accounts (SYSTEM, LOCAL SERVICE, NETWORK SERVICE,
  ANONYMOUS LOGON, the window and font managers), logon types 0 and 5, and the second, unprivileged session that an
  administrator gets with the first (`ElevatedToken` no, with a linked logon id). With `domain` every 4624.
- `login_step`: no verdict: 4648 (credentials given to a program; `user_name` gave those of `target_user_name`), and a
  4624 of logon type 9, whose credentials nobody has checked yet.
- `service_ticket`: 4769, access to the service in `application_name`.
- `attempts_exceeded`: 4740. `session_end`: 4634, 4647. `disconnect`, `reconnect`: 4779, 4778. `lock`, `unlock`: 4800,
  4801.

Accounts of computers end in `$` (`LAB-PC-1$`): they are no people, and their logins are told as logged.
NPS's events 6272 to 6279 stand in the same log and are read as `nps` does (`event_dataset` is `nps` then).
`session_id` is the logon id, unique on its computer until that starts anew. `event_reason` is the sub status, or the
status where that is zero, in words.

Facts: Microsoft's "Advanced security audit policy settings" reference of each event, [MS-ERREF], RFC 4120.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers import moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import JsonNormaliser
from streams.normalisers.lines import Unreadable
from streams.normalisers.login.nps_facts import EVENTS as NPS_EVENTS
from streams.normalisers.login.nps_facts import windows_fact
from streams.normalisers.login.reasons_network import NetworkIgnored
from streams.normalisers.login.windows_events import WinEvent, is_event, json_event, xml_events
from streams.normalisers.login.windows_facts import READERS, by_domain, details
from streams.normalisers.login.windows_text import text_event
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read

ACTIONS: Final = (
    "login",
    "login_step",
    "authentication",
    "service_ticket",
    "attempts_exceeded",
    "session_start",
    "session_end",
    "disconnect",
    "reconnect",
    "lock",
    "unlock",
    "handshake_failed",
)

_PRIVILEGES = 4672


class WindowsSecurityNormaliser(JsonNormaliser):
    """Events of Windows' security log, and NPS's among them."""

    kind = EventKind.LOGIN
    type_name = "windows_security"
    DATASET = "windows_security"
    fields = (
        "timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname",
        "process_name", "process_pid", "user_name", "user_domain", "user_known", "source_ip", "source_port",
        "source_mac", "login_method", "service_name", "session_id", "access_point", "network_ssid", "nas_ip",
        "nas_port", "terminal_name", "target_user_name", "host_name", "application_name", "login_type",
        "event_code", "event_details",
    )  # fmt: skip

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        verdicts = settings.options.get("verdicts", "hosts")
        if verdicts not in ("hosts", "domain"):
            raise ConfigError(
                f"whose verdicts count is {verdicts!r}", where="options.verdicts", hint='use "hosts" or "domain"'
            )
        self._domain = verdicts == "domain"

    def _head(self, text: str) -> Head:
        if text.startswith("<Event "):  # by far the commonest record; no header looks so
            return Head("", None, None, None, text)
        return super()._head(text)

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] in ("{", "["):
            return super().read(head)
        if "Event" in message and "<" in message and "EventID>" in message:
            return self._xml(message)
        event = text_event(message)
        return self.foreign(head) if event is None else self._fact(event)

    def _xml(self, message: str) -> Read:
        events = xml_events(message)
        if not events:
            return Unreadable(Refused.BROKEN_PAYLOAD, "no well-formed event in the XML")
        if len(events) == 1:
            return self._fact(events[0])
        facts: list[Fact] = []
        other: IgnoredReason | Unreadable = Ignored.OTHER_RECORD
        for event in events:
            taken = self._fact(event)
            if isinstance(taken, dict):
                facts.append(taken)
            else:
                other = taken
        return facts or other

    def own(self, obj: dict[str, Any]) -> bool:
        """See `JsonNormaliser.own`."""
        return is_event(obj)

    def fact(self, obj: dict[str, Any], head: Head) -> Read:
        """See `JsonNormaliser.fact`."""
        event = json_event(obj) if is_event(obj) else None
        if event is not None:
            return self._fact(event)
        for key in ("event", "message", "Message", "_raw", "raw"):
            said = obj.get(key)
            if isinstance(said, str) and said:
                return self.read(head._replace(message=said)) if said[:1] not in "{[" else Ignored.OTHER_RECORD
        return Unreadable(Refused.UNKNOWN_FORM, "no Windows event in the JSON")

    def foreign(self, head: Head) -> IgnoredReason | Unreadable:
        """A line that is no Windows event."""
        if head.stamp and head.program and not head.program.lower().startswith(("microsoft", "security")):
            return Ignored.OTHER_PROGRAM
        return Unreadable(Refused.UNKNOWN_FORM, "no event of Windows' security log")

    def _fact(self, event: WinEvent) -> Fact | IgnoredReason | Unreadable:
        number, provider = event.number, event.provider
        if number == _PRIVILEGES:
            return NetworkIgnored.WINDOWS_PRIVILEGES
        reader = READERS.get(number)
        if (reader is None and number not in NPS_EVENTS) or (provider is not None and "ecurity" not in provider):
            return Ignored.OTHER_RECORD
        if reader is not None:
            fact = reader(event.data)
            if self._domain:
                fact = by_domain(number, fact)
            fact["event_details"] = details(event.data)
        else:
            fact = windows_fact(number, event.data)
        fact["event_code"] = str(number)
        if event.computer is not None:
            fact["observer_hostname"] = event.computer
        if event.stamp is not None:
            when = self._time(event.stamp)
            if when is None:
                return Unreadable(Refused.BAD_TIME, f"no such time: {event.stamp[:40]}")
            fact["timestamp"] = when
        return fact

    def _time(self, stamp: str) -> int | None:
        found = self.clock.micros(stamp)
        if found is None:
            found = moments.zoned(stamp) or moments.numbers(stamp, self.clock, "mdy") or moments.since_1970(stamp)
        return found
