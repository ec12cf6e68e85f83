"""Who makes a device, by the first half of its address: the IEEE's register, as `aiooui` carries it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache

import aiooui

from agents.context.mac import is_randomised


@lru_cache(maxsize=65_536)
def vendor_of(mac: str) -> str | None:
    """The organisation to which the IEEE gave the address's first three octets, as it is registered.

    None for one that the register does not have, and for an address that a device made up for itself. The register is
    read at the first call.

    Args:
        mac: Lower case with colons.
    """
    _load()
    return None if is_randomised(mac) else aiooui.get_vendor(mac)


@cache
def _load() -> None:
    # The library loads in an event loop only, and this thread may have one that is running.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, aiooui.async_load()).result()
