"""The columns of proxy events that follow from a URL, a status or an address, column by column for whole chunks."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from streams.normalisers import addresses
from streams.normalisers.masking import Masker

_SCHEME = r"^[A-Za-z][A-Za-z0-9+.\-]*$"
_EXTENSION = r"[^/]\.([A-Za-z0-9]{1,10})$"
_CONNECT = "CONNECT"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"^(?:{_OCTET}\.){{3}}{_OCTET}$"
_WITH_PORT = r"^(?P<host>[0-9.]+|\[[^\]]+\]):(?P<port>[0-9]{1,5})$"


def url_columns(urls: pl.Series, methods: pl.Series, masker: Masker) -> dict[str, pl.Series]:
    """`url_original` without credentials, and what it is made of (`url_scheme` … `url_extension`).

    Args:
        urls: As logged; null where there is none.
        methods: Of the same rows; for CONNECT, host:port is the URL.
        masker: The source's.
    """
    urls, methods = urls.alias("url"), methods.alias("method")
    frame = pl.DataFrame({"url": _masked_urls(urls, methods, masker), "method": methods})
    brackets = bool(frame["url"].str.contains("[", literal=True).any())
    frame = _with_url_parts(frame, brackets=brackets).select(*_of_url())
    return {name: frame[name] for name in frame.columns}


def masked(texts: pl.Series, masker: Masker) -> pl.Series:
    """Texts without credentials; the few that may hold any are found by one scan of the distinct ones."""
    distinct = texts.unique().drop_nulls()
    suspect = distinct.filter(distinct.str.contains(masker.triggers))
    if not len(suspect):
        return texts
    return texts.replace(suspect, pl.Series([masker.text(text) for text in suspect], dtype=pl.String))


def outcome(denied: pl.Series, status: pl.Series) -> pl.Series:
    """`failure` for what was denied and for status 400 and above, `success` below, `unknown` without a status."""
    frame = pl.DataFrame({"denied": denied, "status": status})
    return frame.select(outcome_of("denied", "status").alias("event_outcome"))["event_outcome"]


def outcome_of(denied: str, status: str) -> pl.Expr:
    """`outcome` of two columns of a frame."""
    bad = pl.col(denied).fill_null(False) | (pl.col(status) >= 400)
    good = (pl.col(status) > 0) & (pl.col(status) < 400)
    return pl.when(bad).then(pl.lit("failure")).when(good).then(pl.lit("success")).otherwise(pl.lit("unknown"))


def mapped(texts: pl.Series, read: Callable[[str], str | None]) -> pl.Series:
    """`read` of every distinct text."""
    distinct = texts.unique().drop_nulls()
    if not len(distinct):
        return pl.Series(texts.name, [None], dtype=pl.String).new_from_index(0, len(texts))
    values = pl.Series([read(text) for text in distinct], dtype=pl.String)
    return texts.replace_strict(distinct, values, default=None, return_dtype=pl.String)


def ips(texts: pl.Series) -> pl.Series:
    """Addresses in their canonical spelling, null for what is none; plain IPv4 ones are found by one scan."""
    plain = texts.str.contains(_IPV4).fill_null(value=False)
    if plain.all():
        return texts
    null = pl.Series([None], dtype=pl.String)
    return texts.zip_with(plain, mapped(texts.zip_with(~plain, null), addresses.ip))


def clients(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Addresses, and the ports of sites that log `address:port`. A name is no address: null."""
    found = ips(texts)
    no_port = pl.Series([None], dtype=pl.Int32).new_from_index(0, len(texts))
    if found.null_count() == texts.null_count():
        return found, no_port
    split = texts.str.extract_groups(_WITH_PORT).struct.unnest()
    with_port = ips(split["host"])
    return found.zip_with(found.is_not_null(), with_port), ports(split["port"])


