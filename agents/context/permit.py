"""One permission: who may what, when, by whose leave, and how far it goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from agents.context.mac import normalise_mac
from agents.context.versions import content_version

LAST_CLAUSE = 13
MEASURE = "value"  # of an episode that is shown as evidence in a chain
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours that come again every week: a standing permission for some of them.

    Attributes:
        days: Numbers of weekdays, Monday 0; local to the district.
        first: Minute of the day that they begin with.
        last: Minute of the day that they end before; below `first`: on the next day.
        text: As written.
    """

    days: frozenset[int]
    first: int
    last: int
    text: str

    def holds(self, local: datetime) -> bool:
        """True for a local time within them."""
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.first < self.last:
            return day in self.days and self.first <= minute < self.last
        return (day in self.days and minute >= self.first) or ((day - 1) % 7 in self.days and minute < self.last)


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a clause is permitted; what is empty limits nothing.

    Attributes:
        rule: Only what this rule finds.
        recipients: Only up to so many: of whatever the rule counts; where that is only what came together, of what
            the rule before it in the chain counted as its episode began.
        list: Only mail to this mailing list, lower case.
        device: Only on this device, a MAC address in lower case with colons.
        category: Only pages of this category, lower case.
        hours: Only in these hours of the week.
    """

    rule: str = ""
    recipients: int = 0
    list: str = ""
    device: str = ""
    category: str = ""
    hours: Hours | None = None

    def plain(self) -> dict[str, Any]:
        """What is said, by its name."""
        named = {name: getattr(self, name) for name in ("rule", "recipients", "list", "device", "category")}
        hours = {} if self.hours is None else {"hours": self.hours.text}
        return {k: v for k, v in named.items() if v} | hours


@dataclass(frozen=True, slots=True)
class Revocation:
    """The end of a permission before its time.

    Attributes:
        at_us: First moment it does not cover any more, microseconds UTC.
        by: Who took it back; empty where not said.
        reason: Why; empty where not said.
    """

    at_us: int
    by: str = ""
    reason: str = ""

    def plain(self) -> dict[str, Any]:
        """Plain values for the violation."""
        return {"at": iso(self.at_us), **({"by": self.by} if self.by else {}), **self._why()}

    def _why(self) -> dict[str, str]:
        return {"reason": self.reason} if self.reason else {}


@dataclass(frozen=True, slots=True)
class Permit:
    """One permission.

    Attributes:
        who: Holder as written: an e-mail address, an account or a MAC address.
        clause: Clause of the policy, 1 to 13.
        from_us: First moment it covers, microseconds UTC.
        to_us: First moment it does not cover any more, microseconds UTC.
        granted_by: The supervisor.
        reason: Why.
        scope: How far it goes.
        name: Its id as written; empty: made of its content.
        recorded_us: When it was written down, microseconds UTC; None where that is not known.
        revoked: That it was taken back; None where it was not.
        where: file:line it stands at.
        entered: True for one of the log, which is only appended to; False for one of the file.
        checked: True where it was written down then that who granted it might.
    """

    who: str
    clause: int
    from_us: int
    to_us: int
    granted_by: str
    reason: str
    scope: Scope = field(default_factory=Scope)
    name: str = ""
    recorded_us: int | None = None
    revoked: Revocation | None = None
    where: str = field(default="", compare=False)
    entered: bool = field(default=False, compare=False)
    checked: bool = field(default=False, compare=False)

    @property
    def id(self) -> str:
        """By which it is revoked."""
        plain = [self.who, self.clause, self.from_us, self.to_us, self.granted_by, self.reason, self.scope.plain()]
        return self.name or content_version(plain)

    @property
    def end_us(self) -> int:
        """First moment it does not cover any more, revoked or not; microseconds UTC."""
        return self.to_us if self.revoked is None else min(self.to_us, self.revoked.at_us)

    def record(self) -> dict[str, Any]:
        """Plain values for the violation: times as ISO 8601 in UTC."""
        more: dict[str, Any] = {} if not self.name else {"id": self.name}
        if self.recorded_us is not None:
            more["recorded"] = iso(self.recorded_us)
        if self.revoked is not None:
            more["revoked"] = self.revoked.plain()
        return {
            "who": self.who,
            "clause": self.clause,
            "from": iso(self.from_us),
            "to": iso(self.to_us),
            "granted_by": self.granted_by,
            "reason": self.reason,
            **self.scope.plain(),
            **more,
        }


class Act:
    """What somebody did, as far as a permission's scope asks for it. Read only when it is asked.

    Args:
        rule: Rule that found it.
        shown: JSON object of the columns that the evidence shows.
        mixed: True where the rule looks for things of several kinds together: lists are then asked of mail alone, and
            categories of pages alone. What is of another kind has none.
    """

    __slots__ = ("_mixed", "_shown", "_text", "rule")

    def __init__(self, rule: str = "", shown: str = "{}", *, mixed: bool = False) -> None:
        self.rule, self._text, self._mixed = rule, shown, mixed
        self._shown: Mapping[str, Any] | None = None

    def of(self, column: str) -> str:
        """A column in lower case; empty where the evidence has none."""
        return str(self._read().get(column) or "").lower()

    def may_have(self, beginning: str) -> bool:
        """True unless it is of a kind whose columns do not begin so, beside others in a rule for several kinds."""
        return not self._mixed or any(column.startswith(beginning) for column in self._read())

    @property
    def measure(self) -> float | None:
        """What a rule before this one in a chain counted as its episode began; None for anything else."""
        value = self._read().get(MEASURE)
        return None if value is None else float(value)

    def _read(self) -> Mapping[str, Any]:
        if self._shown is None:
            self._shown = json.loads(self._text)
        return self._shown

    def device(self) -> str:
        """Hardware address of the device that it was done on, in lower case with colons; empty where not known."""
        return normalise_mac(self.of("source_mac")) or ""


def iso(t_us: int) -> str:
    """ISO 8601 in UTC with a Z."""
    return (_EPOCH + timedelta(microseconds=t_us)).isoformat().replace("+00:00", "Z")


def local_time(t_us: int, zone: tzinfo) -> datetime:
    """The wall clock of a zone at a moment."""
    return (_EPOCH + timedelta(microseconds=t_us)).astimezone(zone)
