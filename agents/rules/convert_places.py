"""Our own kind `travel` in SQL: places of events, and the speed between two of them."""

from __future__ import annotations

from agents.context.district import District
from agents.rules.columns import column_types
from agents.rules.convert_values import Conditions, in_network, quoted
from agents.rules.own import Travel
from schemas.kinds import EventKind

_EARTH_KM = 6_371.0088  # as in `agents.engine.window_travel`, which rules do not import
_MAPPED = "startsWith(lower({a}), '::ffff:') AND isIPv4String(substring({a}, 8))"


def place_of(own: Travel, district: District, kind: EventKind, where: Conditions) -> tuple[str, str, list[str]]:
    """Number (none), latitude, longitude and address of a row as texts, and what it must have to count."""
    columns = column_types(kind)
    site = where.column("source_site") if "source_site" in columns else "CAST(NULL AS Nullable(String))"
    latitude, longitude = (_coordinate(part, columns.keys(), district, site) for part in ("latitude", "longitude"))
    tests = [f"isNotNull({latitude})", f"isNotNull({longitude})"]
    tests += [f"NOT ifNull({in_network('source_ip', n)}, false)" for n in own.proxies]
    if "source_is_proxy" in columns:
        tests.append("NOT ifNull(source_is_proxy, false)")
    values = f"[toString(assumeNotNull({latitude})), toString(assumeNotNull({longitude})), ifNull(source_ip, '')]"
    return "0", values, tests


def _coordinate(part: str, columns: object, district: District, site: str) -> str:
    sites = [s for s in district.sites if s.latitude is not None]
    of_site = "CAST(NULL AS Nullable(Float64))"
    if sites:
        tests = ", ".join(f"ifNull({site} = {quoted(s.name)}, false), {getattr(s, part)!r}" for s in sites)
        of_site = f"multiIf({tests}, NULL)"
    logged = "source_geo_latitude", "source_geo_longitude"
    if not {*logged} <= set(columns):  # type: ignore[call-overload]
        return of_site
    somewhere = "NOT (source_geo_latitude = 0 AND source_geo_longitude = 0)"
    on_earth = "source_geo_latitude BETWEEN -90 AND 90 AND source_geo_longitude BETWEEN -180 AND 180"
    return f"if(ifNull({on_earth} AND {somewhere}, false), source_geo_{part}, {of_site})"


def speed(before: str, after: str, seconds: str, least_km: float) -> str:
    """Kilometres an hour between two places, to a tenth; 0 where they say nothing: near, or of one network.

    Args:
        before: Expression of latitude, longitude and address, an array of texts; empty for none.
        after: Likewise.
        seconds: Expression of the time between.
        least_km: What is nearer says nothing.
    """
    (a, b), (c, d) = ([f"radians(toFloat64OrZero({p}[{i}]))" for i in (1, 2)] for p in (before, after))
    half = f"(pow(sin(({c} - {a}) / 2), 2) + cos({a}) * cos({c}) * pow(sin(({d} - {b}) / 2), 2))"
    km = f"{2 * _EARTH_KM!r} * asin(least(1., sqrt({half})))"
    one, other = _network(f"{before}[3]"), _network(f"{after}[3]")
    same = f"({one} != '' AND {one} = {other}) OR ({before}[1] = {after}[1] AND {before}[2] = {after}[2])"
    fast = f"round({km} * 3600. / greatest({seconds}, 1.), 1)"
    return f"multiIf(empty({before}), 0., {same}, 0., {km} < {float(least_km)!r}, 0., {fast})"


def _network(address: str) -> str:
    """The /24 (IPv4) or /64 (IPv6) of an address as a text; empty for what is none."""
    bare = f"splitByChar('%', {address})[1]"
    four = f"if({_MAPPED.format(a=bare)}, substring({bare}, 8), {bare})"
    sixth = f"toString(IPv6CIDRToRange(toIPv6OrDefault({bare}), 64).1)"
    of_four = f"toString(IPv4CIDRToRange(toIPv4OrDefault({four}), 24).1)"
    return f"multiIf(isIPv4String({four}), {of_four}, isIPv6String({bare}), {sixth}, '')"
