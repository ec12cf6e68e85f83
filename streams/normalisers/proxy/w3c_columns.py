"""From the captures of W3C rows to those of `captures`: the time, the whole URL, who refused, units and spellings."""

from __future__ import annotations

import re
from urllib.parse import unquote

import polars as pl

from streams.normalisers.moments import common
from streams.normalisers.proxy.chunks import STAMP, ChunkNormaliser
from streams.normalisers.proxy.columns import mapped
from streams.normalisers.proxy.squid_forms import mapped_times
from streams.normalisers.proxy.w3c_fields import SECONDS, UNITLESS
from streams.normalisers.proxy.whole import settled

_NO_CATEGORY = ("none", "unavailable", "Unavailable", "N/A", "n/a", "unrated")
_HASH = r"^[0-9A-Fa-f]{32}$|^[0-9A-Fa-f]{40}$|^[0-9A-Fa-f]{64}$"
_TWICE = re.compile(r"%25([0-9A-Fa-f]{2})")
_CN = re.compile(r"(?:\A|,)\s*CN=([^,]{1,256})", re.IGNORECASE)
_TWOFOLD = re.compile(r"([^\\@]{1,256}\\{1,2}[^\\@]{1,256})@[^\\@]{1,256}\Z")
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?$"
_MOMENT_FORMAT = "%Y-%m-%d %H:%M:%S%.f"


def finished(captures: pl.DataFrame, reader: ChunkNormaliser, *, local: bool) -> pl.DataFrame:
    """Captures of whole events.

    Args:
        captures: Of the rows, in the order of their lines, with `dataset`.
        reader: Reads local times.
        local: Whether `date` and `time` are in the source's zone.
    """
    captures = _timed(captures, reader, local=local)
    captures = _addressed(_two_in_one(captures))
    captures = settled(captures)
    return _spelled(captures)


def _timed(captures: pl.DataFrame, reader: ChunkNormaliser, *, local: bool) -> pl.DataFrame:
    given = set(captures.columns)
    found = pl.Series([None], dtype=pl.Int64).new_from_index(0, captures.height)
    stamp = pl.Series([None], dtype=pl.String).new_from_index(0, captures.height)
    for day, time in (("date", "time"), ("date_local", "time_local")):
        if {day, time} <= given:
            text = captures.select(pl.concat_str(day, time, separator=" ").alias(STAMP))[STAMP]
            micros = reader.local_times(text) if local or day == "date_local" else _utc(text)
            found, stamp = _first(found, micros), _first(stamp, text)
    if "epoch" in given:
        cut = pl.col("epoch").str.splitn(".", 2)
        decimals = cut.struct.field("field_1").fill_null("").str.slice(0, 6).str.pad_end(6, "0")
        seconds = cut.struct.field("field_0").cast(pl.Int64, strict=False)
        exact = seconds * 1_000_000 + decimals.cast(pl.Int64, strict=False)
        likely = pl.col("epoch").str.contains(r"^[0-9]{9,11}(?:\.[0-9]+)?$")
        found = _first(found, captures.select(pl.when(likely).then(exact).alias("t"))["t"])
        stamp = _first(stamp, captures["epoch"])
    if "bracketed" in given:
        text = captures["bracketed"].str.strip_chars("[]")
        found, stamp = _first(found, mapped_times(text, lambda text: common(text, reader.clock))), _first(stamp, text)
    if "head_stamp" in given:
        text = captures["head_stamp"]
        found, stamp = _first(found, reader.local_times(text)), _first(stamp, text)
    return captures.with_columns(found.alias("timestamp"), stamp.alias(STAMP))


def _two_in_one(captures: pl.DataFrame) -> pl.DataFrame:
    """Cisco's fields of two values: result and status, hierarchy and server."""
    given = set(captures.columns)
    made: list[pl.Expr] = []
    for whole, names in (("result_status", ("result", "status")), ("hierarchy_origin", ("hierarchy", "peer"))):
        if whole in given:
            cut = pl.col(whole).str.splitn("/", 2)
            made += [
                pl.coalesce(_text(given, name), cut.struct.field(f"field_{part}")).alias(name)
                for part, name in enumerate(names)
            ]
    return captures.with_columns(made)


def _first(stated: pl.Series, other: pl.Series) -> pl.Series:
    return stated.zip_with(stated.is_not_null(), other)


def _utc(texts: pl.Series) -> pl.Series:
    likely = texts.str.contains(_MOMENT).fill_null(value=False)
    times = texts.set(~likely, None).str.to_datetime(_MOMENT_FORMAT, time_unit="us", strict=False)
    return times.cast(pl.Int64)


def _text(given: set[str], name: str) -> pl.Expr:
    return pl.when(~pl.col(name).is_in(["-", ""])).then(pl.col(name)) if name in given else pl.lit(None, pl.String)


