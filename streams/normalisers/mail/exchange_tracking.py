"""Exchange's message tracking log to mail events, a record an event; see `exchange_events` for how they relate.

What comes out (`event_action`):

- `message`: recipients whose delivery ended: `DELIVER` (to a mailbox) and `SEND` (to another server) are `sent`, `FAIL`
  is `bounced`. `event_outcome` is that of the recipients.
- `received`, `submitted`: the message was taken in (`RECEIVE`) or handed in by a mailbox (`SUBMIT`).
- `expanded`, `redirected`: recipients who are members of a list, or stand for another address, which is their
  `email_to_original_address`; it is remembered for the deliveries of the same log.
- `deferred`, `discarded`, `held` (waits for a moderator), `rejected` (a moderator's no, a submission that failed),
  `noted` (`DSN`: a notification was made; a moderator's yes).

`event_outcome` of all but `message` is `unknown`, of `discarded` and `rejected` `failure`.

Read are the logs of Exchange 2007 to 2019 (columns by `#Fields:`, else by their number), those of Exchange 2000 and
2003 (tabs), and what `Get-MessageTrackingLog` gives to `Export-Csv` or `ConvertTo-Json`. Times are UTC; those of a
cmdlet are in the source's zone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from schemas.errors import ConfigError
from schemas.kinds import EventKind
from streams.normalisers import moments
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.json_records import decoded
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import exchange_events
from streams.normalisers.mail.exchange_events import UNTOLD, Expansions, Tracked, tracked_fact
from streams.normalisers.mail.reasons_services import ServicesIgnored
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import TableNormaliser, cells

ACTIONS: Final = exchange_events.ACTIONS

_OLD: Final = tuple(
    "date time clientip clienthostname partnername serverhostname serverip recipientaddress eventid messageid priority "
    "recipientreportstatus totalbytes recipientcount originationtime encryption serviceversion linkedmsgid "
    "messagesubject senderaddress".split()
)
_NEW: Final = tuple(
    "datetime clientip clienthostname serverip serverhostname sourcecontext connectorid source eventid "
    "internalmessageid messageid networkmessageid recipientaddress recipientstatus totalbytes recipientcount "
    "relatedrecipientaddress reference messagesubject senderaddress returnpath messageinfo directionality tenantid "
    "originalclientip originalserverip customdata transporttraffictype logid schemaversion".split()
)
_NO_NETWORK_ID: Final = tuple(name for name in _NEW if name != "networkmessageid")
_BY_WIDTH: Mapping[int, tuple[str, ...]] = {
    21: _NO_NETWORK_ID[:21], 26: _NO_NETWORK_ID[:26], 27: _NEW[:27], 28: _NEW[:28], 30: _NEW,
}  # fmt: skip
"""Columns of Exchange 2007, of 2010, and of 2013 and later, for rows that no `#Fields:` comes before."""

_SYNONYMS: Mapping[str, str] = {
    "timestamp": "datetime", "datetimeutc": "datetime", "msgid": "messageid", "recipients": "recipientaddress",
    "numberrecipients": "recipientcount", "sender": "senderaddress",
}  # fmt: skip
_SIGNS = re.compile(r"[^a-z0-9]+")
_OLD_TIME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})\t(\d{1,2}):(\d\d):(\d\d)(?: GMT)?\Z", re.ASCII)


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A column's name in one spelling: `#Fields`, reports and cmdlets write `message-id`, `message_id`, `MessageId`."""
    name = _SIGNS.sub("", name.strip().lower())
    return _SYNONYMS.get(name, name)


def needed(names: Sequence[str]) -> itemgetter[Any]:
    """Picks the values of `Tracked` from a row that has an empty value behind its last column."""
    place = {name: number for number, name in enumerate(names)}
    return itemgetter(*(place.get(name, len(names)) for name in Tracked._fields))


