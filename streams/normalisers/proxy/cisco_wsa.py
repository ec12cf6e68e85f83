r"""Access log of Cisco's Secure Web Appliance (Web Security Appliance, IronPort) to proxy events.

A line is Squid's native form, then the decision (`ACTION_number-access-identity-outbound-data-DLP-routing policy`),
then the scanning verdicts in angle brackets, then fields of the site's own. Read too: the form of Splunk's add-on
without brackets, `Info: ` in front (the appliance's syslog push), brackets escaped for HTML. The Traffic Monitor's
lines are ignored.

`event_action` is `denied` for a result with DENIED in it and for decisions BLOCK…, DROP…, NO_PASSWORD and
NO_AUTHORIZATION (also where the page lets the user go on: BLOCK_CONTINUE); else `allowed`. `event_outcome` is
`failure` for what was denied and for status 400 and above, `success` below, `unknown` without a status.
`event_reason` is the decision, `proxy_policy` the decision and all policies as logged.

Facts: Cisco, "AsyncOS for Secure Web Appliance User Guide", chapter "Monitor System Activity Through Logs" (7.0 to
15.0: access log entry fields, scanning verdict information, ACL decision tags); "Understand Secure Web Appliance
Accesslog".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Final

import polars as pl

from streams.normalisers.lines import Unreadable
from streams.normalisers.proxy.chunks import FITS, ChunkNormaliser, Form
from streams.normalisers.proxy.columns import mapped
from streams.normalisers.proxy.reasons_logs import LogIgnored
from streams.normalisers.proxy.w3c_columns import account_of
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused

ACTIONS: Final = ("allowed", "denied")

_START = (
    r"(?s)^(?:Info: )?(?P<seconds>[0-9]{9,11})\.(?P<fraction>[0-9]{1,6}) +(?P<decimal_milliseconds>-?[0-9.]{1,16}) "
    r"(?:- )?(?P<client>[0-9A-Fa-f.:%]{2,64}) (?P<result>[A-Z][A-Z_]*)/(?P<status>[0-9]{3}) (?P<bytes>-?[0-9]{1,18}|-) "
    r"(?P<method>[A-Za-z_\-]{1,32}) "
)
_ACCOUNT = r'(?P<account>"[^"]*"|[^ "]+)'
_POLICY = r"(?P<proxy_policy>[A-Z][A-Z0-9_]*(?:-[^<>& ]*)?)"
_USUAL = (
    rf"{_START}(?P<url>[^ ]+) {_ACCOUNT} (?P<hierarchy>[A-Z][A-Z_]*)/(?P<peer>[^ ]*) (?P<mime>[^ ]+) {_POLICY} "
    r"(?:<|&lt;)(?P<verdicts>[^>]*?)(?:>|&gt;) ?(?P<tail>.*)$"
)
_ODD = _USUAL.replace("(?P<url>[^ ]+)", "(?P<url>.+)")
_SPLUNK = (
    rf"{_START}(?P<url>[^ ]+) (?P<peer>[^ ]+) {_ACCOUNT} [^ ]+ (?P<mime>[^ ]+) {_POLICY} "
    r'"[^"]*" (?P<client_port>[0-9]{1,5}|-) [^ ]+ (?P<peer_port>[0-9]{1,5}|-) (?P<tail>.*)$'
)
_AGENT = r'"((?:Mozilla|Opera|[A-Za-z][\w.+\-]{0,40})/[0-9][^"]*)"'
_WHOLE_CATEGORY = r' (?:IW_[a-z0-9]+|nc|-) [^ ]+ "([^"]*)" "([^"]*)"'
_TUNNEL = r"^tunnel://([^/]+)/?$"
_MONITOR = re.compile(
    r"(?:Info: )?(?:[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}"
    r"|\d\d [A-Z][a-z]{2} \d{4} [\d:]{8} \(GMT[^)]{0,8}\))"
    r" (?:Info|Warning|Critical|Debug|Trace): (?P<firewall>Firewall )?",
    re.ASCII,
)
_STARTS = re.compile(r"(?:Info: )?\d{9,11}\.\d{1,6} +-?[\d.]+ (?:- )?\S+ [A-Z_]+/\d{3} ", re.ASCII)
# Places in the brackets, from 0; releases from 11.7 on have the category's name before place 23, which moves the rest.
_CATEGORY, _WEBROOT, _MCAFEE, _SOPHOS, _MALWARE, _NAME = 0, 3, 12, 16, 21, 22
_APPLICATION, _BANDWIDTH, _AMP_THREAT, _AMP_FILE, _AMP_HASH = 23, 27, 33, 36, 37
_NOTHING = ("-", "", "Unknown", "nc", "ns", "err")


class CiscoWsaNormaliser(ChunkNormaliser):
    """Lines of an access log; every line is decided by itself."""

    type_name = "cisco_wsa"
    DATASET = "cisco_wsa.access"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("process_name", "process_pid", "source_ip", "source_port", "user_name", "user_domain"),
        *("http_request_method", "url_original", "url_scheme", "url_domain", "url_port", "url_path", "url_query"),
        *("url_extension", "http_response_status_code", "http_response_bytes", "http_response_mime_type"),
        *("user_agent_original", "destination_ip", "destination_domain", "destination_port", "event_duration"),
        *("proxy_result", "proxy_hierarchy", "proxy_category", "application_name", "proxy_policy", "proxy_threat"),
        *("file_name", "file_hash"),
    )

    def forms(self) -> Sequence[Form]:
        """With brackets, then without."""
        return (partial(_taken, pattern=_USUAL), partial(_taken, pattern=_SPLUNK))

    def odd_forms(self) -> Sequence[Form]:
        """Blanks in a URL."""
        return (partial(_taken, pattern=_ODD),)

    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """Time, URL, verdicts, who it was and who refused."""
        digits = pl.col("fraction").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64)
        decision = pl.col("proxy_policy").str.extract(r"^([A-Z0-9_]*?[A-Z])(?:_[0-9]+)?(?:-.*)?$")
        refused = r"^(?:BLOCK|DROP)|^NO_(?:PASSWORD|AUTHORIZATION)$"
        captures = captures.with_columns(
            (pl.col("seconds").cast(pl.Int64) * 1_000_000 + digits).alias("timestamp"),
            decision.alias("event_reason"),
            (
                pl.col("result").str.contains("DENIED", literal=True) | decision.str.contains(refused).fill_null(False)
            ).alias("denied"),
            pl.col("tail").str.extract(_AGENT).alias("agent"),
            mapped(captures["account"].str.strip_chars('"'), account_of).alias("account"),
        )
        return _judged(_tunnels(captures)).drop("seconds", "fraction", "tail")

    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """The Traffic Monitor's lines, the log's own, other programs, and broken lines."""
        if text.startswith("#"):
            return Ignored.HEADER, None
        monitor = _MONITOR.match(text) or _MONITOR.match(whole)
        if monitor is not None:
            return (LogIgnored.FILTER_NETWORK if monitor["firewall"] else LogIgnored.FILTER_STATE), None
        if _STARTS.match(text) or _STARTS.match(whole):
            return Unreadable(Refused.UNKNOWN_FORM, "starts like an access log entry, goes on differently"), None
        if program is not None:
            return Ignored.OTHER_PROGRAM, None
        return Unreadable(Refused.UNKNOWN_FORM, "no line of an access log"), None


def _taken(texts: pl.Series, pattern: str) -> pl.DataFrame:
    captures = texts.str.extract_groups(pattern).struct.unnest()
    return captures.with_columns(pl.col("seconds").is_not_null().alias(FITS))


def _tunnels(captures: pl.DataFrame) -> pl.DataFrame:
    """Tunnels as CONNECT logs them elsewhere, host:port; those that the client did not ask for keep their method."""
    tunnel = pl.col("url").str.extract(_TUNNEL)
    target = pl.when(pl.col("method") == "TCP_CONNECT").then(pl.coalesce(tunnel, "url"))
    return captures.with_columns(
        pl.coalesce(tunnel, "url").alias("url"),
        target.str.extract(r"^(.*?)(?::[0-9]{1,5})?$").str.strip_chars("[]").str.to_lowercase().alias("url_domain"),
        target.str.extract(r":([0-9]{1,5})$").cast(pl.Int32).alias("url_port"),
    )


def _judged(captures: pl.DataFrame) -> pl.DataFrame:
    """What the scanners and the category say."""
    if "verdicts" not in captures.columns:
        captures = captures.with_columns(pl.lit(None, pl.String).alias("verdicts"))
    captures = captures.with_columns(
        pl.col("verdicts").str.replace_all('"', "", literal=True).str.split(",").alias("v")
    )
    moved = _at(_BANDWIDTH).str.contains(r"^[0-9]+\.[0-9]+$").fill_null(False).not_() & _at(
        _BANDWIDTH + 1
    ).str.contains(r"^[0-9]+\.[0-9]+$").fill_null(False)
    by = moved.cast(pl.Int64)
    whole = pl.col("tail").str.extract(_WHOLE_CATEGORY, 1)
    application = pl.col("tail").str.extract(_WHOLE_CATEGORY, 2)
    code = pl.coalesce(_stated(_at(_CATEGORY)), pl.col("tail").str.extract(r"\b(IW_[a-z0-9]+)\b"))
    named = pl.when(moved).then(_stated(_at(_NAME)))
    plain = pl.col("verdicts").is_null()
    file_hash = _at(_AMP_HASH, by)
    return captures.with_columns(
        pl.coalesce(pl.when(plain).then(_stated(whole)), named, code).alias("proxy_category"),
        pl.coalesce(pl.when(plain).then(_stated(application)), _stated(_at(_APPLICATION, by))).alias(
            "application_name"
        ),
        pl.coalesce(
            _stated(one) for one in (_at(_AMP_THREAT, by), _at(_MCAFEE), _at(_SOPHOS), _at(_WEBROOT), _at(_MALWARE))
        ).alias("proxy_threat"),
        _stated(_at(_AMP_FILE, by)).alias("file_name"),
        pl.when(file_hash.str.contains(r"^[0-9A-Fa-f]{64}$")).then(file_hash.str.to_lowercase()).alias("file_hash"),
    ).drop("v", "verdicts")


def _at(place: int, moved_by: pl.Expr | int = 0) -> pl.Expr:
    return pl.col("v").list.get(pl.lit(place) + moved_by, null_on_oob=True)


def _stated(text: pl.Expr) -> pl.Expr:
    return pl.when(~text.is_in(_NOTHING)).then(text)
