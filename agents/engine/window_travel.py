"""Our own kind `travel`: two places, one after the other, too far apart for the time between."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from itertools import count
from math import asin, cos, radians, sin, sqrt

from agents.engine.rows import Row
from agents.engine.windows import Window
from agents.rules.model import Rule
from agents.rules.own import Travel

EARTH_KM = 6_371.0088  # mean radius (IUGG)
LEAST_S = 1.0  # two rows of one instant count as a second apart: their clocks need not agree better
_NETWORK_BITS = {4: 24, 6: 64}  # addresses of one network are at one place, whatever the tables say


def distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance of two (latitude, longitude) in degrees, by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = one, other
    a, b = radians(lat1), radians(lat2)
    h = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(h)))


@lru_cache(maxsize=16_384)
def network_of(address: str) -> tuple[int, int] | None:
    """The /24 (IPv4) or /64 (IPv6) of an address; None for what is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    plain = mapped if isinstance(mapped, IPv4Address) else found
    return plain.version, int(plain) >> (plain.max_prefixlen - _NETWORK_BITS[plain.version])


def speed(before: Row, after: Row, least_km: float) -> float:
    """Kilometres an hour between two rows, to a tenth; 0 where they say nothing: near, or of one network.

    A row's `values` are latitude, longitude and address (empty: not known).
    """
    one, other = network_of(before.values[2]), network_of(after.values[2])
    if one is not None and one == other:
        return 0.0
    if before.values[:2] == after.values[:2]:
        return 0.0
    here = (float(before.values[0]), float(before.values[1]))
    km = distance_km(here, (float(after.values[0]), float(after.values[1])))
    return round(km * 3_600.0 / max((after.t - before.t) / 1e6, LEAST_S), 1) if km >= least_km else 0.0


class Journeys(Window):
    """The fastest way between two neighbouring rows inside. Both must be inside."""

    __slots__ = ("_jumps", "_least_km", "_left", "_next")

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule)
        self._least_km = rule.own.km if isinstance(rule.own, Travel) else 0.0
        self._next = count()
        self._left = 0  # rows that have left
        self._jumps: deque[tuple[int, float]] = deque()  # number of the first row, speed; speeds fall from the front

    def _enter(self, row: Row) -> None:
        number = next(self._next)
        if len(self.rows) < 2:
            return
        found = speed(self.rows[-2], row, self._least_km)
        if found:
            while self._jumps and self._jumps[-1][1] <= found:
                self._jumps.pop()
            self._jumps.append((number - 1, found))

    def _leave(self, row: Row) -> None:
        del row
        if self._jumps and self._jumps[0][0] == self._left:
            self._jumps.popleft()
        self._left += 1

    @property
    def value(self) -> float:
        """The highest speed."""
        return self._jumps[0][1] if self._jumps else 0.0
