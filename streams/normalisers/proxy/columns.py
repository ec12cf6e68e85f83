"""The columns of proxy events that follow from a URL and a status, column by column for whole chunks."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from streams.normalisers import addresses
from streams.normalisers.masking import Masker

FIELDS = (
    *(
        "timestamp",
        "event_dataset",
        "event_action",
        "event_outcome",
        "observer_hostname",
        "process_name",
        "process_pid",
    ),
    *("source_ip", "source_port", "user_name", "http_request_method", "http_version", "url_original", "url_scheme"),
    *("url_domain", "url_port", "url_path", "url_query", "url_extension", "http_response_status_code"),
    *("http_response_bytes", "http_response_mime_type", "http_request_referrer", "user_agent_original"),
    *("destination_ip", "destination_domain", "event_duration", "proxy_result", "proxy_hierarchy"),
)
"""Columns that an event of Squid can have."""

_SCHEME = r"^[A-Za-z][A-Za-z0-9+.\-]*$"
_EXTENSION = r"[^/]\.([A-Za-z0-9]{1,10})$"
_CONNECT = "CONNECT"


def url_columns(urls: pl.Series, methods: pl.Series, masker: Masker) -> dict[str, pl.Series]:
    """`url_original` without credentials, and what it is made of (`url_scheme` … `url_extension`).

    Args:
        urls: As logged; null where there is none.
        methods: Of the same rows; for CONNECT, host:port is the URL.
        masker: The source's.
    """
    frame = pl.DataFrame({"url": urls.alias("url"), "method": methods.alias("method")})
    frame = frame.with_columns(_masked_urls(frame, masker))
    frame = frame.hstack(_url_parts(frame["url"])).select(*_of_url())
    return {name: frame[name] for name in frame.columns}


def masked(texts: pl.Series, masker: Masker) -> pl.Series:
    """Texts without credentials; the few that may hold any are found by one scan."""
    places = texts.str.contains(masker.triggers).fill_null(value=False).arg_true()
    return texts.scatter(places, [masker.text(t) for t in texts.gather(places)]) if len(places) else texts


def outcome(denied: pl.Series, status: pl.Series) -> pl.Series:
    """`failure` for what was denied and for status 400 and above, `success` below, `unknown` without a status."""
    frame = pl.DataFrame({"denied": denied, "status": status})
    bad = pl.col("denied").fill_null(False) | (pl.col("status") >= 400)
    good = (pl.col("status") > 0) & (pl.col("status") < 400)
    found = pl.when(bad).then(pl.lit("failure")).when(good).then(pl.lit("success")).otherwise(pl.lit("unknown"))
    return frame.select(found.alias("event_outcome"))["event_outcome"]


def proxy_columns(captures: pl.DataFrame, masker: Masker) -> dict[str, pl.Series]:
    """Columns of proxy events from captures (see `squid_forms`), all rows with a timestamp."""
    captures = captures.with_columns(
        pl.when(pl.col(pl.String) != "-").then(pl.col(pl.String)).name.keep(),
    )
    captures = captures.with_columns(
        _masked_urls(captures, masker), masked(captures["referrer"], masker), masked(captures["agent"], masker)
    )
    peer_ip = _mapped(captures["peer"], addresses.ip)
    columns = captures.hstack(_url_parts(captures["url"])).select(*_of_url(), *_direct(), *_verdict())
    client, port = _clients(captures["client"])
    named = {name: columns[name] for name in columns.columns}
    named["source_ip"], named["source_port"] = client, port
    named["destination_ip"] = peer_ip
    named["destination_domain"] = _names(captures["peer"], peer_ip)
    return named


def _url_parts(urls: pl.Series) -> list[pl.Series]:
    """URLs cut as in RFC 3986 appendix B: `u_scheme`, `u_host`, `u_port`, `u_path`, `u_query`, null where missing."""
    frame = pl.DataFrame({"url": urls, "cut": urls.str.splitn("://", 2)})
    before, behind = pl.col("cut").struct.field("field_0"), pl.col("cut").struct.field("field_1")
    has_scheme = behind.is_not_null() & before.str.contains(_SCHEME)
    frame = frame.select(
        pl.when(has_scheme).then(before).alias("u_scheme"),
        pl.when(has_scheme)
        .then(behind)
        .otherwise(pl.col("url"))
        .str.splitn("#", 2)
        .struct.field("field_0")
        .alias("rest"),
    )
    frame = frame.select(
        "u_scheme", pl.col("rest").str.splitn("?", 2).struct.rename_fields(["rest", "u_query"])
    ).unnest("rest")
    frame = frame.select(
        "u_scheme", "u_query", pl.col("rest").str.splitn("/", 2).struct.rename_fields(["authority", "tail"])
    ).unnest("rest")
    authority = pl.col("authority").str.split("@").list.last()
    frame = frame.with_columns(authority, ("/" + pl.col("tail")).alias("u_path"))
    bracketed = pl.col("authority").str.starts_with("[")
    plain = pl.col("authority").str.splitn(":", 2)
    host = (
        pl.when(bracketed)
        .then(pl.col("authority").str.extract(r"^(\[[^\]]*\])"))
        .otherwise(plain.struct.field("field_0"))
    )
    port = (
        pl.when(bracketed)
        .then(pl.col("authority").str.extract(r"\]:([0-9]+)$"))
        .otherwise(plain.struct.field("field_1"))
    )
    frame = frame.with_columns(host.alias("u_host"), port.cast(pl.Int32, strict=False).alias("u_port"))
    return [frame[name] for name in ("u_scheme", "u_host", "u_port", "u_path", "u_query")]


def _of_url() -> list[pl.Expr]:
    """Columns that follow from the URL."""
    has_host = pl.col("u_scheme").is_not_null() | (pl.col("method") == _CONNECT).fill_null(False)
    host = pl.col("u_host").str.strip_chars("[]").str.to_lowercase()
    port = pl.col("u_port")
    is_path = has_host | pl.col("url").str.starts_with("/")
    path = pl.when(is_path).then(pl.col("u_path"))
    return [
        pl.col("url").alias("url_original"),
        pl.when(has_host).then(pl.col("u_scheme")).str.to_lowercase().alias("url_scheme"),
        pl.when(has_host & (host != "")).then(host).alias("url_domain"),
        pl.when(has_host & port.is_between(0, 65_535)).then(port).alias("url_port"),
        path.alias("url_path"),
        pl.when(is_path & (pl.col("u_query") != "")).then(pl.col("u_query")).alias("url_query"),
        path.str.extract(_EXTENSION).str.to_lowercase().alias("url_extension"),
    ]


def _direct() -> list[pl.Expr]:
    """Columns that are a capture, or one cast."""
    status = pl.col("status").cast(pl.Int32)
    milliseconds = pl.col("duration").cast(pl.Int64)
    version = pl.col("version").str.strip_prefix("HTTP/")
    return [
        pl.col("timestamp"),
        pl.col("user").alias("user_name"),
        pl.col("method").alias("http_request_method"),
        pl.when(pl.col("version").str.starts_with("HTTP/")).then(version).alias("http_version"),
        pl.when(status > 0).then(status).alias("http_response_status_code"),
        pl.col("bytes").cast(pl.Int64).alias("http_response_bytes"),
        pl.col("mime").str.strip_chars_end(";").alias("http_response_mime_type"),
        pl.col("referrer").alias("http_request_referrer"),
        pl.col("agent").alias("user_agent_original"),
        pl.when(milliseconds >= 0).then(milliseconds * 1_000_000).alias("event_duration"),
        pl.col("result").alias("proxy_result"),
        pl.col("hierarchy").alias("proxy_hierarchy"),
    ]


def _verdict() -> list[pl.Expr]:
    """Action and outcome: denied by the proxy's own word, or by a 403 or 407 that it made itself."""
    status = pl.col("status").cast(pl.Int32)
    own = pl.col("result").str.contains(r"^(?:TAG_)?NONE").fill_null(False) & status.is_in([403, 407]).fill_null(False)
    denied = pl.col("result").str.contains("DENIED", literal=True).fill_null(False) | own
    good = (status > 0) & (status < 400)
    outcome = pl.when(denied | (status >= 400)).then(pl.lit("failure")).when(good).then(pl.lit("success"))
    return [
        pl.lit("squid.access").alias("event_dataset"),
        pl.when(denied).then(pl.lit("denied")).otherwise(pl.lit("allowed")).alias("event_action"),
        outcome.otherwise(pl.lit("unknown")).alias("event_outcome"),
    ]


