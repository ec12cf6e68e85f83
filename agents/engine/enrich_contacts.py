"""Derived columns of mail about who wrote to whom: one student, one outside domain, media and parliaments, programmes.

Only counts, accounts and domains come of it; what a message says is never known.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from agents.context.district import District
from agents.context.roster import STUDENT
from agents.context.whose import person_of
from agents.engine.enrich_mail import internal_address

COLUMNS = ("recipient_person", "untaught_student", "outside_domain", "disclosed_recipients", "public_domains",
           "executable_attachment")  # fmt: skip
PUBLIC = frozenset({"news", "legislature"})
_EXECUTABLE = r"(?i)\.(?:exe|scr|bat|cmd|com|pif|js|jse|vbs|vbe|wsf|hta|ps1|msi|jar|lnk|iso|img)$"


def contact_columns(frame: pl.DataFrame, wanted: Sequence[str], district: District) -> pl.DataFrame:
    """The frame with the columns named of `COLUMNS`; `person` must be there for `untaught_student`."""
    frame = frame.with_columns([_MADE[name](frame, district).alias(name) for name in wanted if name in _MADE])
    if "executable_attachment" in wanted:
        frame = frame.with_columns(executable_attachment=_executable())
    return frame


def _recipients(frame: pl.DataFrame) -> list[list[str]]:
    return [
        sorted({a.lower() for a in row if a}) if row is not None else [] for row in frame["email_to_address"].to_list()
    ]


def _inside(addresses: set[str], district: District) -> dict[str, bool]:
    listed = pl.DataFrame({"a": sorted(addresses)}, schema={"a": pl.String})
    inside = listed.select(internal_address(pl.col("a"), district)).to_series().to_list()
    return dict(zip(listed["a"].to_list(), inside, strict=True))


def _person(frame: pl.DataFrame, district: District) -> pl.Series:
    """Account of the only recipient, where that is somebody of the district."""
    every = _recipients(frame)
    inside = _inside({a for row in every for a in row}, district)
    found = [district.account_of(row[0]) if len(row) == 1 and inside[row[0]] else None for row in every]
    return pl.Series(found, dtype=pl.String)


def _student(frame: pl.DataFrame, district: District) -> pl.Series:
    """The only recipient, where that is a student and the sender neither is one nor has a class with them."""
    roster = district.roster
    found: list[str | None] = []
    for sender, to in zip(frame["person"].to_list(), _person(frame, district).to_list(), strict=True):
        one, other = roster.person(sender or ""), roster.person(to or "")
        apart = one is not None and other is not None and STUDENT in other.roles and STUDENT not in one.roles
        family = apart and other is not None and any(person_of(district, g) is one for g in other.guardians)
        found.append(to if apart and not family and not roster.teaches(sender, to) else None)
    return pl.Series(found, dtype=pl.String)


def _outside(frame: pl.DataFrame, district: District) -> pl.Series:
    """The outside domain that a message went to, the first by name where there are several."""
    every = _recipients(frame)
    inside = _inside({a for row in every for a in row}, district)
    found = [min((a.rpartition("@")[2] for a in row if not inside[a]), default=None) for row in every]
    return pl.Series(found, dtype=pl.String)


def _disclosed(frame: pl.DataFrame, district: District) -> pl.Series:
    """The district's addresses in a message that went outside, too: its readers there see them."""
    every = _recipients(frame)
    inside = _inside({a for row in every for a in row}, district)
    found = [[a for a in row if inside[a]] if any(not inside[a] for a in row) else [] for row in every]
    return pl.Series(found, dtype=pl.List(pl.String))


def _public(frame: pl.DataFrame, district: District) -> pl.Series:
    """Domains of media and parliaments that a message went to."""
    every = [sorted({a.rpartition("@")[2] for a in row if "@" in a}) for row in _recipients(frame)]
    known = district.categories.of_hosts(sorted({domain for row in every for domain in row}))
    return pl.Series([[d for d in row if known[d] & PUBLIC] for row in every], dtype=pl.List(pl.String))


def _executable() -> pl.Expr:
    """Name of the first attachment that is a programme, lower case."""
    names = pl.col("email_attachment_name").list.eval(
        pl.when(pl.element().str.contains(_EXECUTABLE)).then(pl.element().str.to_lowercase())
    )
    return names.list.drop_nulls().list.first()


_MADE = {
    "recipient_person": _person,
    "untaught_student": _student,
    "outside_domain": _outside,
    "disclosed_recipients": _disclosed,
    "public_domains": _public,
}