def ports(texts: pl.Series) -> pl.Series:
    """TCP ports; null for what is none."""
    number = texts.cast(pl.Int32, strict=False)
    return number.set((number < 0) | (number > 65_535), None)


def names(texts: pl.Series, known: pl.Series) -> pl.Series:
    """What is no address (`known` is null) as a name in lower case."""
    frame = pl.DataFrame({"name": texts, "ip": known})
    named = pl.col("ip").is_null() & (pl.col("name") != "")
    return frame.select(pl.when(named).then(pl.col("name").str.to_lowercase()))["name"]


def _with_url_parts(frame: pl.DataFrame, *, brackets: bool) -> pl.DataFrame:
    """The frame with `url` cut as in RFC 3986 appendix B: `u_scheme`, `u_host`, `u_port`, `u_path`, `u_query`.

    Args:
        frame: With `url`.
        brackets: Whether any URL may hold an IPv6 address.
    """
    urls = frame["url"]
    before, behind = _cut(urls, "://")
    has_scheme = (behind.is_not_null() & before.str.contains(_SCHEME)).fill_null(value=False)
    rest = behind.zip_with(has_scheme, urls)
    if rest.str.contains("#", literal=True).any():
        rest = _cut(rest, "#")[0]
    rest, query = _cut(rest, "?")
    authority, tail = _cut(rest, "/")
    if authority.str.contains("@", literal=True).any():
        authority = authority.str.split("@").list.last()
    host, port = _cut(authority, ":")
    if brackets:
        bracketed = authority.str.starts_with("[").fill_null(value=False)
        host = authority.str.extract(r"^(\[[^\]]*\])").zip_with(bracketed, host)
        port = authority.str.extract(r"\]:([0-9]+)$").zip_with(bracketed, port)
    return frame.with_columns(
        before.zip_with(has_scheme, pl.Series([None], dtype=pl.String)).alias("u_scheme"),
        host.alias("u_host"),
        port.cast(pl.Int32, strict=False).alias("u_port"),
        ("/" + tail).alias("u_path"),
        query.alias("u_query"),
    )


def _cut(texts: pl.Series, sign: str) -> tuple[pl.Series, pl.Series]:
    """Texts before and behind the first such sign; null behind where there is none."""
    cut = texts.str.splitn(sign, 2)
    return cut.struct.field("field_0"), cut.struct.field("field_1")


def _of_url() -> list[pl.Expr]:
    """Columns that follow from the URL."""
    has_host = pl.col("u_scheme").is_not_null() | (pl.col("method") == _CONNECT).fill_null(False)
    host = pl.col("u_host").str.strip_chars("[]").str.to_lowercase()
    port = pl.col("u_port")
    is_path = has_host | pl.col("url").str.starts_with("/")
    path = pl.when(is_path).then(pl.col("u_path"))
    return [
        pl.col("url").alias("url_original"),
        pl.when(has_host).then(pl.col("u_scheme").str.to_lowercase()).alias("url_scheme"),
        pl.when(has_host & (host != "")).then(host).alias("url_domain"),
        pl.when(has_host & port.is_between(0, 65_535)).then(port).alias("url_port"),
        path.alias("url_path"),
        pl.when(is_path & (pl.col("u_query") != "")).then(pl.col("u_query")).alias("url_query"),
        path.str.extract(_EXTENSION).str.to_lowercase().alias("url_extension"),
    ]


def _masked_urls(urls: pl.Series, methods: pl.Series, masker: Masker) -> pl.Series:
    """URLs without credentials. The scan finds the few that may hold any; those are masked one by one."""
    places = urls.str.contains(masker.triggers).fill_null(value=False).arg_true()
    if not len(places):
        return urls
    pairs = zip(methods.gather(places), urls.gather(places), strict=True)
    found = [
        masker.text(f"{_CONNECT} {url}")[len(_CONNECT) + 1 :] if method == _CONNECT else masker.text(url)
        for method, url in pairs
    ]
    return urls.scatter(places, found)