def _masked_urls(captures: pl.DataFrame, masker: Masker) -> pl.Series:
    """URLs without credentials. The scan finds the few that may hold any; those are masked one by one."""
    urls = captures["url"]
    places = urls.str.contains(masker.triggers).fill_null(value=False).arg_true()
    if not len(places):
        return urls
    pairs = zip(captures["method"].gather(places), urls.gather(places), strict=True)
    found = [
        masker.text(f"{_CONNECT} {url}")[len(_CONNECT) + 1 :] if method == _CONNECT else masker.text(url)
        for method, url in pairs
    ]
    return urls.scatter(places, found)


def _mapped(texts: pl.Series, read: Callable[[str], str | None]) -> pl.Series:
    """`read` of every distinct text."""
    distinct = texts.unique().drop_nulls()
    if not len(distinct):
        return pl.Series(texts.name, [None] * len(texts), dtype=pl.String)
    values = pl.Series([read(text) for text in distinct], dtype=pl.String)
    return texts.replace_strict(distinct, values, default=None, return_dtype=pl.String)


def _clients(clients: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Addresses, and the ports of sites that log `%>a:%>p`. A name (`log_fqdn`) is no address: null."""
    found = _mapped(clients, addresses.ip)
    if found.null_count() == 0:
        return found, pl.repeat(None, len(found), dtype=pl.Int32, eager=True)
    split = clients.str.extract_groups(r"^(?P<host>[0-9.]+|\[[^\]]+\]):(?P<port>[0-9]{1,5})$").struct.unnest()
    ports = split["port"].cast(pl.Int32)
    with_port = _mapped(split["host"], addresses.ip)
    number = pl.DataFrame({"p": ports}).select(pl.when(pl.col("p") <= 65_535).then(pl.col("p")))["p"]
    return found.zip_with(found.is_not_null(), with_port), number


def _names(peers: pl.Series, known: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"name": peers.str.to_lowercase(), "ip": known})
    return frame.select(pl.when(pl.col("ip").is_null() & (pl.col("name") != "")).then(pl.col("name")))["name"]
