"""Squid's access log to proxy events.

Read are the built-in `logformat`s `squid` (native), `combined` and `common`, with whatever columns a site adds behind,
plain or behind a syslog header (then the host, program and process id come from it, the time from the line itself).

`event_action` is `allowed` or `denied`. Denied is what the proxy itself refused: a result word with `DENIED` in it, or
a 403 or 407 that it answered without a result (`NONE`, `TAG_NONE`). A 403 of the origin server is `allowed`: nobody but
that server refused. `event_outcome` is `failure` for what was denied and for status 400 and above, `success` below,
`unknown` without a status (000: the client went away).

A chunk is taken apart by one expression over all its lines; only lines that it does not fit are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

import polars as pl

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.proxy.chunks import ChunkNormaliser, Form
from streams.normalisers.proxy.columns import mapped
from streams.normalisers.proxy.squid_forms import combined, common_time, native, odd
from streams.normalisers.proxy.squid_logformat import squid_format
from streams.normalisers.proxy.whole import settled
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused

ACTIONS: Final = ("allowed", "denied")

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
    *("source_ip", "source_port", "user_name", "user_domain", "http_request_method", "http_version", "url_original"),
    *("url_scheme", "url_domain", "url_port", "url_path", "url_query", "url_extension", "http_response_status_code"),
    *("http_response_bytes", "http_response_mime_type", "http_request_referrer", "user_agent_original"),
    *("destination_ip", "destination_domain", "event_duration", "proxy_result", "proxy_hierarchy"),
    # these only where a format of the site's own has them
    *("event_reason", "source_mac", "host_name", "http_request_bytes", "destination_port", "proxy_category"),
)

_CACHE_LOG = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: \S+)?\|", re.ASCII)
_STARTS_NATIVE = re.compile(r"(\d{9,11})(?:\.(\d{1,6}))?\d{0,3} ", re.ASCII)
_STARTS_COMBINED = re.compile(r"[^ ]+ [^ ]+ .{1,256}? \[([^\]]{1,40})\] \"", re.DOTALL)


_BUILT_IN: Final[Mapping[str, tuple[Form, ...]]] = {
    "squid": (native,), "common": (combined,), "combined": (combined,)
}  # fmt: skip


class SquidNormaliser(ChunkNormaliser):
    """Lines of an access log; every line is decided by itself, nothing is remembered.

    Args:
        settings: What the source's configuration tells; its option `logformat` is the site's own format.

    Raises:
        ConfigError: the format has a mistake, or no time.
    """

    type_name = "squid"
    DATASET = "squid.access"
    fields = FIELDS

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        option = settings.options.get("logformat", "")
        plain = _BUILT_IN.get(option) if isinstance(option, str) else None
        self._forms = plain or (native, combined)
        self._own = None if plain is not None or option == "" else squid_format(option)
        self.secret = self._own is not None and self._own.secret

    def forms(self) -> Sequence[Form]:
        """The site's own; else native, then combined or common."""
        return self._forms if self._own is None else (self._own.template,)

    def odd_forms(self) -> Sequence[Form]:
        """See `Template.odd_forms`."""
        return () if self._own is None else self._own.template.odd_forms()

    def odd(self, text: str) -> Mapping[str, Any] | None:
        """Blanks in a URL, quotes in a header."""
        return odd(text) if self._own is None else None

    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """Who refused, and the time of a format of the site's own; that of the others is there already."""
        if self._own is not None:
            captures = settled(self._own.times.timed(captures, self.clock))
        if "user" in captures.columns:
            captures = captures.with_columns(account=_accounts(captures["user"])).drop("user")
        return captures.with_columns(denied_by_squid(captures.columns).alias("denied"))

    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """Lines of cache.log and of other programs, and broken ones."""
        del whole
        return _leftover(text, program)


def _accounts(users: pl.Series) -> pl.Series:
    r"""Names as the user has them: Squid writes `DISTRICT%5Cmary` where NTLM said `DISTRICT\\mary`."""
    escaped = users.str.contains("%", literal=True)
    return mapped(users, lambda name: unquote(name, errors="backslashreplace")) if escaped.any() else users


def denied_by_squid(given: Collection[str]) -> pl.Expr:
    """Denied by the proxy's own word, or by a 403 or 407 that it made itself.

    Args:
        given: Names of the captures.
    """
    denied = pl.lit(False)
    if "result" in given:
        denied = pl.col("result").str.contains("DENIED", literal=True).fill_null(False)
    if "result" in given and "status" in given:
        own = pl.col("result").str.contains(r"^(?:TAG_)?NONE") & pl.col("status").is_in(["403", "407"])
        denied |= own.fill_null(False)
    if "event_reason" in given:
        denied |= pl.col("event_reason").str.contains(r"^ERR_(?:CACHE_)?ACCESS_DENIED").fill_null(False)
    return denied


def _leftover(text: str, program: str | None) -> tuple[Unreadable | IgnoredReason, int | None]:
    start = _STARTS_NATIVE.match(text)
    if start is not None:
        micros = int(start[1]) * 1_000_000 + int((start[2] or "").ljust(6, "0"))
        return Unreadable(Refused.UNKNOWN_FORM, "starts like Squid's native form, goes on differently"), micros
    common = _STARTS_COMBINED.match(text)
    if common is not None:
        micros_or_none = common_time(common[1])
        if micros_or_none is None:
            return Unreadable(Refused.BAD_TIME, f"no such time: {common[1]}"), None
        return Unreadable(Refused.UNKNOWN_FORM, "starts like the combined form, goes on differently"), micros_or_none
    if _CACHE_LOG.match(text):
        return Ignored.SQUID_CACHE_LOG, None
    if program is not None:  # a message of a daemon, and no access line
        return (Ignored.SQUID_CACHE_LOG if "squid" in program else Ignored.OTHER_PROGRAM), None
    return Unreadable(Refused.UNKNOWN_FORM, "no form of Squid's access log"), None
