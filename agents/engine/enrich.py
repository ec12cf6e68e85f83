"""Columns that are computed before rules: what a district's own context makes of an event.

Nothing of this is stored: internal or outside, known or unknown is decided when an event is judged. All columns are
computed for a whole frame at once, and only those that a rule reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.engine.enrich_mail import internal_address, mail_columns
from agents.rules.columns import derived_columns
from schemas.kinds import EventKind

MASKED_USER = "(masked)"  # what a normaliser writes where a password was typed as the user name: nobody


@dataclass(frozen=True, slots=True)
class Enricher:
    """Computes derived columns.

    Attributes:
        district: Mail domains and sites.
        inventory: Known devices.
    """

    district: District
    inventory: Inventory

    def add(self, frame: pl.DataFrame, kind: EventKind, names: Iterable[str]) -> pl.DataFrame:
        """The frame with the derived columns named; those it has already are computed again.

        Args:
            frame: Events of one kind in that kind's schema, further columns allowed.
            kind: Their kind.
            names: Derived columns of that kind; other names are ignored.
        """
        wanted = sorted(set(names) & derived_columns(kind).keys())
        if not wanted:
            return frame
        if kind is EventKind.MAIL:
            return mail_columns(frame, wanted, self.district)
        return frame.with_columns([_DEVICE_COLUMNS[name](self, frame).alias(name) for name in wanted])

    def site(self, frame: pl.DataFrame) -> pl.Series:
        """Site of each row: of its access point, else of its own address, else of its network access server or relay.

        A login by an access point that no site claims is not given the site of its access server where access points
        are configured: a central controller serves all sites, and would make them one.
        """
        index = self.district.network_index
        found = index.names_of(frame["source_ip"])
        if "dhcp_relay_ip" in frame.columns:
            return _coalesce(found, index.names_of(frame["dhcp_relay_ip"]))
        if "access_point" not in frame.columns:
            return found
        access_points = frame["access_point"]
        cache: dict[str | None, str | None] = {None: None}
        for name in access_points.unique().to_list():
            if name is not None:
                cache[name] = self.district.site_of_access_point(name)
        by_point = pl.Series([cache[name] for name in access_points.to_list()], dtype=pl.String)
        server = index.names_of(frame["nas_ip"])
        if self.district.has_access_points:
            server = server.to_frame("s").select(pl.when(access_points.is_null()).then(pl.col("s"))).to_series()
        return _coalesce(_coalesce(by_point, found), server)

    def device(self, frame: pl.DataFrame, attribute: str) -> pl.Series:
        """`kind` or `owner` of each row's device; null where it is not in the inventory or says nothing."""
        devices = self.inventory.devices
        found = [devices.get(mac) for mac in frame["source_mac"].to_list()]
        return pl.Series([getattr(d, attribute) or None if d else None for d in found], dtype=pl.String)

    def known(self, frame: pl.DataFrame) -> pl.Series:
        """True where the row's device is in the inventory; null where the row has no device."""
        devices = self.inventory.devices
        return pl.Series([None if m is None else m in devices for m in frame["source_mac"].to_list()], dtype=pl.Boolean)

    def key(self, column: str, columns: Iterable[str]) -> pl.Expr:
        """A column as it goes into a group key or a counted value: text, one spelling for one thing, null for none.

        Accounts and addresses are compared without regard to case. An account loses its domain, unless that is a
        realm outside the district: anna here and anna@elsewhere.example are two people.

        Args:
            column: The column.
            columns: All columns of the frame.
        """
        text = pl.col(column).cast(pl.String)
        if column in ("user_name", "target_user_name"):
            text = self._account(text, "user_domain" if column == "user_name" and "user_domain" in columns else None)
        elif column.startswith("email_") and column.endswith("_address"):
            text = text.str.to_lowercase()
        return pl.when(text != "").then(text)

    def _account(self, text: pl.Expr, realm_column: str | None) -> pl.Expr:
        whole = text.str.strip_chars().str.to_lowercase()
        # A byte that was no UTF-8 is written `\xf6`: what stands before it is no domain.
        escaped = whole.str.contains(r"[^\\]\\x[89a-f][0-9a-f]")
        name = pl.when(escaped).then(whole).otherwise(whole.str.replace(r"^.*\\", ""))
        local = name.str.replace(r"@[^@]*$", "")
        named = pl.when(internal_address(name, self.district)).then(local).otherwise(name)
        if realm_column is not None:
            realm = pl.col(realm_column).str.to_lowercase()
            outside = realm.str.contains(".", literal=True) & ~internal_address(pl.lit("x@") + realm, self.district)
            named = pl.when(outside & ~name.str.contains("@", literal=True)).then(name + "@" + realm).otherwise(named)
        return pl.when(name != MASKED_USER).then(named)


def _coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    return first.to_frame("a").with_columns(second.alias("b")).select(pl.coalesce("a", "b")).to_series()


def _random(_: Enricher, frame: pl.DataFrame) -> pl.Series:
    """Locally administered and not multicast (IEEE 802): the two lowest bits of the first octet are 10."""
    return frame.select(pl.col("source_mac").str.slice(1, 1).is_in(["2", "6", "a", "e"])).to_series()


_DEVICE_COLUMNS: dict[str, Callable[[Enricher, pl.DataFrame], pl.Series]] = {
    "source_site": Enricher.site,
    "source_device_kind": lambda e, f: e.device(f, "kind"),
    "source_device_owner": lambda e, f: e.device(f, "owner"),
    "source_mac_known": Enricher.known,
    "source_mac_random": _random,
}
