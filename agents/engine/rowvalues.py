"""What a matched row counts, by kind of rule: its values and its number; and whether the calendar lets it in."""

from __future__ import annotations

from ipaddress import ip_network

import polars as pl

from agents.context.calendar import Calendar
from agents.context.district import District
from agents.context.networks import NetworkIndex
from agents.engine.enrich import Enricher
from agents.engine.lookups import text_lists
from agents.rules.columns import ColumnType, column_types
from agents.rules.model import NUMERIC_KINDS, VALUE_SEPARATOR, Detection, Rule
from agents.rules.own import Concurrent, Travel, When
from schemas.kinds import EventKind

_NONE = pl.lit([], dtype=pl.List(pl.String))


def inside(rows: pl.DataFrame, when: When, calendar: Calendar) -> pl.Series:
    """Which rows lie in a part of the calendar; it changes at whole minutes, so each minute is asked once.

    Bell hours are those of the row's site, duty hours those of its person's roles, where it has these columns.
    """
    minutes = rows["timestamp"].dt.timestamp("us") // 60_000_000
    sites: list[str | None] = [None] * rows.height
    if when.named == "bell" and "source_site" in rows.columns:
        sites = rows["source_site"].to_list()
    roles: list[tuple[str, ...]] = [()] * rows.height
    if when.named == "duty" and "person_roles" in rows.columns:
        roles = [tuple(some or ()) for some in rows["person_roles"].to_list()]
    asked = list(zip(minutes.to_list(), sites, roles, strict=True))
    known = {one: calendar.inside(one[0] * 60_000_000, when, *one[1:]) for one in set(asked)}
    return pl.Series([known[one] for one in asked], dtype=pl.Boolean)


def needs_values(rule: Rule) -> bool:
    """True where a row without values counts nothing."""
    return rule.kind in ("value_count", "concurrent", "travel")


def of_its_own(rule: Rule) -> bool:
    """True where what a row counts is made in a way of the rule's own, which no other rule has the same."""
    return isinstance(rule.own, Concurrent | Travel)


def own_values(rule: Rule, base: Detection, rows: pl.DataFrame, enricher: Enricher) -> pl.Series:
    """Values that a row counts, a list of texts, empty where there are none: of rules that `of_its_own` is true for."""
    if isinstance(rule.own, Concurrent):
        return rows.select(values=_session(rule, rule.own, base, rows, enricher)).to_series()
    assert isinstance(rule.own, Travel)
    return rows.select(values=_place(rule.own, rows, enricher.district)).to_series()


def counted_values(kind: EventKind, columns: tuple[str, ...], rows: pl.DataFrame, enricher: Enricher) -> pl.Series:
    """Values that a `value_count` counts, a list of texts a row; empty where there are none.

    Of several columns that is one text, their values together; none where any of them is missing.
    """
    if column_types(kind)[columns[0]] is ColumnType.TEXTS:
        return rows[columns[0]]
    parts = pl.DataFrame([enricher.keys(column, rows).alias(column) for column in columns])
    keys = parts.select(key=pl.concat_str(pl.all(), separator=VALUE_SEPARATOR))
    lists = pl.concat_list("key")
    if keys["key"].null_count():
        lists = pl.when(pl.col("key").is_not_null()).then(lists).otherwise(_NONE)
    return keys.select(lists).to_series()


def number_column(rule: Rule) -> str | None:
    """Column of the number that a row counts; None where the kind counts none."""
    if isinstance(rule.own, Concurrent):
        return rule.own.seconds
    return rule.value_field if rule.kind in NUMERIC_KINDS else None


def _session(rule: Rule, own: Concurrent, base: Detection, rows: pl.DataFrame, enricher: Enricher) -> pl.Expr:
    """Place and session. The end of a session needs no place, its begin no identifier."""
    assert rule.value_field is not None
    place = enricher.key(rule.value_field, rows.columns)
    session = enricher.key(own.id, rows.columns) if own.id is not None else pl.lit(None, dtype=pl.String)
    needed = session if base.name in own.ends else place
    both = pl.concat_list(place.fill_null(""), session.fill_null(""))
    return pl.when(needed.is_not_null()).then(both).otherwise(_NONE)


def _on_earth(latitude: float | None, longitude: float | None) -> bool:
    """True for a place. Many tables of places say 0, 0 of what they do not know: nobody lives there."""
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return False
    return -90 <= latitude <= 90 and -180 <= longitude <= 180


def _place(own: Travel, rows: pl.DataFrame, district: District) -> pl.Expr:
    """Latitude, longitude and address: as logged, else of the site; none for a proxy, or where the place is unknown."""
    columns = set(rows.columns)
    unknown = pl.Series([None] * rows.height, dtype=pl.Float64)
    geo = {"source_geo_latitude", "source_geo_longitude"} <= columns
    logged = (rows["source_geo_latitude"], rows["source_geo_longitude"]) if geo else (unknown, unknown)
    sites = {s.name: (s.latitude, s.longitude) for s in district.sites if s.latitude is not None}
    names = rows["source_site"].to_list() if "source_site" in columns else [None] * rows.height
    addresses = rows["source_ip"] if "source_ip" in columns else pl.Series([None] * rows.height, dtype=pl.String)
    proxies = NetworkIndex((ip_network(n, strict=False), n) for n in own.proxies).names_of(addresses).to_list()
    stated = rows["source_is_proxy"].to_list() if "source_is_proxy" in columns else [None] * rows.height
    found: list[list[str]] = []
    for lat, lon, name, address, proxy, said in zip(*logged, names, addresses, proxies, stated, strict=True):
        at = (lat, lon) if _on_earth(lat, lon) else sites.get(name)
        good = at is not None and proxy is None and said is not True
        found.append([repr(at[0]), repr(at[1]), address or ""] if good and at is not None else [])
    return pl.lit(text_lists(found))
