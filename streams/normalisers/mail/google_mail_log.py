"""Google Workspace's mail log to mail events: Reports API, BigQuery export, and the admin console's CSV files.

What comes out (`event_action`; see `google_records` for where each comes from):

- `message`: recipients whose delivery ended: put into a mailbox or sent on (`sent`), or returned (`bounced`).
  `event_outcome` is that of the recipients.
- `received`, `submitted`: taken in by a server, handed in by a user; recipients are `accepted`.
- `expanded`: on its way through a group; `deferred`: to be tried again; `held`, `released`: quarantine;
  `discarded`; `rejected`. `event_outcome` is `failure` for the last two, else `unknown`.

A message has a record for each stage and recipient; only `message` tells its fate, and all have its Message-ID.
What a reader did in his mailbox is ignored by that name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from schemas.kinds import EventKind
from streams.normalisers import moments
from streams.normalisers.json_records import at, decoded, text
from streams.normalisers.lines import Unreadable
from streams.normalisers.mail import google_records
from streams.normalisers.mail.exchange_tracking import plain
from streams.normalisers.mail.google_records import gmail_fact, integer, tree
from streams.normalisers.mail.google_tables import HEADERS, table_fact
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.records import Fact, Head, Read
from streams.normalisers.tables import TableNormaliser, cells

ACTIONS: Final = google_records.ACTIONS

_PAGES = ("items", "events", "records", "entries", "value", "results")
_WRAPPERS = ("gmail", "jsonPayload", "protoPayload", "_source", "message", "event", "data", "log")
_ZONE_NAMES = re.compile(r" ?(UTC|GMT|Z)\Z")
MAX_DEPTH = 4


class GoogleMailLogNormaliser(TableNormaliser):
    """See the module."""

    kind = EventKind.MAIL
    type_name = "google_mail_log"
    DATASET = "google_mail_log"
    fields = google_records.FIELDS

    def names_of(self, message: str) -> Sequence[str] | IgnoredReason | None:
        """The first line of a CSV file."""
        if "essage" not in message or "," not in message:
            return None
        found = [HEADERS.get(plain(name), "") for name in cells(message.removeprefix("\ufeff")) or []]
        return found if "message" in found and len([name for name in found if name]) >= 4 else None

    def read(self, head: Head) -> Read:
        """See `RecordNormaliser.read`."""
        message = head.message
        if message[:1] not in {"{", "["}:
            return super().read(head)
        try:
            value = decoded(message)
        except ValueError as error:
            return Unreadable(Refused.BROKEN_PAYLOAD, f"no JSON: {error}"[:200])
        if isinstance(value, dict) and isinstance(value.get("message_info"), dict):
            return self._record(value, value)
        return self._several(value)

    def _several(self, value: Any) -> Read:
        """All records in a JSON value; bad ones cost only themselves."""
        facts: list[Fact] = []
        other: Read = Ignored.OTHER_RECORD
        for record, outer in records(value, {}, 0):
            taken = self._record(record, outer)
            if isinstance(taken, dict):
                facts.append(taken)
            else:
                other = taken
        timed = [fact for fact in facts if fact["timestamp"] is not None]
        return timed or (facts[0] if facts else other)

    def _record(self, record: Mapping[str, Any], outer: Mapping[str, Any]) -> Fact | IgnoredReason:
        user = client = None
        if len(outer) > 2:  # more than the record itself
            user = text(at(outer, "actor", "email")) or text(outer.get("email"))
            client = text(outer.get("ipAddress")) or text(outer.get("ip_address"))
        taken = gmail_fact(record, user, client, keep=self.settings.keep_subject)
        if isinstance(taken, dict):
            taken["timestamp"] = self._when(record, outer)
        return taken

    def _when(self, record: Mapping[str, Any], outer: Mapping[str, Any]) -> int | None:
        event = record.get("event_info")
        micros = integer(event.get("timestamp_usec")) if isinstance(event, dict) else None
        micros = micros or integer(outer.get("time_usec"))
        if micros:
            return self.clock.seen(micros)
        stamp = text(at(outer, "id", "time"))
        return moments.zoned(stamp) if stamp is not None else None

    def row(self, values: Mapping[str, str], head: Head) -> Read:
        """A row of an exported search."""
        del head
        taken = table_fact(values, keep=self.settings.keep_subject)
        if isinstance(taken, dict):
            taken["timestamp"] = self._time(values.get("time", "")) or self._time(values.get("start", ""))
        return taken

    def _time(self, stamp: str) -> int | None:
        """A time of a CSV file: with a zone, else in the source's."""
        found = moments.zoned(stamp)
        if found is None and (zone := _ZONE_NAMES.search(stamp)) is not None:
            found = moments.zoned(f"{stamp[: zone.start()].replace('/', '-')}Z")
        return found or self.clock.micros(stamp) or moments.numbers(stamp, self.clock, "mdy")


def records(value: Any, outer: dict[str, Any], depth: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The records in a JSON value, each with the object around it that names account, address and time."""
    if depth > MAX_DEPTH:
        return []
    if isinstance(value, list):
        return [pair for inner in value for pair in records(inner, outer, depth + 1)]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return records(decoded(value), outer, depth + 1)
        except ValueError:
            return []
    if not isinstance(value, dict):
        return []
    return _own(value, outer, depth) or _inner(value, outer, depth)


def _own(value: dict[str, Any], outer: dict[str, Any], depth: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """A record, the event of an activity, or an activity with its events; else nothing."""
    if isinstance(value.get("message_info"), dict) or isinstance(value.get("event_info"), dict):
        return [(value, {**value, **outer})]
    if "parameters" in value:
        return [(tree(value["parameters"]), {**value, **outer})]
    events = value.get("events")
    if isinstance(events, list) and text(at(value, "id", "applicationName")) in {None, "gmail"}:
        return records(events, value, depth + 1)
    return []


def _inner(value: dict[str, Any], outer: dict[str, Any], depth: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """What a page or a shipper's wrapper holds."""
    if "events" in value and at(value, "id", "applicationName") is not None:
        return []  # an activity of another application
    for key in (*_PAGES, *_WRAPPERS):
        inner = value.get(key)
        if isinstance(inner, (list, dict)) or (isinstance(inner, str) and inner[:1] in {"{", "["}):
            original = at(value, "event", "original") if key == "event" else None
            return records(original if original is not None else inner, {**outer, **value}, depth + 1)
    return []
