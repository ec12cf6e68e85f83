"""What a format string says in pieces, put together: a URL of its parts, the first user that is named, and the like."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from streams.normalisers.proxy.columns import ips

_HOST_NAME = r"^[A-Za-z0-9][A-Za-z0-9._\-]*$"
_REQUEST = r"(?s)^(?P<method>[A-Za-z][A-Za-z_\-]{0,31}) (?P<url>.*?)(?: (?P<version>[A-Z]{1,8}/[0-9.]{1,5}))?$"
_PIECES = ("u_scheme", "u_domain", "u_port", "u_path", "u_query")


def settled(captures: pl.DataFrame) -> pl.DataFrame:
    """Captures as `captures.TEXTS` names them, from those of a format string.

    Understood are `url_client` (the URL before it was rewritten), `u_scheme` … `u_query` (its parts), `user_login` and
    `user_external`, `client_name`, `peer_name`, `sni`, `version_number` (without `HTTP/`), `request` (a whole line of a
    request) and `microseconds`.
    """
    given = set(captures.columns)
    if "request" in given:
        captures = _requested(captures)
        given = set(captures.columns)
    made: list[pl.Expr] = [
        *_first(given, "url", ("url", "url_client")),
        *_first(given, "user", ("user", "user_login", "user_external")),
    ]
    if "microseconds" in given:
        micros = pl.col("microseconds").cast(pl.Float64, strict=False)
        made.append((micros / 1000).cast(pl.String).alias("decimal_milliseconds"))
    if "version_number" in given:
        made.append((pl.lit("HTTP/") + _stated("version_number")).alias("version"))
    captures = captures.with_columns(made)
    if given & {"u_domain", "u_path"} and not given & {"url", "url_client"}:
        captures = captures.with_columns(_url(given).alias("url"))
    return _named(captures)


def _requested(captures: pl.DataFrame) -> pl.DataFrame:
    """Method, URL and version of a request's first line; what is none (bytes of another protocol) stands as the URL."""
    request = captures["request"]
    found = request.str.extract_groups(_REQUEST).struct.unnest()
    found = found.with_columns(found["url"].zip_with(found["method"].is_not_null(), request))
    return captures.with_columns(
        captures[name].zip_with(captures[name].is_not_null(), found[name]) if name in captures.columns else found[name]
        for name in found.columns
    )


def _stated(name: str) -> pl.Expr:
    return pl.when(~pl.col(name).is_in(["-", ""])).then(pl.col(name))


def _first(given: set[str], name: str, of: Sequence[str]) -> list[pl.Expr]:
    """The first that is stated, where there are several."""
    there = [_stated(one) for one in of if one in given]
    return [pl.coalesce(there).alias(name)] if there and given & set(of[1:]) else []


def _url(given: set[str]) -> pl.Expr:
    """A URL of its parts; for CONNECT, host and port. Without a host, the path."""
    scheme, domain, port, path, query = (
        _stated(name) if name in given else pl.lit(None, pl.String) for name in _PIECES
    )
    method = _stated("method") if "method" in given else pl.lit(None, pl.String)
    connect = (method == "CONNECT").fill_null(False)
    known = scheme.fill_null("http").str.to_lowercase()
    default = ((known == "http") & (port == "80")) | ((known == "https") & (port == "443"))
    shown = pl.when(~default | connect).then(pl.lit(":") + port).fill_null("")
    slash = pl.when(path.is_null() | ~path.str.starts_with("/")).then(pl.lit("/")).otherwise(pl.lit(""))
    tail = slash + path.fill_null("") + (pl.lit("?") + query.str.strip_prefix("?")).fill_null("")
    bare = domain.str.contains(":", literal=True) & ~domain.str.starts_with("[")
    host = pl.when(bare).then(pl.lit("[") + domain + "]").otherwise(domain)
    whole = pl.when(connect).then(host + shown).otherwise(known + "://" + host + shown + tail)
    return pl.when(domain.is_not_null()).then(whole).when(path.is_not_null()).then(tail)


def _named(captures: pl.DataFrame) -> pl.DataFrame:
    """Names of the client and of the server, where the log has them beside or instead of addresses."""
    given = set(captures.columns)
    if "client_name" in given:
        name = captures["client_name"]
        address = ips(name)
        is_name = address.is_null() & name.str.contains(_HOST_NAME).fill_null(value=False)
        client = address.zip_with(address.is_not_null(), captures["client"]) if "client" in given else address
        captures = captures.with_columns(
            name.str.to_lowercase().set(~is_name, None).alias("host_name"), client.alias("client")
        )
    if "peer_name" in given and "peer" not in given:
        captures = captures.with_columns(pl.col("peer_name").alias("peer"))
    names = [_stated(one) for one in ("peer_name", "sni") if one in given]
    if names:
        domain = pl.coalesce(names).str.to_lowercase()
        captures = captures.with_columns(domain.alias("destination_domain"))
        known = ips(captures["destination_domain"])
        captures = captures.with_columns(captures["destination_domain"].set(known.is_not_null(), None))
    return captures
