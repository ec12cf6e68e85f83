"""Addresses in their one canonical spelling."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\Z", re.ASCII)
_CANONICAL = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\Z", re.ASCII)
_OCTETS = re.compile(r"[0-9A-Fa-f]{1,2}(?:[:\-][0-9A-Fa-f]{1,2}){5}\Z", re.ASCII)
_DOTTED = re.compile(r"[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}\Z", re.ASCII)
_ESCAPED_BYTE = re.compile(r"(?<!\\)\\x[89a-f][0-9a-f]")
_PLAIN = re.compile(r"[0-9A-Fa-f]{12}\Z", re.ASCII)


@lru_cache(maxsize=16_384)
def ip(text: str) -> str | None:
    """Canonical text of an IPv4 or IPv6 address (RFC 5952); None where it is none.

    An IPv4 address in IPv6's clothes (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) becomes the plain one, so that one
    device has one address in all logs. Zones (`%eth0`) and brackets are dropped; leading zeros are read as decimal.
    """
    if _CANONICAL.match(text):
        return text
    if _IPV4.match(text):
        return ".".join(str(int(octet)) for octet in text.split("."))
    if ":" not in text or len(text) > 64:
        return None
    try:
        address = ipaddress.IPv6Address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped
    return str(address if mapped is None else mapped)


@lru_cache(maxsize=16_384)
def mac(text: str) -> str | None:
    """Six octets in lower case with colons, from `aa-bb-…`, `aa:bb:…`, `aabb.ccdd.eeff` or twelve digits; else None."""
    if _OCTETS.match(text):
        return ":".join(part.zfill(2) for part in text.lower().replace("-", ":").split(":"))
    digits = text.lower()
    if _DOTTED.match(text):
        digits = digits.replace(".", "")
    elif not _PLAIN.match(text):
        return None
    return ":".join(digits[i : i + 2] for i in range(0, 12, 2))


def port(text: str | None) -> int | None:
    """A TCP or UDP port; None for none and for what is no port."""
    if not text or len(text) > 5 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if number <= 65_535 else None


def account(name: str) -> tuple[str, str | None]:
    r"""An account's name and realm: `bob@realm` and `REALM\bob` are split, anything else has no realm.

    sshd and FreeRADIUS escape what they log, so that `REALM\bob` stands there as `REALM\\bob`: the same account. A byte
    that is no UTF-8 stands in a text as `\xf6` and parts nothing.
    """
    if "\\" in name and _ESCAPED_BYTE.search(name) is None:
        realm, _, user = name.partition("\\")
        user = user.removeprefix("\\")
        if user and realm and "\\" not in user:
            return user, realm
    user, at, realm = name.rpartition("@")
    if at and user and realm and " " not in realm:
        return user, realm
    return name, None
