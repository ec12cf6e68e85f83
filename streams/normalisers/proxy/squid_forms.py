"""The built-in forms of a Squid access log line: patterns for whole chunks, and others for odd lines one by one.

Both give the same captures (`captures`), with `timestamp` in microseconds UTC. Facts: Squid's `logformat` directive,
built-in formats `squid`, `common` and `combined`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import polars as pl

from streams.normalisers.proxy.chunks import FITS
from streams.normalisers.times import MONTHS, micros_of

# For the `regex` engine of Polars: at each place the next byte alone says how to go on, which it is quick with.
_NATIVE = (
    r"^(?P<seconds>[0-9]{1,11})(?:\.(?P<fraction>[0-9]{1,9}))? +(?P<milliseconds>-?[0-9]{1,12}) (?P<client>[^ ]+)"
    r" (?P<result>[A-Z][A-Z0-9_]*|-)/(?P<status>[0-9]{3}|-) (?P<bytes>[0-9]{1,18}|-) (?P<method>[^ ]+) (?P<url>[^ ]+)"
    r" (?P<user>[^ ]+) (?P<hierarchy>[A-Z][A-Z0-9_]*|-)/(?P<peer>[^ ]*) (?P<mime>[^ ]+)(?: (?s:.*))?$"
)
_COMBINED = (
    r'^(?P<client>[^ "]+) [^ "]+ (?P<user>[^ "]+) \[(?P<stamp>[^\]"]{1,40})\] "(?P<method>[^ "]+) (?P<url>[^ "]+)'
    r' (?P<version>[A-Za-z]{1,8}/[0-9.]{1,5})" (?P<status>[0-9](?:[0-9]{2})?|-) (?P<bytes>[0-9]{1,18}|-)'
    r' (?:"(?P<referrer>[^"]*)" "(?P<agent>[^"]*)" )?(?P<result>[A-Z][A-Z0-9_]*|-):(?P<hierarchy>[A-Z][A-Z0-9_]*|-)'
    r"(?: (?s:.*))?$"
)

# A URL with a blank (`uri_whitespace allow`): the last fitting end counts, so that a URL cannot forge the rest.
_NATIVE_ODD = re.compile(
    r"([0-9]{1,11})(?:\.([0-9]{1,9}))? +(-?[0-9]{1,12}) ([^ ]+) ([A-Z][A-Z0-9_]*|-)/([0-9]{3}|-) ([0-9]{1,18}|-)"
    r" ([^ ]+) (.+)"
    r" ([^ ]+) ([A-Z][A-Z0-9_]*|-)/([^ ]*) ([^ ]+)(?: .*)?\Z",
    re.DOTALL,
)
_NATIVE_ORDER = (
    "milliseconds",
    "client",
    "result",
    "status",
    "bytes",
    "method",
    "url",
    "user",
    "hierarchy",
    "peer",
    "mime",
)
_COMBINED_HEAD = re.compile(r'([^ ]+) [^ ]+ (?!- [^\[])(.{1,256}?) \[([^\]]{1,40})\] "([^ ]+) ', re.DOTALL)
_COMBINED_TAIL = re.compile(r"(?:(?P<quoted>\".*\") )?([A-Z][A-Z0-9_]*|-):([A-Z][A-Z0-9_]*|-)\Z", re.DOTALL)
_COMBINED_MIDDLE = re.compile(r' ([A-Za-z]{1,8}/[0-9.]{1,5})" ([0-9]{3}|[0-9]|-) ([0-9]{1,18}|-) ')
_COMMON_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\Z", re.ASCII)


@lru_cache(maxsize=4096)
def common_time(stamp: str) -> int | None:
    """Microseconds UTC of `%tl` (`10/Oct/2024:13:55:36 -0700`); None where it is no time."""
    match = _COMMON_TIME.match(stamp)
    month = match and MONTHS.get(match[2])
    if match is None or month is None:
        return None
    try:
        return micros_of(datetime.fromisoformat(f"{match[3]}-{month:02d}-{match[1]}T{match[4]}{match[5]}"))
    except (ValueError, OverflowError):
        return None


def native(texts: pl.Series) -> pl.DataFrame:
    """Lines in Squid's native form.

    squid: `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt`, whatever columns a site adds behind.
    """
    captures = texts.str.extract_groups(_NATIVE).struct.unnest()
    digits = pl.col("fraction").fill_null("").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64)
    micros = pl.col("seconds").cast(pl.Int64) * 1_000_000 + digits
    return captures.with_columns(micros.alias("timestamp"), pl.col("seconds").is_not_null().alias(FITS)).drop(
        "seconds", "fraction"
    )


def combined(texts: pl.Series) -> pl.DataFrame:
    """Lines in the common or combined form.

    combined: `%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh`; common: the
    same without the two headers.
    """
    captures = texts.str.extract_groups(_COMBINED).struct.unnest()
    times = mapped_times(captures["stamp"], common_time).alias("timestamp")
    return captures.with_columns(times, pl.col("client").is_not_null().alias(FITS))


def mapped_times(stamps: pl.Series, read: Callable[[str], int | None]) -> pl.Series:
    """`read` of every distinct stamp: microseconds since 1970 UTC."""
    distinct = stamps.unique().drop_nulls()
    if not len(distinct):
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(stamps))
    times = pl.Series([read(text) for text in distinct], dtype=pl.Int64)
    return stamps.replace_strict(distinct, times, default=None, return_dtype=pl.Int64)


def odd(text: str) -> dict[str, object] | None:
    """Captures of a line that neither fast form took: blanks and quotes where none should be."""
    return _odd_native(text) or _odd_combined(text)


def _odd_native(text: str) -> dict[str, object] | None:
    match = _NATIVE_ODD.match(text)
    if match is None:
        return None
    seconds, fraction, *rest = match.groups()
    micros = int(seconds) * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))
    return {"timestamp": micros, **dict(zip(_NATIVE_ORDER, rest, strict=True))}


def _odd_combined(text: str) -> dict[str, object] | None:
    head = _COMBINED_HEAD.match(text)
    middle = head and _COMBINED_MIDDLE.search(text, head.end() - 1)
    tail = middle and _COMBINED_TAIL.match(text, middle.end())
    if head is None or not middle or not tail:
        return None
    url = text[head.end() : middle.start()]
    row = {
        "timestamp": common_time(head[3]), "stamp": head[3], "client": head[1], "user": head[2],
        "method": head[4], "url": url,
        "version": middle[1], "status": middle[2], "bytes": middle[3], "result": tail[2], "hierarchy": tail[3],
    }  # fmt: skip
    if tail["quoted"]:
        row["referrer"], _, row["agent"] = tail["quoted"][1:-1].partition('" "')
    return row
