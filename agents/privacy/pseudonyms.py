"""Keyed pseudonyms, and names sealed under them.

A pseudonym is `KIND-KEY-DIGITS`, such as `user-9c41-3f9a1c0d5be27a6401c8`: HMAC-SHA256 of kind and spelling, cut to 80
bits. Among ten million names the chance that any two share one is 4 in 10^11; who has not the key can test no guess.
A name is sealed as in SIV mode (RFC 5297): the pseudonym is both the tag and the start of the key stream, so that
equal names seal to equal bytes, a stream is never used for two names, and what was changed does not open.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from agents.context.mac import normalise_mac
from agents.privacy.keys import Key, Keyring

DIGITS = 20  # hexadecimal: 80 bits
PATTERN = re.compile(rf"(user|mail|device|address)-([0-9a-f]{{4}})-[0-9a-f]{{{DIGITS}}}")
MAX_CACHED = 400_000  # names of which the pseudonym is remembered; then all are forgotten and computed again
_BLOCK = 32


class Kind(StrEnum):
    """What a pseudonym stands for. The same text as two kinds of thing has two pseudonyms."""

    USER = "user"
    MAIL = "mail"
    DEVICE = "device"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row of `sealed_names`; `sealed` is base64."""

    pseudonym: str
    kind: str
    key_id: str
    sealed: str


@lru_cache(maxsize=50_000)
def spelled(kind: Kind, text: str) -> str:
    """One spelling for one thing: case, separators of a MAC address and notations of an IP address do not matter.

    Accounts also lose the district's domain, see `agents.engine.enrich.Enricher.key`; that has been done before.
    """
    bare = text.strip().lower()
    if kind is Kind.DEVICE:
        return normalise_mac(bare) or bare.rstrip(".")
    if kind is Kind.ADDRESS:
        return _ip(bare) or bare
    return bare


def guess(text: str) -> Kind:
    """What sort of thing a text names where no column says it."""
    if normalise_mac(text) is not None:
        return Kind.DEVICE
    if _ip(text.strip().lower()) is not None:
        return Kind.ADDRESS
    return Kind.MAIL if "@" in text else Kind.USER


def _ip(text: str) -> str | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def pseudonym(key: Key, kind: Kind, spelling: str) -> str:
    """The pseudonym of a thing under a key."""
    digest = hmac.digest(key.derived(b"pseudonym"), f"{kind}\0{spelling}".encode(errors="surrogatepass"), "sha256")
    return f"{kind}-{key.id}-{digest.hex()[:DIGITS]}"


def seal(key: Key, name: str, spelling: str) -> str:
    """A spelling sealed under its pseudonym `name`, base64."""
    return base64.b64encode(_streamed(key, name, spelling.encode(errors="surrogatepass"))).decode()


def unseal(keyring: Keyring, name: str, sealed: str) -> str | None:
    """The spelling; None where the key is not there, or the bytes are not what was sealed under this pseudonym."""
    found = PATTERN.fullmatch(name)
    key = None if found is None else keyring.by_id(found[2])
    if found is None or key is None:
        return None
    try:
        text = _streamed(key, name, base64.b64decode(sealed, validate=True)).decode(errors="surrogatepass")
    except ValueError:
        return None
    return text if hmac.compare_digest(pseudonym(key, Kind(found[1]), text), name) else None


def _streamed(key: Key, name: str, data: bytes) -> bytes:
    secret = key.derived(b"seal")
    blocks = range(-(-len(data) // _BLOCK))
    stream = b"".join(hmac.digest(secret, f"{name}\0{n}".encode(), "sha256") for n in blocks)
    return bytes(a ^ b for a, b in zip(data, stream, strict=False))


class Pseudonymiser:
    """Gives pseudonyms under the newest key, and remembers which names have not been written down yet.

    Not locked: for one thread at a time.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._key = keyring.newest
        self._cache: dict[tuple[Kind, str], str] = {}
        self._new: dict[str, tuple[Kind, str]] = {}

    def of(self, kind: Kind, text: str) -> str:
        """The pseudonym of a thing in any spelling; an empty text is nothing and stays empty."""
        found = self._cache.get((kind, text))
        if found is not None:
            return found
        spelling = spelled(kind, text)
        if not spelling:
            return ""
        made = pseudonym(self._key, kind, spelling)
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        self._cache[kind, text] = made
        self._new[made] = (kind, spelling)
        return made

    def many(self, kind: Kind, texts: Iterable[str | None]) -> dict[str, str]:
        """Pseudonyms by text; null has none."""
        return {text: self.of(kind, text) for text in texts if text is not None}

    def take_new(self) -> list[Sealed]:
        """What has to be written before anything that uses it; given once."""
        new, self._new = self._new, {}
        key = self._key
        return [Sealed(name, kind.value, key.id, seal(key, name, text)) for name, (kind, text) in new.items()]

    def forget(self) -> None:
        """Give every name again as new."""
        self._cache.clear()
