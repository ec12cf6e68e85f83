"""The forms of a Squid access log line, and how they are taken apart: whole chunks at once, odd lines one by one.

Both ways give the same *captures*: text columns named by `CAPTURES`, null where a form lacks them, and `timestamp` in
microseconds UTC. Facts: Squid's `logformat` directive, built-in formats `squid`, `common` and `combined`.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

import polars as pl

from streams.normalisers.times import MONTHS, micros_of

CAPTURES = (
    "client",
    "user",
    "method",
    "url",
    "version",
    "status",
    "bytes",
    "mime",
    "referrer",
    "agent",
    "duration",
    "result",
    "hierarchy",
    "peer",
)

# squid: %ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt, whatever columns a site adds behind
NATIVE = (
    r"(?s)^(?P<seconds>[0-9]{1,11})(?:\.(?P<fraction>[0-9]{1,9}))? +(?P<duration>-?[0-9]{1,12}) (?P<client>[^ ]+)"
    r" (?P<result>[A-Z][A-Z0-9_]*|-)/(?P<status>[0-9]{3}|-) (?P<bytes>[0-9]{1,18}|-) (?P<method>[^ ]+) (?P<url>[^ ]+)"
    r" (?P<user>[^ ]+) (?P<hierarchy>[A-Z][A-Z0-9_]*|-)/(?P<peer>[^ ]*) (?P<mime>[^ ]+)(?: .*)?$"
)
# combined: %>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh; common: without
COMBINED = (
    r'(?s)^(?P<client>[^ ]+) [^ ]+ (?P<user>[^ ]+) \[(?P<stamp>[^\]]{1,40})\] "(?P<method>[^ "]+) (?P<url>[^ "]+)'
    r' (?P<version>[A-Za-z]{1,8}/[0-9.]{1,5})" (?P<status>[0-9]{3}|[0-9]|-) (?P<bytes>[0-9]{1,18}|-)'
    r'(?: "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)")? (?P<result>[A-Z][A-Z0-9_]*|-):(?P<hierarchy>[A-Z][A-Z0-9_]*|-)(?: .*)?$'
)

# A URL with a blank (`uri_whitespace allow`): the last fitting end counts, so that a URL cannot forge the rest.
_NATIVE_ODD = re.compile(
    r"([0-9]{1,11})(?:\.([0-9]{1,9}))? +(-?[0-9]{1,12}) ([^ ]+) ([A-Z][A-Z0-9_]*|-)/([0-9]{3}|-) ([0-9]{1,18}|-) ([^ ]+) (.+)"
    r" ([^ ]+) ([A-Z][A-Z0-9_]*|-)/([^ ]*) ([^ ]+)(?: .*)?\Z",
    re.DOTALL,
)
_NATIVE_ORDER = ("duration", "client", "result", "status", "bytes", "method", "url", "user", "hierarchy", "peer", "mime")
_COMBINED_HEAD = re.compile(r'([^ ]+) [^ ]+ (.{1,256}?) \[([^\]]{1,40})\] "([^ ]+) ', re.DOTALL)
_COMBINED_TAIL = re.compile(r"(?:(?P<quoted>\".*\") )?([A-Z][A-Z0-9_]*|-):([A-Z][A-Z0-9_]*|-)\Z", re.DOTALL)
_COMBINED_MIDDLE = re.compile(r" ([A-Za-z]{1,8}/[0-9.]{1,5})\" ([0-9]{3}|[0-9]|-) ([0-9]{1,18}|-) ")
_COMMON_TIME = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\Z", re.ASCII)

_SCHEMA = {"timestamp": pl.Int64(), **dict.fromkeys(CAPTURES, pl.String())}


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
    """Captures of the lines in Squid's native form; `timestamp` is null for all others."""
    found = texts.str.extract_groups(NATIVE).struct.unnest()
    micros = pl.col("fraction").fill_null("").str.slice(0, 6).str.pad_end(6, "0")
    stamped = found.select(
        (pl.col("seconds").cast(pl.Int64) * 1_000_000 + micros.cast(pl.Int64)).alias("timestamp"),
        *(pl.col(name) if name in found.columns else pl.lit(None, pl.String).alias(name) for name in CAPTURES),
    )
    return stamped


def combined(texts: pl.Series) -> pl.DataFrame:
    """Captures of the lines in the common or combined form; `timestamp` is null for all others and for bad times."""
    found = texts.str.extract_groups(COMBINED).struct.unnest()
    stamps = found["stamp"].unique().drop_nulls()
    times = pl.Series([common_time(stamp) for stamp in stamps], dtype=pl.Int64)
    micros = found["stamp"].replace_strict(stamps, times, default=None, return_dtype=pl.Int64)
    return found.select(
        micros.alias("timestamp"),
        *(pl.col(name) if name in found.columns else pl.lit(None, pl.String).alias(name) for name in CAPTURES),
    )


def odd(texts: list[str]) -> pl.DataFrame:
    """Captures of the lines that neither fast form took: blanks and quotes where none should be. One by one."""
    rows = [_odd_native(text) or _odd_combined(text) or {} for text in texts]
    return pl.DataFrame({name: [row.get(name) for row in rows] for name in _SCHEMA}, schema=_SCHEMA)


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
        "timestamp": common_time(head[3]), "client": head[1], "user": head[2], "method": head[4], "url": url,
        "version": middle[1], "status": middle[2], "bytes": middle[3], "result": tail[2], "hierarchy": tail[3],
    }  # fmt: skip
    if tail["quoted"]:
        row["referrer"], _, row["agent"] = tail["quoted"][1:-1].partition('" "')
    return row
