"""Derived columns of mail about who wrote to whom: one student, one outside domain, media and parliaments, programmes.

Only counts, accounts and domains come of it; what a message says is never known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from agents.context.district import District
from agents.context.roster import STUDENT
from agents.context.whose import person_of
from agents.engine.lookups import looked_up

COLUMNS = ("recipient_person", "untaught_student", "outside_domain", "addressed_outside", "disclosed_recipients",
           "public_domains", "executable_attachment")  # fmt: skip
PUBLIC = frozenset({"news", "legislature"})
_EXECUTABLE = r"(?i)\.(?:exe|scr|bat|cmd|com|pif|js|jse|vbs|vbe|wsf|hta|ps1|msi|jar|lnk|iso|img)$"


def contact_columns(frame: pl.DataFrame, wanted: Sequence[str], district: District) -> pl.DataFrame:
    """The frame with the columns named of `COLUMNS`; `person` must be there for `untaught_student`."""
    made: list[pl.Series | pl.Expr] = []
    if some := [name for name in wanted if name in _MADE]:
        made += _Mails(frame, district).columns(some)
    if "executable_attachment" in wanted:
        made.append(_executable().alias("executable_attachment"))
    return frame.with_columns(made)


class _Mails:
    """Messages with their recipients: each address looked up once, and all columns made in one pass."""

    def __init__(self, frame: pl.DataFrame, district: District) -> None:
        self._frame, self._district = frame, district
        lower = pl.col("email_to_address").str.to_lowercase()
        numbered = frame.select("email_to_address", n=pl.int_range(pl.len(), dtype=pl.UInt32))
        each = numbered.explode("email_to_address").select("n", a=lower).filter(pl.col("a") != "")
        each = each.unique(["n", "a"]).sort("n", "a")
        known = each.select(pl.col("a").unique())
        inside = pl.Series("inside", [district.insiders[a] for a in known["a"].to_list()], dtype=pl.Boolean)
        domain = pl.col("a").str.split("@").list.last().alias("domain")
        self._known = known.with_columns(inside, domain)
        self._each = each.join(self._known, on="a", maintain_order="left")

    def columns(self, names: Sequence[str]) -> list[pl.Series]:
        """Some of `_MADE`, one value a message."""
        said = {name: _MADE[name](self) for name in names}
        found = self._each.group_by("n", maintain_order=True).agg(one.alias(name) for name, one in said.items())
        whole = pl.select(n=pl.int_range(self._frame.height, dtype=pl.UInt32))
        made = whole.join(found, on="n", how="left", maintain_order="left")
        made = made.with_columns(pl.col(pl.List(pl.String)).fill_null([]), pl.col(pl.Int64).fill_null(0))
        return [self._student(made[n]) if n == "untaught_student" else self._account(made[n], n) for n in names]

    def _account(self, column: pl.Series, name: str) -> pl.Series:
        """Of `recipient_person`, which is an address so far, the account."""
        return looked_up(column, self._district.account_of).alias(name) if name == "recipient_person" else column

    def _student(self, to: pl.Series) -> pl.Series:
        """The only recipient, where that is a student and the sender neither is one nor has a class with them."""
        roster, found = self._district.roster, list[str | None]()
        accounts = looked_up(to, self._district.account_of)
        for sender, account in zip(self._frame["person"].to_list(), accounts.to_list(), strict=True):
            one, other = roster.person(sender or ""), roster.person(account or "")
            apart = one is not None and other is not None and STUDENT in other.roles and STUDENT not in one.roles
            family = apart and other is not None and any(person_of(self._district, g) is one for g in other.guardians)
            found.append(account if apart and not family and not roster.teaches(sender, account) else None)
        return pl.Series("untaught_student", found, dtype=pl.String)

    def only(self) -> pl.Expr:
        """The only recipient, where that is somebody of the district."""
        return pl.when((pl.len() == 1) & pl.col("inside").first()).then(pl.col("a").first())

    def outside(self) -> pl.Expr:
        """The outside domain that a message went to, the first by name where there are several."""
        return pl.col("domain").filter(~pl.col("inside")).min()

    def addressed(self) -> pl.Expr:
        """How many outside a message was written to, whether it has reached them or not."""
        return (~pl.col("inside")).sum().cast(pl.Int64)

    def disclosed(self) -> pl.Expr:
        """The district's addresses in a message that went outside, too: its readers there see them."""
        return pl.col("a").filter(pl.col("inside") & ~pl.col("inside").all())

    def public(self) -> pl.Expr:
        """Domains of media and parliaments that a message went to."""
        domains = sorted(self._known.filter(pl.col("a").str.contains("@", literal=True))["domain"].unique().to_list())
        kinds = self._district.categories.of_hosts(domains)
        public = [domain for domain in domains if kinds[domain] & PUBLIC]
        of_them = pl.col("domain").is_in(public) & pl.col("a").str.contains("@", literal=True)
        return pl.col("domain").filter(of_them).unique().sort()


def _executable() -> pl.Expr:
    """Name of the first attachment that is a programme, lower case."""
    names = pl.col("email_attachment_name").list.eval(
        pl.when(pl.element().str.contains(_EXECUTABLE)).then(pl.element().str.to_lowercase())
    )
    return names.list.drop_nulls().list.first()


_MADE: dict[str, Callable[[_Mails], pl.Expr]] = {
    "recipient_person": _Mails.only,
    "untaught_student": _Mails.only,
    "outside_domain": _Mails.outside,
    "addressed_outside": _Mails.addressed,
    "disclosed_recipients": _Mails.disclosed,
    "public_domains": _Mails.public,
}
