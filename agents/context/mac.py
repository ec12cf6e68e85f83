"""Hardware addresses: one notation, and what their bits say."""

from __future__ import annotations

import re

_SEPARATORS = str.maketrans("", "", ":-. ")
_HEX = re.compile(r"[0-9a-f]{12}")


def normalise_mac(text: str) -> str | None:
    """A MAC address in any usual notation as lower-case pairs with colons; None for anything else.

    Colons, hyphens, Cisco's dotted groups of four, and no separators at all are read (EUI-48, IEEE 802).
    """
    digits = text.strip().lower().translate(_SEPARATORS)
    if not _HEX.fullmatch(digits):
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def is_randomised(mac: str) -> bool:
    """True for a locally administered address of a single device (IEEE 802: bit 1 set and bit 0 clear of octet 0).

    Phones and laptops that hide their built-in address use these. Multicast addresses are no devices.
    """
    return int(mac[0:2], 16) & 0b11 == 0b10
