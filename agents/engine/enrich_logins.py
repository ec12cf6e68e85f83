"""Derived columns about where a login came from: whose device it was, and which device or network."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network

import polars as pl

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.networks import PRIVATE, parse_address
from agents.engine.lookups import looked_up

NOWHERE = "unknown"  # the source of a login whose log names neither a device nor an address
_NETWORK_BITS = {4: 24, 6: 64}  # what one guesser outside has of addresses
_PRIVATE = tuple(ip_network(network) for network in PRIVATE)


def own_device(accounts: pl.Series, macs: pl.Series, inventory: Inventory, district: District) -> pl.Series:
    """Whether the inventory gives the device to the account that logged in; null where no device is known.

    Args:
        accounts: Who logged in, spelled as in a group key.
        macs: Devices.
        inventory: Whose they are.
        district: Spells owners.
    """
    listed = ((mac, inventory.devices.get(mac)) for mac in macs.drop_nulls().unique().to_list())
    owners = {mac: district.account_of_login(d.owner) for mac, d in listed if d is not None and d.owner}
    pairs = zip(accounts.to_list(), macs.to_list(), strict=True)
    own = [None if mac is None else account is not None and owners.get(mac) == account for account, mac in pairs]
    return pl.Series(own, dtype=pl.Boolean)


def login_source(frame: pl.DataFrame) -> pl.Series:
    """The device of each login, else the network of its address, else `NOWHERE`."""
    networks = looked_up(frame["source_ip"], _network)
    both = pl.DataFrame({"mac": frame["source_mac"], "network": networks})
    return both.select(pl.coalesce("mac", "network", pl.lit(NOWHERE))).to_series()


@lru_cache(maxsize=16_384)
def _network(address: str) -> str | None:
    """The /24 (IPv4) or /64 (IPv6) of an address; a private one by itself, since its neighbours are other people."""
    found = parse_address(address)
    if found is None:
        return None
    if any(found in network for network in _PRIVATE):
        return str(found)
    return str(ip_network(f"{found}/{_NETWORK_BITS[found.version]}", strict=False))
