"""How firewalls and cloud filters write values, and what they are in an event: one by one, and for whole columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import polars as pl

from streams.normalisers import addresses
from streams.normalisers.proxy.columns import ips, mapped

Values: TypeAlias = Mapping[str, str]
"""A record's values by the product's own names."""

How: TypeAlias = Literal[
    "text", "ip", "mac", "port", "count", "status", "milliseconds", "microseconds", "seconds", "hash", "user"
]

NOTHING: Final = ("", "-", "--", "N/A", "n/a", "NA", "None", "none", "null", "NULL", "(null)", "Not available")
"""Words by which products say that there is nothing."""

_NOTHING = frozenset(NOTHING)
_WORDS_OF_NOTHING = pl.Series(NOTHING).implode()
_NOBODY = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound: so products say that they know no address
_TELLING = frozenset(("ip", "mac", "port", "count", "status", "milliseconds", "microseconds", "seconds"))
_MAX_LONG = 2**63 - 1
_DIGITS = r"^[0-9]{1,18}$"
_HASH = re.compile(r"(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{96}|[0-9A-Fa-f]{128})\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,15}://", re.ASCII)
_HOST_PORT = re.compile(r"([^:\[\]/]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})\Z", re.ASCII)


class Column(NamedTuple):
    """A column of events, the keys that it is taken from (the first that is stated counts), and how it is read."""

    name: str
    keys: tuple[str, ...]
    how: How = "text"


def column(name: str, keys: str, how: How = "text") -> Column:
    """A `Column`, its keys separated by blanks."""
    return Column(name, tuple(keys.split()), how)


def stated(text: str | None) -> str | None:
    """The text; None for the words by which products say that there is nothing."""
    return None if text is None or text in _NOTHING else text


def number(text: str | None, most: int = _MAX_LONG) -> int | None:
    """A count, 0 to `most`; None for anything else."""
    if not text or len(text) > 19 or not (text.isascii() and text.isdigit()):
        return None
    found = int(text)
    return found if found <= most else None


def mac(text: str) -> str | None:
    """A hardware address; None for none and for all zeros."""
    found = addresses.mac(text)
    return None if found == "00:00:00:00:00:00" else found


def host_and_port(text: str | None) -> tuple[str | None, int | None]:
    """`host`, `host:port` or `[address]:port`."""
    name = stated(text)
    found = _HOST_PORT.match(name) if name else None
    if found is None:
        return name, None
    return found[1].strip("[]"), addresses.port(found[2])


def with_scheme(url: str, *, secure: bool) -> str:
    """A URL that a product may log without its scheme."""
    if url.startswith(("http://", "https://")) or _SCHEME.match(url):
        return url
    return f"{'https' if secure else 'http'}://{url.removeprefix('//')}"


def columns_of(
    rows: Sequence[Sequence[str | None]], keys: Sequence[str], wanted: Sequence[Column]
) -> dict[str, pl.Series]:
    """Columns of some records; those that no record states are left out.

    Args:
        rows: A record each: the values of `keys`, None where it has none.
        keys: At least those of `wanted`.
        wanted: What is made of them.
    """
    stated_by = dict(zip(keys, zip(*rows, strict=True), strict=True))
    texts: dict[str, pl.Series] = {}
    made: dict[str, pl.Series] = {}
    for name, own, how in wanted:
        for key in own:
            if key not in texts:
                texts[key] = _texts(key, stated_by[key], plain=how in _TELLING and len(own) == 1)
        found = [texts[key] for key in own if texts[key].null_count() < len(rows)]
        if found:
            _convert(name, found, how, made)
    return made


def _texts(key: str, values: Sequence[str | None], *, plain: bool) -> pl.Series:
    """Values of a key, null where they say nothing; `plain` leaves that to the conversion, which tells it itself."""
    texts = pl.Series(key, values, dtype=pl.String)
    if plain or texts.null_count() == len(texts):
        return texts
    nothing = texts.is_in(_WORDS_OF_NOTHING)
    return texts.set(nothing, None) if nothing.any() else texts


def _convert(name: str, found: list[pl.Series], how: How, made: dict[str, pl.Series]) -> None:
    if how == "hash":
        rows = zip(*found, strict=True)
        made[name] = pl.Series(name, [_longest(row) if any(row) else None for row in rows], dtype=pl.String)
        return
    texts = _first(found)
    if how == "user":
        made[name] = mapped(texts, lambda text: addresses.account(text)[0])
        made["user_domain"] = mapped(texts, _domain)
    elif how == "ip":
        found_ips = ips(texts)
        nobody = (found_ips == _NOBODY[0]) | (found_ips == _NOBODY[1])
        made[name] = found_ips.set(nobody, None) if nobody.any() else found_ips
    elif how == "mac":
        made[name] = mapped(texts, mac)
    elif how == "seconds":
        made[name] = pl.DataFrame({"text": texts}).select(_SECONDS)["text"]
    elif how in _OF_NUMBER:
        made[name] = _OF_NUMBER[how](_numbers(texts))
    else:
        made[name] = texts


def _first(found: list[pl.Series]) -> pl.Series:
    texts = found[0]
    for other in found[1:]:
        if texts.null_count() == 0:
            break
        texts = texts.zip_with(texts.is_not_null(), other)
    return texts


def _domain(text: str) -> str | None:
    """Domain of a user, that of a mail address in lower case."""
    domain = addresses.account(text)[1]
    return domain.lower() if domain and "@" in text else domain


def _longest(texts: tuple[Any, ...]) -> str | None:
    """The longest of some hashes in lower-case hexadecimal digits; None where there is none."""
    found = [text.lower() for text in texts if text and _HASH.match(text)]
    return max(found, key=len) if found else None


def _numbers(texts: pl.Series) -> pl.Series:
    """Numbers of at most eighteen digits; null for what is none."""
    digits = texts.str.contains(_DIGITS)
    found = texts.cast(pl.Int64, strict=False)
    return found if digits.all() else found.set(~digits, None)


def _within(numbers: pl.Series, least: int, most: int) -> pl.Series:
    if numbers.is_empty() or numbers.null_count() == len(numbers):
        return numbers
    outside = (numbers < least) | (numbers > most)
    return numbers.set(outside, None) if outside.any() else numbers


_DECIMAL = pl.when(pl.col("text").str.contains(r"^[0-9]{1,9}(?:\.[0-9]{1,9})?$")).then(
    pl.col("text").cast(pl.Float64, strict=False)
)
_SECONDS = (_DECIMAL * 1_000_000_000).round().cast(pl.Int64)
_OF_NUMBER: Final[Mapping[str, Callable[[pl.Series], pl.Series]]] = {
    "count": lambda numbers: numbers,
    "port": lambda numbers: _within(numbers, 1, 65_535).cast(pl.Int32),
    "status": lambda numbers: _within(numbers, 100, 999).cast(pl.Int32),
    "milliseconds": lambda numbers: _within(numbers, 0, 10**12 - 1) * 1_000_000,
    "microseconds": lambda numbers: _within(numbers, 0, 10**15 - 1) * 1_000,
}
