"""Columns that are computed before rules: what a district's own context makes of an event.

Nothing of this is stored: internal or outside, known or unknown is decided when an event is judged. All columns are
computed for a whole frame at once, and only those that a rule reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from agents.context.accounts import MASKED_USER
from agents.context.district import ESCAPED, District
from agents.context.inventory import Inventory
from agents.context.vendors import vendor_of
from agents.engine import enrich_contacts, enrich_people, enrich_web
from agents.engine.enrich_logins import login_source, own_device
from agents.engine.enrich_mail import internal_address, mail_columns
from agents.engine.lookups import looked_up, text_lists
from agents.rules.columns import derived_columns
from schemas.kinds import EventKind

ACCOUNTS = ("user_name", "target_user_name")


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
        people = [name for name in wanted if name in enrich_people.COLUMNS]
        pages = [name for name in wanted if name in enrich_web.COLUMNS]
        contacts = [name for name in wanted if name in enrich_contacts.COLUMNS]
        others = [name for name in wanted if name not in (*people, *pages, *contacts)]
        if "untaught_student" in contacts and "person" not in people:
            people.append("person")
        if kind is EventKind.MAIL:
            frame = mail_columns(frame, others, self.district)
        else:
            frame = frame.with_columns([_DEVICE_COLUMNS[name](self, frame).alias(name) for name in others])
        if pages:
            frame = enrich_web.web_columns(frame, pages, self.district.categories)
        frame = enrich_people.people_columns(frame, kind, people, self) if people else frame
        return enrich_contacts.contact_columns(frame, contacts, self.district) if contacts else frame

    def site(self, frame: pl.DataFrame) -> pl.Series:
        """Site of each row: of its access point, else of its own address, else of its network access server or relay.

        A login by an access point that no site claims is not given the site of its access server where access points
        are configured: a central controller serves all sites, and would make them one. Nor do a shared address and a
        shared server tell the site of a login: who comes by VPN may be anywhere.
        """
        index = self.district.network_index
        found = index.names_of(frame["source_ip"])
        if "dhcp_relay_ip" in frame.columns:
            return _coalesce(found, index.names_of(frame["dhcp_relay_ip"]))
        if "access_point" not in frame.columns:
            return found
        access_points = frame["access_point"]
        by_point = looked_up(access_points, self.district.site_of_access_point)
        server = index.names_of(frame["nas_ip"])
        if self.district.has_access_points:
            server = server.to_frame("s").select(pl.when(access_points.is_null()).then(pl.col("s"))).to_series()
        elsewhere = self._unshared(_coalesce(found, server), frame["source_ip"], frame["nas_ip"])
        return _coalesce(by_point, elsewhere)

    def _unshared(self, sites: pl.Series, address: pl.Series, server: pl.Series) -> pl.Series:
        """Sites without those of addresses, or of servers, that are many people's at once."""
        shared = self.district.shared_index
        if not shared:
            return sites
        many = pl.DataFrame({"s": sites, "a": shared.names_of(address), "n": shared.names_of(server)})
        return many.select(pl.when(pl.col("a").is_null() & pl.col("n").is_null()).then("s")).to_series()

    def roles(self, frame: pl.DataFrame) -> pl.Series:
        """Roles of the account that each row names; none for one that is not in the roster."""
        names = self.keys("user_name", frame)
        listed = ((name, self.district.roster.person(name)) for name in names.drop_nulls().unique().to_list())
        known = {name: person.roles for name, person in listed if person is not None}
        return text_lists(known.get(name, ()) for name in names.to_list())

    def device(self, frame: pl.DataFrame, attribute: str) -> pl.Series:
        """`kind` or `owner` of each row's device; null where it is not in the inventory or says nothing."""
        devices = self.inventory.devices
        found = [devices.get(mac) for mac in frame["source_mac"].to_list()]
        return pl.Series([getattr(d, attribute) or None if d else None for d in found], dtype=pl.String)

    def known(self, frame: pl.DataFrame) -> pl.Series:
        """True where the row's device is in the inventory; null where the row has no device."""
        devices = self.inventory.devices
        return pl.Series([None if m is None else m in devices for m in frame["source_mac"].to_list()], dtype=pl.Boolean)

    def named(self, frame: pl.DataFrame) -> pl.Series:
        """True where the row's device gives the name of one device of the inventory; null where it gives none."""
        names = frame["host_name"].to_list()
        known = [None if n is None else self.inventory.mac_of(None, n) is not None for n in names]
        return pl.Series(known, dtype=pl.Boolean)

    def key(self, column: str, columns: Iterable[str]) -> pl.Expr:
        """A column as it goes into a group key or a counted value: text, one spelling for one thing, null for none.

        Accounts and addresses are compared without regard to case. An account loses its domain, unless that is a
        realm outside the district: anna here and anna@elsewhere.example are two people.

        Args:
            column: The column.
            columns: All columns of the frame.
        """
        text = pl.col(column).cast(pl.String)
        if column in ACCOUNTS:
            text = self._account(text, "user_domain" if column == "user_name" and "user_domain" in columns else None)
        elif column.startswith("email_") and column.endswith("_address"):
            text = text.str.to_lowercase()
        return pl.when(text != "").then(text)

    def keys(self, column: str, frame: pl.DataFrame) -> pl.Series:
        """What `key` gives for the rows of a frame; an account that comes again is not spelled out again."""
        if column not in ACCOUNTS:
            return frame.select(self.key(column, frame.columns)).to_series()
        realm = column == "user_name" and "user_domain" in frame.columns
        # Where no row names a realm there is none to look at.
        realm = realm and frame["user_domain"].null_count() < frame.height
        if not realm and frame[column].dtype == pl.String:
            # One after the other: what an expression names twice is computed twice.
            bare = frame.select(_lowered(pl.col(column)).alias("whole")).select(*_PLAIN_ACCOUNT)
            if not bare["signs"].any():
                return bare["key"]
        read = [column, "user_domain"] if realm else [column]
        distinct = frame.select(read).unique()
        spelled = distinct.with_columns(whole=_lowered(pl.col(column).cast(pl.String)))
        spelled = spelled.with_columns(name=_bare_name(pl.col("whole")))
        spelled = spelled.with_columns(named=self._local(pl.col("name")))
        named = pl.col("named")
        if realm:
            named = self._at_realm(named, pl.col("name"), pl.col("user_domain"))
        spelled = spelled.select(*read, key=pl.when(pl.col("name") != MASKED_USER).then(named))
        spelled = spelled.with_columns(key=pl.when(pl.col("key") != "").then("key"))
        return frame.select(read).join(spelled, on=read, how="left", nulls_equal=True, maintain_order="left")["key"]

    def _account(self, text: pl.Expr, realm_column: str | None) -> pl.Expr:
        name = _bare_name(_lowered(text))
        named = self._local(name)
        if realm_column is not None:
            named = self._at_realm(named, name, pl.col(realm_column))
        return pl.when(name != MASKED_USER).then(named)

    def _local(self, name: pl.Expr) -> pl.Expr:
        """An account of the district without its domain."""
        return pl.when(internal_address(name, self.district)).then(name.str.replace(r"@[^@]*$", "")).otherwise(name)

    def _at_realm(self, named: pl.Expr, name: pl.Expr, realm: pl.Expr) -> pl.Expr:
        """An account with the realm that it was logged with, where that is of another organisation."""
        domain = realm.str.to_lowercase()
        outside = domain.str.contains(".", literal=True) & ~internal_address(pl.lit("x@") + domain, self.district)
        return pl.when(outside & ~name.str.contains("@", literal=True)).then(name + "@" + domain).otherwise(named)