class ExchangeTrackingNormaliser(TableNormaliser):
    """See the module.

    Args:
        settings: What the source's configuration tells.
    """

    kind = EventKind.MAIL
    type_name = "exchange_tracking"
    DATASET = "exchange_tracking"
    fields = exchange_events.FIELDS

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        self.expansions = Expansions()
        self._order = date_order(settings)
        self._picks: dict[tuple[str, ...], itemgetter[Any]] = {}

    def _head(self, text: str) -> Head:
        """A row that begins with its own time stands alone."""
        if text[23:25] == "Z," and text[:1].isdigit():
            return Head("", None, None, None, text)
        return super()._head(text)

    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """`#Fields:` lines, the line of names of Exchange 2003, the first line of `Export-Csv`; other comments."""
        message = message.removeprefix("\ufeff")
        if message[:1] == "#":
            if message[:8].lower() == "#fields:":
                return [plain(name) for name in message[8:].split(",")]
            if "\t" in message and "msgid" in message.lower():
                return [plain(name) for name in message[1:].split("\t")]
            return Ignored.HEADER
        if message[:1].isdigit() or message[:2] == '"2':
            return None
        found = [plain(name) for name in cells(message) or []]
        return found if {"eventid", "messageid"} <= set(found) else None

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        first = message[:1]
        if first == "{":
            return self._object(message)
        if "\t" in message and first != "#" and message.count("\t") >= 18:
            return self._old(message)
        if not first.isdigit():
            return super().read(head)
        values = cells(message)
        if values is None:
            return Unreadable(Refused.BROKEN_PAYLOAD, "a quote is not closed")
        if self.names:
            return self.fitted(values, head)
        names = _BY_WIDTH.get(len(values))
        if names is None:
            return Unreadable(Refused.NO_FIELDS, f"no #Fields before a row of {len(values)} values")
        return self._picked(names, values)

    def fitted(self, values: list[str], head: Head) -> Read:
        """See `TableNormaliser.fitted`."""
        del head
        if len(values) > len(self.names) and any(values[len(self.names) :]):
            return Unreadable(Refused.UNKNOWN_FORM, f"{len(values)} values, {len(self.names)} columns")
        return self._picked(self.names, values)

    def _picked(self, names: tuple[str, ...], values: list[str]) -> Read:
        pick = self._picks.get(names)
        if pick is None:
            pick = needed(names)
            self._picks = {names: pick}
        missing = len(names) - len(values)
        values = [*values[: len(names)], *[""] * (missing + 1)] if missing > 0 else [*values[: len(names)], ""]
        said = Tracked._make(pick(values))
        if said.eventid in UNTOLD:  # about half of a log
            return ServicesIgnored.MAIL_STEP
        return self.tracked(said)

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """A row by the names of its columns."""
        del head
        return self.tracked(Tracked._make(values.get(name, "") for name in Tracked._fields))

    def _old(self, message: str) -> Read:
        names = self.names if self.names[:2] == ("date", "time") else _OLD
        parts = message.split("\t")
        values = dict(zip(names, parts, strict=False))
        time = _OLD_TIME.match(f"{values.get('date', '')}\t{values.get('time', '')}")
        if time is None:
            return Unreadable(Refused.BAD_TIME, "no date and time of Exchange 2003")
        year, month, day, hour, minute, second = time.groups()
        values["datetime"] = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second}Z"
        return self.row(values, Head("", None, None, None, ""))

    def _object(self, message: str) -> Read:
        try:
            value = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        values = {plain(name): _flat(inner) for name, inner in value.items()}
        if "eventid" not in values:
            return Ignored.OTHER_RECORD
        return self.row(values, Head("", None, None, None, ""))

    def tracked(self, said: Tracked) -> Read:
        """The event of a record."""
        when = self.clock.micros(said.datetime) or moments.zoned(said.datetime)
        if when is None:
            when = cmdlet_time(said.datetime, self._order, self)
        if not said.eventid:
            return Unreadable(Refused.UNKNOWN_FORM, "a record without an event")
        taken: Fact | IgnoredReason = tracked_fact(said, self.expansions, keep_subject=self.settings.keep_subject)
        if isinstance(taken, dict):
            taken["timestamp"] = when
        return taken

    def remember(self) -> dict[str, Any]:
        """The names of the columns, and the lists that recipients came from."""
        return {**super().remember(), "expansions": self.expansions.state()}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `RecordNormaliser.recall`."""
        super().recall(saved)
        self.expansions.restore(saved.get("expansions", []))


def date_order(settings: NormaliserSettings) -> moments.Order:
    """The option `date_order`.

    Raises:
        ConfigError: it is none of the three.
    """
    order = settings.options.get("date_order", "mdy")
    if order not in {"mdy", "dmy", "ymd"}:
        raise ConfigError(f"date_order is {order!r}", where="options.date_order", hint="one of mdy, dmy, ymd")
    return order  # type: ignore[no-any-return]


def cmdlet_time(text: str, order: moments.Order, normaliser: TableNormaliser) -> int | None:
    """A time as PowerShell writes it: by the culture of the session, or `/Date(milliseconds)/`."""
    if text[:6] == "/Date(":
        return moments.since_1970(text[6:].rstrip(")/"))
    return moments.numbers(text, normaliser.clock, order)


def _flat(value: Any) -> str:
    """A JSON value as the log would have it: lists by `;`."""
    if isinstance(value, list):
        return ";".join(_flat(part) for part in value)
    if isinstance(value, dict):  # PowerShell 5: {"value": "/Date(…)/", "DateTime": …}
        return _flat(value.get("value", value.get("Value", "")))
    return "" if value is None else str(value)
