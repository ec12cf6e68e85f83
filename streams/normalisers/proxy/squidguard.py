"""squidGuard's log of requests that its lists matched, and ufdbGuard's, to proxy events.

squidGuard writes `date time [pid] Request(source/destination/rewrite) url client/name ident method ACTION`, ufdbGuard
`date time [pid] BLOCK user client source category url method ACTION`; times are in the source's zone.

`event_action` is `denied` for REDIRECT, for BLOCK, and for a line of an old release that states no action, since only
blocked requests were logged; `allowed` for PASS and REWRITE. `event_outcome` is `failure` for what was denied, else
`unknown`: the log has no status. The destination group is the category, the source group the policy.

Facts: squidGuard's documentation ("Basic Configuration", `log`) and `src/sgLog.c` of squidGuard 1.2 to 1.6; the
ufdbGuard Reference Manual ("Log file").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import polars as pl

from streams.normalisers.lines import Unreadable
from streams.normalisers.proxy.chunks import FITS, STAMP, ChunkNormaliser, Form
from streams.normalisers.proxy.reasons_logs import LogIgnored
from streams.normalisers.proxy.whole import settled
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused

ACTIONS: Final = ("allowed", "denied")

_START = r"(?s)^(?P<stamp>[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}) \[(?P<pid>[0-9]{1,18})\] "
_END = r" (?P<method>[A-Za-z\-]{1,32})(?: (?P<result>[A-Z]{2,16}))? *$"
_REQUEST = r"Request\((?P<proxy_policy>[^/()]*)/(?P<proxy_category>[^()]*)/(?P<rewrite>[^/()]*)\) "
_CLIENT = r" (?P<client>[^ /]+)/(?P<client_name>[^ ]+) (?P<account>[^ ]+)"
_SQUIDGUARD = rf"{_START}{_REQUEST}(?P<url>[^ ]+){_CLIENT}{_END}"
_ODD = rf"{_START}{_REQUEST}(?P<url>.+){_CLIENT}{_END}"
_UFDBGUARD = (
    rf"{_START}(?P<verdict>BLOCK|PASS) +(?P<account>[^ ]+) +(?P<client>[^ ]+) +(?P<proxy_policy>[^ ]+) "
    rf"+(?P<proxy_category>[^ ]+) +(?P<url>[^ ]+){_END}"
)
_STATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\d+\] (?!Request\(|BLOCK )", re.ASCII)
_REPORTS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\d+\] (?:Request\(|BLOCK )", re.ASCII)


class SquidguardNormaliser(ChunkNormaliser):
    """Lines of the block log; every line is decided by itself."""

    type_name = "squidguard"
    DATASET = "squidguard.block"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "observer_hostname", "process_name"),
        *("process_pid", "source_ip", "user_name", "user_domain", "http_request_method", "url_original", "url_scheme"),
        *("url_domain", "url_port", "url_path", "url_query", "url_extension", "proxy_result", "proxy_category"),
        *("proxy_policy", "host_name"),
    )

    def forms(self) -> Sequence[Form]:
        """squidGuard's, then ufdbGuard's."""
        return (partial(_taken, pattern=_SQUIDGUARD), partial(_taken, pattern=_UFDBGUARD))

    def odd_forms(self) -> Sequence[Form]:
        """Blanks in a URL."""
        return (partial(_taken, pattern=_ODD),)

    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """Local times, and what became of the request."""
        result = pl.col("result").fill_null("REDIRECT")
        if "verdict" in captures.columns:
            result = pl.coalesce("verdict", result)
        own = pl.col("pid").cast(pl.Int64)
        pid = pl.coalesce("process_pid", own) if "process_pid" in captures.columns else own
        captures = captures.with_columns(
            ~result.is_in(["PASS", "REWRITE"]).alias("denied"),
            self.local_times(captures[STAMP]).alias("timestamp"),
            pid.alias("process_pid"),
            *(pl.when(pl.col(name) != "none").then(pl.col(name)).alias(name) for name in ("proxy_category",)),
        )
        return settled(captures)

    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """The filter's messages about itself, other programs, and broken lines."""
        if _REPORTS.match(text) or _REPORTS.match(whole) or text.startswith("Request("):
            return Unreadable(
                Refused.UNKNOWN_FORM, "starts like a request that a list matched, goes on differently"
            ), None
        if _STATE.match(text) or _STATE.match(whole):
            return LogIgnored.FILTER_STATE, None
        if program is not None:
            return (LogIgnored.FILTER_STATE if "guard" in program.lower() else Ignored.OTHER_PROGRAM), None
        return Unreadable(Refused.UNKNOWN_FORM, "no line of squidGuard"), None


def _taken(texts: pl.Series, pattern: str) -> pl.DataFrame:
    captures = texts.str.extract_groups(pattern).struct.unnest()
    return captures.with_columns(pl.col(STAMP).is_not_null().alias(FITS))