def _lowered(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars().str.to_lowercase()


def _bare_name(whole: pl.Expr) -> pl.Expr:
    """An account without the Windows domain before it."""
    escaped = whole.str.contains(ESCAPED.pattern)
    return pl.when(escaped).then(whole).otherwise(whole.str.replace(r"^.*\\", ""))


def _coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    return first.to_frame("a").with_columns(second.alias("b")).select(pl.coalesce("a", "b")).to_series()


def _random(_: Enricher, frame: pl.DataFrame) -> pl.Series:
    """Locally administered and not multicast (IEEE 802): the two lowest bits of the first octet are 10."""
    return frame.select(pl.col("source_mac").str.slice(1, 1).is_in(["2", "6", "a", "e"])).to_series()


def _known_server(district: District, frame: pl.DataFrame) -> pl.Series:
    """Whether the DHCP server is the district's; null where it is not told, or the district names none."""
    servers = frame["dhcp_server_ip"]
    if not district.dhcp_servers:
        return pl.repeat(None, frame.height, dtype=pl.Boolean, eager=True)
    known = district.dhcp_server_index.names_of(servers).is_not_null()
    return pl.DataFrame({"s": servers, "k": known}).select(pl.when(pl.col("s").is_not_null()).then("k")).to_series()


_DEVICE_COLUMNS: dict[str, Callable[[Enricher, pl.DataFrame], pl.Series]] = {
    "source_site": Enricher.site,
    "source_device_kind": lambda e, f: e.device(f, "kind"),
    "source_device_owner": lambda e, f: e.device(f, "owner"),
    "source_mac_known": Enricher.known,
    "host_name_known": Enricher.named,
    "source_mac_random": _random,
    "source_mac_vendor": lambda _, f: looked_up(f["source_mac"], vendor_of),
    "source_device_own": lambda e, f: own_device(e.keys("user_name", f), f["source_mac"], e.inventory, e.district),
    "login_source": lambda _, f: login_source(f),
    "user_roles": Enricher.roles,
    "dhcp_server_known": lambda e, f: _known_server(e.district, f),
}
# Key of an account that is written without a domain, and whether it is written with one.
_PLAIN_ACCOUNT = (
    pl.when(~pl.col("whole").is_in(["", MASKED_USER])).then("whole").alias("key"),
    pl.col("whole").str.contains_any(["@", "\\"]).alias("signs"),
)
