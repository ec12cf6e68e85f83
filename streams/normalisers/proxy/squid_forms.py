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

# A URL with a blank (`uri_whitespace allow`): the last fitting end counts, so that a URL cannot forge the rest.
_NATIVE_ODD = re.compile(
    r"([0-9]{1,11})(?:\.([0-9]{1,9}))? +(-?[0-9]{1,12}) ([^ ]+) ([A-Z][A-Z0-9_]*|-)/([0-9]{3}|-) ([0-9]{1,18}|-)"
    r" ([^ ]+) (.+)"
    r" ([^ ]+) ([A-Z][A-Z0-9_]*|-)/([^ ]*) ([^ ]+)(?: .*)?\Z",
    re.DOTALL,
)
_NATIVE_ORDER = (
    "duration",
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
    """Captures of the lines in Squid's native form; `timestamp` is null for all others.

    squid: `%ts.%03tu %6tr %>a %Ss/%03>Hs %<st %rm %ru %[un %Sh/%<a %mt`, whatever columns a site adds behind.
    """
    stamp, rest = _cut(texts, " ", 2)
    parts = _cut(rest.str.strip_chars_start(" "), " ", 10)
    duration, client, verdict, size, method, url, user, peering, mime = parts[:9]
    (result, status), (hierarchy, peer), (seconds, fraction) = (
        _cut(verdict, "/", 2),
        _cut(peering, "/", 2),
        _cut(stamp, ".", 2),
    )
    fits = (
        _like(stamp, r"^[0-9]{1,11}(?:\.[0-9]{1,9})?$")
        & _like(duration, r"^-?[0-9]{1,12}$")
        & _like(verdict, r"^(?:[A-Z][A-Z0-9_]*|-)/(?:[0-9]{3}|-)$")
        & _like(size, r"^(?:[0-9]{1,18}|-)$")
        & _like(peering, r"^(?:[A-Z][A-Z0-9_]*|-)/")
        & _some(client) & _some(method) & _some(url) & _some(user) & _some(mime)
    )  # fmt: skip
    captures = {
        "client": client, "user": user, "method": method, "url": url, "status": status, "bytes": size, "mime": mime,
        "duration": duration, "result": result, "hierarchy": hierarchy, "peer": peer,
    }  # fmt: skip
    digits = pl.col("fraction").fill_null("").str.slice(0, 6).str.pad_end(6, "0")
    micros = pl.col("seconds").cast(pl.Int64, strict=False) * 1_000_000 + digits.cast(pl.Int64, strict=False)
    times = pl.DataFrame({"seconds": seconds, "fraction": fraction, "fits": fits})
    return _captures(times.select(pl.when("fits").then(micros).alias("timestamp"))["timestamp"], captures)


def combined(texts: pl.Series) -> pl.DataFrame:
    """Captures of the lines in the common or combined form; `timestamp` is null for all others and for bad times.

    combined: `%>a %[ui %[un [%tl] "%rm %ru HTTP/%rv" %>Hs %<st "%{Referer}>h" "%{User-Agent}>h" %Ss:%Sh`; common: the
    same without the two headers.
    """
    head, request, middle, referrer, between, agent, end = _cut(texts, '"', 7)
    client, ident, user, stamp = _cut(head, " ", 4)
    method, url, version = _cut(request, " ", 3)
    blank, status, size, behind = _cut(middle, " ", 4)
    with_headers = (behind == "").fill_null(value=False)
    trail = end.str.strip_prefix(" ").zip_with(with_headers, behind)
    verdict = _cut(trail, " ", 2)[0]
    result, hierarchy = _cut(verdict, ":", 2)
    fits = (
        _some(client) & _some(ident) & _some(user) & _some(method) & _some(url)
        & _like(stamp, r"^\[[^\]]{1,40}\] $")
        & _like(version, r"^[A-Za-z]{1,8}/[0-9.]{1,5}$")
        & (blank == "").fill_null(value=False)
        & _like(status, r"^(?:[0-9]{3}|[0-9]|-)$")
        & _like(size, r"^(?:[0-9]{1,18}|-)$")
        & (~with_headers | ((between == " ") & end.str.starts_with(" ")).fill_null(value=False))
        & _like(verdict, r"^(?:[A-Z][A-Z0-9_]*|-):(?:[A-Z][A-Z0-9_]*|-)$")
    )  # fmt: skip
    captures = {
        "client": client, "user": user, "method": method, "url": url, "version": version, "status": status,
        "bytes": size, "referrer": _only(referrer, with_headers), "agent": _only(agent, with_headers),
        "result": result, "hierarchy": hierarchy,
    }  # fmt: skip
    stamps = _only(stamp, fits).str.strip_chars("[] ")
    distinct = stamps.unique().drop_nulls()
    times = pl.Series([common_time(text) for text in distinct], dtype=pl.Int64)
    return _captures(stamps.replace_strict(distinct, times, default=None, return_dtype=pl.Int64), captures)


def _cut(texts: pl.Series, sign: str, parts: int) -> list[pl.Series]:
    """Text cut at a sign into at most so many parts; null where there are fewer."""
    cut = texts.str.splitn(sign, parts)
    return [cut.struct.field(f"field_{part}") for part in range(parts)]


def _like(texts: pl.Series, pattern: str) -> pl.Series:
    return texts.str.contains(pattern).fill_null(value=False)


def _some(texts: pl.Series) -> pl.Series:
    return (texts != "").fill_null(value=False)


def _only(texts: pl.Series, where: pl.Series) -> pl.Series:
    return texts.zip_with(where, pl.Series([None], dtype=pl.String))


def _captures(timestamp: pl.Series, found: dict[str, pl.Series]) -> pl.DataFrame:
    empty = pl.repeat(None, len(timestamp), dtype=pl.String, eager=True)
    return pl.DataFrame({"timestamp": timestamp, **{name: found.get(name, empty) for name in CAPTURES}})


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
