"""Identifiers that DHCP carries, in one spelling each: octet strings, DUIDs, client identifiers, option 55.

Facts: RFC 2132 sections 9.8 (parameter request list) and 9.14 (client identifier), RFC 3046 (option 82), RFC 8415
section 11 (DUID, at most 128 octets behind its type).
"""

from __future__ import annotations

import re
from functools import lru_cache

from streams.normalisers.addresses import ip, mac

MAX_OCTETS = 255  # of an option (RFC 2132 section 2)
_MAX_DUID = 130

_PARTED = re.compile(r"[0-9A-Fa-f]{1,2}(?:[:\-.][0-9A-Fa-f]{1,2})*\Z", re.ASCII)
_PLAIN = re.compile(r"(?:0x)?((?:[0-9A-Fa-f]{2})+)\Z", re.ASCII)
_DOTTED = re.compile(r"[0-9A-Fa-f]{1,4}(?:\.[0-9A-Fa-f]{1,4})+\Z", re.ASCII)
_LIST = re.compile(r"\d{1,3}(?:,\d{1,3})*\Z", re.ASCII)
_CISCO = re.compile(r"cisco-([0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4})-", re.ASCII)
_MAX_TEXT = 800


@lru_cache(maxsize=16_384)
def octets(text: str) -> bytes | None:
    """Octets of a hexadecimal text, parted by colons, dashes or dots, or plain (with `0x` or not); else None.

    A part of one digit is an octet too, as dhcpd's `binary-to-ascii (16, 8, ":", …)` writes it.
    """
    if not text or len(text) > _MAX_TEXT:
        return None
    if _PARTED.match(text) and not text.isalnum():
        return bytes(int(part, 16) for part in re.split(r"[:\-.]", text))
    plain = _PLAIN.match(text)
    return bytes.fromhex(plain[1]) if plain else None


@lru_cache(maxsize=16_384)
def hexadecimal(text: str | None) -> str | None:
    """An octet string in lower case with colons; a text that is none stays as it is; None for none."""
    if not text:
        return None
    data = octets(text)
    return data.hex(":") if data is not None else text


@lru_cache(maxsize=16_384)
def duid(text: str | None) -> str | None:
    """A DUID in lower case with colons; None where it is none (a type of two octets and something behind it)."""
    data = octets(text) if text else None
    return data.hex(":") if data is not None and 3 <= len(data) <= _MAX_DUID else None


def fingerprint(text: str | None) -> str | None:
    """Option 55 as decimal numbers joined by commas, from such a list or from the octets; None where it is neither."""
    if not text:
        return None
    joined = text.replace(" ", "")
    if _LIST.match(joined) and len(joined) <= _MAX_TEXT:
        return joined if all(int(number) <= MAX_OCTETS for number in joined.split(",")) else None
    data = octets(text)
    return ",".join(str(octet) for octet in data) if data is not None else None


def mac_of_client_id(data: bytes | None) -> str | None:
    """The hardware address in a client identifier: type 1 (Ethernet) and six octets, or Cisco's `cisco-MAC-port`.

    A DUID in it (type 255, RFC 4361) says nothing: its link-layer address may be of another interface of the device.
    """
    if data is None:
        return None
    if len(data) == 7 and data[0] == 1:
        return data[1:].hex(":")
    if data[:7] == b"\0cisco-":
        named = _CISCO.match(data[1:].decode("ascii", "replace"))
        return mac(named[1]) if named else None
    return None


def hardware(text: str | None) -> str | None:
    """The Ethernet address in a hardware address with or without its type (1) in front; None for other ones."""
    data = octets(text) if text else None
    if data is not None and len(data) == 7 and data[0] == 1:
        data = data[1:]
    return data.hex(":") if data is not None and len(data) == 6 else None


@lru_cache(maxsize=16_384)
def dotted_octets(text: str) -> bytes | None:
    """Octets of Cisco's `0100.1a2b.3c4d.5e`: groups of four digits, the last one may be shorter; else None."""
    if not _DOTTED.match(text) or len(text) > _MAX_TEXT:
        return None
    digits = text.replace(".", "")
    return bytes.fromhex(digits) if len(digits) % 2 == 0 else None


def relay_options(data: bytes | None) -> tuple[str | None, str | None]:
    """Circuit and remote id in option 82's octets (RFC 3046 section 2: a code, a length, octets), hexadecimal."""
    found: dict[int, str] = {}
    data, start = data or b"", 0
    while start + 2 <= len(data):
        code, length = data[start], data[start + 1]
        found.setdefault(code, data[start + 2 : start + 2 + length].hex(":"))
        start += 2 + length
    return found.get(1) or None, found.get(2) or None


def number(text: str | None, limit: int = 2**32 - 1) -> int | None:
    """A decimal number of at most `limit`; else None. Lifetimes have 32 bits, all ones is for ever."""
    if not text or len(text) > 20 or not (text.isascii() and text.isdigit()):
        return None
    value = int(text)
    return value if value <= limit else None


def prefix_length(text: str | None) -> int | None:
    """Bits of an IPv6 prefix; None for none and for what is none."""
    return number(text, 128)


def address_and_length(text: str) -> tuple[str | None, int | None]:
    """Address and prefix length of `2001:db8::/56`, or an address alone."""
    address, _, length = text.partition("/")
    return ip(address), prefix_length(length)