def _addressed(captures: pl.DataFrame) -> pl.DataFrame:
    """The URL, whole or as parts, and the addresses of the server."""
    if "u_scheme" in captures.columns:
        captures = _tunnels(captures)
    given = set(captures.columns)
    null = pl.lit(None, pl.String)
    path, whole, host, port = (_text(given, name) for name in ("path", "whole_url", "host", "port"))
    connect = (_text(given, "method") == "CONNECT").fill_null(False)
    absolute = null
    if "whole_url" in given:
        is_whole = whole.str.contains("://", literal=True) | (connect & whole.str.contains(r"^[^/]+:[0-9]+$"))
        absolute = pl.when(is_whole).then(whole)
        path = pl.coalesce(path, pl.when(~is_whole).then(whole))
    if "path" in given and captures["path"].str.contains("://", literal=True).any():
        absolute = pl.coalesce(absolute, pl.when(path.str.contains("://", literal=True)).then(path))
        path = pl.when(~path.str.contains("://", literal=True)).then(path)
    if "host" in given and captures["host"].str.contains(":", literal=True).any():
        port = pl.coalesce(port, host.str.extract(r"[^:]:([0-9]{1,5})$"))
        host = host.str.replace(r"([^:]):[0-9]{1,5}$", "$1").str.strip_chars("[]")
    scheme = _text(given, "u_scheme").str.to_lowercase()
    captures = captures.with_columns(
        absolute.alias("absolute"),
        scheme.alias("u_scheme"),
        host.str.to_lowercase().alias("host"),
        port.alias("u_port"),
        path.alias("u_path"),
        _text(given, "query").alias("u_query"),
        (scheme.is_not_null() | connect).alias("apart"),
    )
    captures = _with_url(captures)
    server = pl.col("dataset").is_in(["iis.access", "cisco_wsa.w3c"])  # elsewhere `s-` is the proxy itself
    made: list[pl.Expr] = []
    if "server_ip" in given:
        made.append(pl.coalesce(pl.when(server).then(_text(given, "server_ip")), _text(given, "peer")).alias("peer"))
    if "server_port" in given:
        made.append(pl.when(server).then(_text(given, "server_port")).alias("peer_port"))
    return captures.with_columns(made)


def _tunnels(captures: pl.DataFrame) -> pl.DataFrame:
    """TMG's tunnels, which it logs without a method."""
    tunnel = pl.col("u_scheme").str.to_lowercase() == "ssl-tunnel"
    method = _text(set(captures.columns), "method")
    return captures.with_columns(
        pl.when(tunnel & method.is_null()).then(pl.lit("CONNECT")).otherwise(method).alias("method")
    )


def _with_url(captures: pl.DataFrame) -> pl.DataFrame:
    """`url` from the whole one or from its parts; a path alone keeps its host beside it."""
    method = ["method"] if "method" in captures.columns else []
    domain = pl.when("apart").then(pl.col("host")).alias("u_domain")
    parts = captures.select("u_scheme", domain, "u_port", "u_path", "u_query", *method)
    url = settled(parts)["url"]
    if captures["absolute"].null_count() < captures.height:
        url = _first(captures["absolute"], url)
    own = pl.when(pl.col("absolute").is_null() & ~pl.col("apart")).then(pl.col("host")).alias("url_domain")
    left = ("absolute", "apart", "host", "u_scheme", "u_port", "u_path", "u_query")
    return captures.with_columns(url.alias("url"), own).drop(*left, "path", "query", "whole_url", strict=False)


def _spelled(captures: pl.DataFrame) -> pl.DataFrame:
    """Verdict, units, and words by which products say that there is nothing."""
    given = set(captures.columns)
    verdict = _text(given, "verdict").str.to_uppercase()
    result, policy, status = _text(given, "result"), _text(given, "proxy_policy"), _text(given, "status")
    denied = (
        verdict.str.contains(r"^(?:DENIED|DENY|BLOCK)").fill_null(False)
        | result.str.contains("DENIED", literal=True).fill_null(False)
        | policy.str.contains(r"^(?:BLOCK|DROP)_").fill_null(False)
        | (status == "407").fill_null(False)
    )
    made = [denied.alias("denied"), pl.col("dataset").alias("event_dataset")]
    words = [name for name in ("proxy_category", "proxy_threat", "application_name") if name in given]
    made += [pl.when(~pl.col(name).is_in(_NO_CATEGORY)).then(pl.col(name)).alias(name) for name in words]
    if "taken" in given:
        taken = pl.col("taken").cast(pl.Float64, strict=False)
        seconds = pl.col("dataset").is_in(list(SECONDS)) | (
            pl.col("dataset").is_in(list(UNITLESS)) & pl.col("taken").str.contains(".", literal=True)
        )
        known = seconds | ~pl.col("dataset").is_in(list(UNITLESS))
        made.append(
            pl.when(known).then(pl.when(seconds).then(taken * 1000).otherwise(taken)).alias("decimal_milliseconds")
        )
    if "file_hash" in given:
        made.append(pl.when(pl.col("file_hash").str.contains(_HASH)).then(pl.col("file_hash").str.to_lowercase()))
    if "server_name" in given:
        own = pl.col("observer_hostname") if "observer_hostname" in given else pl.lit(None, pl.String)
        server = pl.when(pl.col("dataset") != "cisco_wsa.w3c").then(_text(given, "server_name"))
        made.append(pl.coalesce(own, server).alias("observer_hostname"))
    captures = captures.with_columns(made)
    if "account" in given:
        captures = captures.with_columns(mapped(captures["account"], account_of))
    if "agent" in given and (captures["dataset"] == "cloudfront.access").any():
        decoded = mapped(captures["agent"], lambda text: unquote(_TWICE.sub(r"%\1", text), errors="backslashreplace"))
        captures = captures.with_columns(
            decoded.zip_with(captures["dataset"] == "cloudfront.access", captures["agent"])
        )
    return captures


def account_of(text: str) -> str | None:
    r"""A user's name: of an LDAP name its CN, of `DOMAIN\user@realm` without the realm; none of those not known."""
    if text.lower() in ("anonymous", "-", "unknown", "none"):
        return None
    found = _CN.search(text) if "=" in text else None
    if found:
        return found[1]
    twofold = _TWOFOLD.match(text)
    return twofold[1] if twofold else text.removesuffix(" (?)").removesuffix("(?)")
