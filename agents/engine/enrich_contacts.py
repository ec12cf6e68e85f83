"""Derived columns of mail about who wrote to whom: one student, one outside domain, media and parliaments, programmes.

Only counts, accounts and domains come of it; what a message says is never known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from agents.context.district import District
from agents.context.roster import STUDENT
from agents.context.whose import person_of
from agents.engine.lookups import text_lists

COLUMNS = ("recipient_person", "untaught_student", "outside_domain", "disclosed_recipients", "public_domains",
           "executable_attachment")  # fmt: skip
PUBLIC = frozenset({"news", "legislature"})
_EXECUTABLE = r"(?i)\.(?:exe|scr|bat|cmd|com|pif|js|jse|vbs|vbe|wsf|hta|ps1|msi|jar|lnk|iso|img)$"


def contact_columns(frame: pl.DataFrame, wanted: Sequence[str], district: District) -> pl.DataFrame:
    """The frame with the columns named of `COLUMNS`; `person` must be there for `untaught_student`."""
    made: list[pl.Series | pl.Expr] = []
    if some := [name for name in wanted if name in _MADE]:
        mails = _Mails(frame, district)
        made += [_MADE[name](mails).alias(name) for name in some]
    if "executable_attachment" in wanted:
        made.append(_executable().alias("executable_attachment"))
    return frame.with_columns(made)


class _Mails:
    """Messages with their recipients: read once for all columns."""

    def __init__(self, frame: pl.DataFrame, district: District) -> None:
        self._frame, self._district = frame, district
        self._rows: list[list[str]] = [_distinct(row or ()) for row in frame["email_to_address"].to_list()]

    def person(self) -> pl.Series:
        """Account of the only recipient, where that is somebody of the district."""
        inside, account = self._district.insiders, self._district.account_of
        found = [account(row[0]) if len(row) == 1 and inside[row[0]] else None for row in self._rows]
        return pl.Series(found, dtype=pl.String)

    def student(self) -> pl.Series:
        """The only recipient, where that is a student and the sender neither is one nor has a class with them."""
        roster, found = self._district.roster, list[str | None]()
        for sender, to in zip(self._frame["person"].to_list(), self.person().to_list(), strict=True):
            one, other = roster.person(sender or ""), roster.person(to or "")
            apart = one is not None and other is not None and STUDENT in other.roles and STUDENT not in one.roles
            family = apart and other is not None and any(person_of(self._district, g) is one for g in other.guardians)
            found.append(to if apart and not family and not roster.teaches(sender, to) else None)
        return pl.Series(found, dtype=pl.String)

    def outside(self) -> pl.Series:
        """The outside domain that a message went to, the first by name where there are several."""
        inside = self._district.insiders
        found = [min((_domain(a) for a in row if not inside[a]), default=None) for row in self._rows]
        return pl.Series(found, dtype=pl.String)

    def disclosed(self) -> pl.Series:
        """The district's addresses in a message that went outside, too: its readers there see them."""
        inside, found = self._district.insiders, list[list[str]]()
        for row in self._rows:
            ours = [a for a in row if inside[a]]
            found.append(ours if len(ours) < len(row) else [])
        return text_lists(found)

    def public(self) -> pl.Series:
        """Domains of media and parliaments that a message went to."""
        domains = {_domain(a) for row in self._rows for a in row if "@" in a}
        kinds = self._district.categories.of_hosts(sorted(domains))
        known = {domain for domain in domains if kinds[domain] & PUBLIC}
        found = (() if not known else {d for a in row if "@" in a and (d := _domain(a)) in known} for row in self._rows)
        return text_lists(sorted(some) for some in found)


def _distinct(row: Sequence[str]) -> list[str]:
    """Addresses in lower case and in order, each once."""
    if len(row) == 1:
        return [row[0].lower()] if row[0] else []
    return sorted({a.lower() for a in row if a})


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _executable() -> pl.Expr:
    """Name of the first attachment that is a programme, lower case."""
    names = pl.col("email_attachment_name").list.eval(
        pl.when(pl.element().str.contains(_EXECUTABLE)).then(pl.element().str.to_lowercase())
    )
    return names.list.drop_nulls().list.first()


_MADE: dict[str, Callable[[_Mails], pl.Series]] = {
    "recipient_person": _Mails.person,
    "untaught_student": _Mails.student,
    "outside_domain": _Mails.outside,
    "disclosed_recipients": _Mails.disclosed,
    "public_domains": _Mails.public,
}
