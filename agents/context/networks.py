"""Which named network an address belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import polars as pl

from agents.context.remembered import Remembered

Network = IPv4Network | IPv6Network
PRIVATE = (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10",
)  # RFC 1918, 6598, 3927, 4193: what nobody can come from over the Internet  # fmt: skip


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An IP address, an IPv4-mapped IPv6 address as its IPv4 one; None for what is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@dataclass(frozen=True, slots=True)
class _Layer:
    """Networks of one address family and one prefix length, by their leading bits."""

    version: int
    shift: int
    names: Mapping[int, str]


class NetworkIndex:
    """Longest-prefix lookup of addresses in named networks.

    Looking up changes only an internal cache, whose entries do not depend on each other: threads may share an index.

    Args:
        networks: (network, name); where two are equal the first counts.
    """

    def __init__(self, networks: Iterable[tuple[Network, str]]) -> None:
        grouped: dict[tuple[int, int], dict[int, str]] = {}
        for network, name in networks:
            shift = network.max_prefixlen - network.prefixlen
            layer = grouped.setdefault((network.version, shift), {})
            layer.setdefault(int(network.network_address) >> shift, name)
        self._layers = [_Layer(v, s, names) for (v, s), names in sorted(grouped.items(), key=lambda i: i[0][1])]
        self._names = Remembered(self._search)

    def __bool__(self) -> bool:
        return bool(self._layers)

    def name_of(self, text: str) -> str | None:
        """Name of the smallest network that holds an address; None for none, or for what is no address."""
        return self._names[text]

    def _search(self, text: str) -> str | None:
        address = parse_address(text)
        if address is None:
            return None
        number = int(address)
        for layer in self._layers:
            if layer.version == address.version:
                name = layer.names.get(number >> layer.shift)
                if name is not None:
                    return name
        return None

    def names_of(self, addresses: pl.Series) -> pl.Series:
        """`name_of` for a column of texts; null stays null."""
        lookup = self.name_of
        found = [None if a is None else lookup(a) for a in addresses.to_list()]
        return pl.Series(addresses.name, found, dtype=pl.String)
