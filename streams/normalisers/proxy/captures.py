"""Proxy events from *captures*: the texts that a format cuts out of its lines, a column each, whole chunks at once.

Captures have the names of `TEXTS` (any format has some of them) or, where nothing is left to be done, of a column of
the event itself. A lone dash states nothing in all of them. Besides, a frame of captures has

- `timestamp`: microseconds since 1970 UTC (Int64);
- `denied` (Boolean): whether the proxy itself refused; nobody was where it is missing;
- `event_dataset`, where one type of log has several.
"""

from __future__ import annotations

import polars as pl

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.columns import event_columns
from streams.normalisers.masking import Masker
from streams.normalisers.proxy.columns import clients, ips, mapped, masked, names, outcome_of, ports, url_columns

TEXTS = {
    "client": "source_ip",  # an address, or address:port
    "client_port": "source_port",
    "mac": "source_mac",
    "user": "user_name",  # as it stands
    "account": "user_name",  # to be parted into name and realm
    "method": "http_request_method",
    "url": "url_original",
    "version": "http_version",  # with `HTTP/`
    "status": "http_response_status_code",
    "bytes": "http_response_bytes",
    "request_bytes": "http_request_bytes",
    "mime": "http_response_mime_type",
    "referrer": "http_request_referrer",
    "agent": "user_agent_original",
    "peer": "destination_ip",  # an address or a name
    "peer_port": "destination_port",
    "milliseconds": "event_duration",
    "decimal_milliseconds": "event_duration",
    "seconds": "event_duration",
    "result": "proxy_result",
    "hierarchy": "proxy_hierarchy",
}
"""Captures, and the column that each fills (`client` fills `source_port` too, `peer` `destination_domain`)."""

_MOST = 10**18
_LONGEST_MS = 9 * 10**12  # what fits 64 bits as nanoseconds


def captured_columns(captures: pl.DataFrame, masker: Masker) -> dict[str, pl.Series]:
    """Columns of the events.

    Args:
        captures: See the module.
        masker: The source's.
    """
    captures = captures.with_columns(pl.when(pl.col(pl.String) != "-").then(pl.col(pl.String)).name.keep())
    given = set(captures.columns)
    found: dict[str, pl.Series] = {}
    numbers = captures.select(*_numbers(given), *_words(given))
    found.update({name: numbers[name] for name in numbers.columns})
    own = given & event_columns(EventKind.PROXY).keys()
    found.update({name: captures[name] for name in own - found.keys()})
    if "url" in given:
        null = pl.Series([None], dtype=pl.String).new_from_index(0, captures.height)
        urls = url_columns(captures["url"], captures["method"] if "method" in given else null, masker)
        found.update({name: _first(found.get(name), column) for name, column in urls.items()})
    _addresses(captures, found)
    for text, column in (("referrer", "http_request_referrer"), ("agent", "user_agent_original")):
        if text in given:
            found[column] = masked(captures[text], masker)
    verdict = pl.DataFrame(
        {
            "denied": captures["denied"]
            if "denied" in given
            else pl.Series([False]).new_from_index(0, captures.height),
            "status": found.get(
                "http_response_status_code", pl.Series([None], dtype=pl.Int32).new_from_index(0, captures.height)
            ),
        }
    )
    return found | dict(zip(("event_action", "event_outcome"), verdict.select(*_verdict()), strict=True))


def _first(stated: pl.Series | None, derived: pl.Series) -> pl.Series:
    return derived if stated is None else stated.zip_with(stated.is_not_null(), derived)


def _verdict() -> list[pl.Expr]:
    action = pl.when(pl.col("denied").fill_null(False)).then(pl.lit("denied")).otherwise(pl.lit("allowed"))
    return [action.alias("event_action"), outcome_of("denied", "status").alias("event_outcome")]


def _numbers(given: set[str]) -> list[pl.Expr]:
    """Columns of numbers; what is none, or is out of bounds, is null."""
    found = []
    if "status" in given:
        status = pl.col("status").cast(pl.Int32, strict=False)
        found.append(pl.when((status > 0) & (status < 1000)).then(status).alias("http_response_status_code"))
    for text in ("bytes", "request_bytes"):
        if text in given:
            number = pl.col(text).cast(pl.Int64, strict=False)
            found.append(pl.when((number >= 0) & (number < _MOST)).then(number).alias(TEXTS[text]))
    if "milliseconds" in given:
        whole = pl.col("milliseconds").cast(pl.Int64, strict=False)
        found.append(pl.when((whole >= 0) & (whole < _LONGEST_MS)).then(whole * 1_000_000).alias("event_duration"))
    for text, a_second in (("decimal_milliseconds", 1e3), ("seconds", 1.0)):
        if text in given and "milliseconds" not in given:
            number = pl.col(text).cast(pl.Float64, strict=False) / a_second
            nanoseconds = (number * 1e9).round().cast(pl.Int64, strict=False)
            fits = (number >= 0) & (number < _LONGEST_MS / 1e3)
            found.append(pl.when(fits).then(nanoseconds).alias("event_duration"))
            break
    return found


def _words(given: set[str]) -> list[pl.Expr]:
    """Columns that are a capture as it stands, or nearly."""
    plain = ("user", "method", "result", "hierarchy")
    found = [pl.col(text).alias(TEXTS[text]) for text in plain if text in given]
    if "version" in given:
        version = pl.col("version")
        found.append(
            pl.when(version.str.starts_with("HTTP/")).then(version.str.strip_prefix("HTTP/")).alias("http_version")
        )
    if "mime" in given:
        found.append(pl.col("mime").str.replace(r"(?s) *;.*$", "").alias("http_response_mime_type"))
    return found


def _addresses(captures: pl.DataFrame, found: dict[str, pl.Series]) -> None:
    """Columns of addresses, ports and accounts."""
    given = set(captures.columns)
    if "client" in given:
        found["source_ip"], port = clients(captures["client"])
        found["source_port"] = _first(found.get("source_port"), port)
    if "client_port" in given:
        found["source_port"] = ports(captures["client_port"])
    if "mac" in given:
        found["source_mac"] = mapped(captures["mac"], addresses.mac)
    if "peer" in given:
        found["destination_ip"] = ips(captures["peer"])
        found["destination_domain"] = _first(
            found.get("destination_domain"), names(captures["peer"], found["destination_ip"])
        )
    if "peer_port" in given:
        found["destination_port"] = ports(captures["peer_port"])
    if "account" in given:
        accounts = captures["account"]
        found["user_name"] = accounts
        if accounts.str.contains(r"[@\\]").any():
            found["user_name"] = mapped(accounts, lambda name: addresses.account(name)[0])
            found["user_domain"] = mapped(accounts, lambda name: addresses.account(name)[1])
