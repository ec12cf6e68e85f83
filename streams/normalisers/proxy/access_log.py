"""Access logs of web servers (Apache, nginx, and what writes like them) and of HAProxy to proxy events.

Read are `common` and `combined`, also with a server's name in front (`vhost_combined`) or further fields behind, a
`LogFormat` or `log_format` of the site's own (option `log_format`), and HAProxy's HTTP log, alone or behind a syslog
header. A server that proxies logs whole URLs (forward) or paths (reverse; then the host is the server's name, where
the format has it).

`event_action` is `denied` where only a proxy can have refused: a 407, a CONNECT answered 403 or 405, and a request
that HAProxy blocked by a rule (termination state `PR`, status not 400); else `allowed`, because a server's own 403 is
no filter's. `event_outcome` is `failure` for what was denied and for status 400 and above, `success` below, `unknown`
without a status. `event_dataset` is `apache.access`, `nginx.access` or `haproxy.http` where that is known (from the
option, the program in the header, or the form), else `web.access`.

Facts: Apache's mod_log_config, nginx' ngx_http_log_module, HAProxy's configuration manual ("HTTP log format", "Session
state at disconnection").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.masking import masked_user
from streams.normalisers.proxy.chunks import FITS, STAMP, ChunkNormaliser, Form
from streams.normalisers.proxy.columns import mapped
from streams.normalisers.proxy.format_times import TimeCodes
from streams.normalisers.proxy.reasons_logs import LogIgnored
from streams.normalisers.proxy.strftimes import written
from streams.normalisers.proxy.web_formats import BUILT_IN, COMMON, WebFormat, apache_format, web_format
from streams.normalisers.proxy.whole import settled
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused

ACTIONS: Final = ("allowed", "denied")

_USUAL = (COMMON, f"%v:%p {COMMON}", f"%v {COMMON}", '%h %u %t "%r" %>s %b', '%h %t "%r" %>s %b')
_HEADERS = ' "%{Referer}i" "%{User-Agent}i"'
_HAPROXY = (
    r"^(?P<client>[0-9A-Fa-f.:\[\]\-]+|unix):(?P<client_port>[0-9]{1,5}) \[(?P<t_haproxy>[^\]]{23,26})\] [^ ]+"
    r" (?P<hierarchy>[^ /]+/[^ ]+) (?P<timers>[0-9+/\-]+) (?P<status>[0-9]{3}|-1?) \+?(?P<bytes_all>[0-9]+)"
    r" [^ ]+ [^ ]+ (?P<result>[A-Za-z\-]{4}) [0-9+/]+ [0-9/]+ (?P<captured>(?:\{(?:[^}])*\} ){0,2})"
    r'"(?P<request>(?s:.*?))"?$'
)
_HAPROXY_TIME = written("%d/%b/%Y:%H:%M:%S.%f")
_HAPROXY_OTHER = re.compile(
    r"(?:[0-9A-Fa-f.:\[\]]+|unix):\d{1,5} \[[^\]]{23,26}\] \S+(?:/\S+)?: |"
    r"(?:[0-9A-Fa-f.:\[\]]+|unix):\d{1,5} \[[^\]]{23,26}\] \S+ \S+/\S+ [0-9+/\-]+ \+?\d+ [A-Za-z\-]{2} ",
    re.ASCII,
)
_ERROR_LOG = re.compile(
    r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}\] \[|"  # Apache
    r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\w+\] \d+#\d+: |"  # nginx
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \[[A-Z]+\] ",  # LiteSpeed
    re.ASCII,
)
_STARTS = re.compile(r"\S{1,300} (?:.{1,300} )?\[\d\d/[A-Z][a-z]{2}/\d{4}:[^\]]{1,30}\] ", re.ASCII)
_SERVERS = {"nginx": "nginx", "httpd": "apache", "apache2": "apache", "apache": "apache", "haproxy": "haproxy"}


def _forms() -> list[WebFormat]:
    """The usual formats: with two headers, then without."""
    return [apache_format(f"{usual}{headers}", trailing=True) for headers in (_HEADERS, "") for usual in _USUAL]


class AccessLogNormaliser(ChunkNormaliser):
    """Lines of an access log; every line is decided by itself.

    Args:
        settings: What the source's configuration tells; its option `log_format` is the site's own format.

    Raises:
        ConfigError: the format has a mistake, or no time.
    """

    type_name = "access_log"
    DATASET = "web.access"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome"),
        *("observer_hostname", "process_name", "process_pid", "source_ip", "source_port", "user_name", "user_domain"),
        *("http_request_method", "http_version", "url_original", "url_scheme", "url_domain", "url_port", "url_path"),
        *("url_query", "url_extension", "http_response_status_code", "http_response_bytes", "http_request_bytes"),
        *("http_response_mime_type", "http_request_referrer", "user_agent_original", "host_name", "destination_ip"),
        *("destination_domain", "destination_port", "event_duration", "proxy_result", "proxy_hierarchy"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        option = settings.options.get("log_format", "")
        own = None if option == "" or option in BUILT_IN else web_format(option)
        self._dataset = own.dataset if own else None
        self._formats = [own] if own else _forms()
        self._times: TimeCodes = self._formats[0].times
        self._haproxy_times = TimeCodes(texts={"t_haproxy": _HAPROXY_TIME})
        self.secret = own is not None and any(
            re.search(r"cookie|authorization", code.label, re.IGNORECASE) for code in own.template.codes
        )

    def forms(self) -> Sequence[Form]:
        """The site's own, or the usual ones, then HAProxy's."""
        quick = [one.quick for one in self._formats if one.quick is not None]
        return [*quick[:1], *(one.template for one in self._formats), haproxy]

    def odd_forms(self) -> Sequence[Form]:
        """Quotes in a request, blanks in a user."""
        return [form for one in self._formats for form in one.template.odd_forms()]

    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """Time, dataset, whole URL, and who refused."""
        captures = self._timed(captures)
        if {"u_scheme", "vhost", "u_path"} <= set(captures.columns) and "request" not in captures.columns:
            parts = {"vhost": "u_domain", "vport": "u_port"}
            captures = captures.rename({old: new for old, new in parts.items() if old in captures.columns})
        captures = settled(captures)
        captures = _renamed(captures)
        return captures.with_columns(
            _denied(captures.columns).alias("denied"), self._datasets(captures).alias("event_dataset")
        )

    def _timed(self, captures: pl.DataFrame) -> pl.DataFrame:
        if "t_haproxy" not in captures.columns:
            return self._times.timed(captures, self.clock)
        theirs = self._haproxy_times.timed(captures, self.clock)
        if not set(self._times.texts) <= set(captures.columns):
            return theirs
        ours = self._times.timed(captures, self.clock)
        own = captures["t_haproxy"].is_null()
        return captures.with_columns(
            ours["timestamp"].zip_with(own, theirs["timestamp"]), ours[STAMP].zip_with(own, theirs[STAMP])
        )

    def _datasets(self, captures: pl.DataFrame) -> pl.Expr:
        by_program: pl.Expr = pl.lit(None, pl.String)
        if "process_name" in captures.columns:
            program = pl.col("process_name").str.to_lowercase()
            by_program = program.replace_strict(_SERVERS, default=None, return_dtype=pl.String) + ".access"
        haproxy_form = pl.col("t_haproxy").is_not_null() if "t_haproxy" in captures.columns else pl.lit(False)
        known = pl.coalesce(pl.lit(self._dataset, pl.String), by_program, pl.lit(self.DATASET))
        return pl.when(haproxy_form).then(pl.lit("haproxy.http")).otherwise(known)

    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """Error logs, connections without a request, other programs, and broken lines."""
        if _ERROR_LOG.match(text) or _ERROR_LOG.match(whole):
            return LogIgnored.WEB_ERROR_LOG, None
        if _HAPROXY_OTHER.match(text):
            return LogIgnored.WEB_CONNECTION, None
        if program is not None:
            server = program.lower() in _SERVERS
            return (Ignored.SERVICE_STATE if server else Ignored.OTHER_PROGRAM), None
        if _STARTS.match(text):
            return Unreadable(Refused.UNKNOWN_FORM, "starts like an access log, goes on differently"), None
        return Unreadable(Refused.UNKNOWN_FORM, "no form of an access log"), None


def haproxy(texts: pl.Series) -> pl.DataFrame:
    """HAProxy's HTTP log: `client:port [date] frontend backend/server timers status bytes … "request"`."""
    captures = texts.str.extract_groups(_HAPROXY).struct.unnest()
    total = pl.col("timers").str.extract(r"([0-9]+)$").alias("milliseconds")
    return captures.with_columns(total, pl.col("client").is_not_null().alias(FITS)).drop("timers", "captured")


def _renamed(captures: pl.DataFrame) -> pl.DataFrame:
    """Captures as all formats name them."""
    given = set(captures.columns)
    if "forwarded" in given:
        captures = captures.with_columns(pl.col("forwarded").str.extract(r"^([^, ]+)"))
    made: list[pl.Expr] = []
    for name, others in (("bytes", ("bytes_all", "bytes")), ("client", ("client", "forwarded"))):
        there = [pl.when(pl.col(one) != "-").then(pl.col(one)) for one in others if one in given]
        if there and (len(there) > 1 or name not in given):
            made.append(pl.coalesce(there).alias(name))
    if "user" in given:
        made.append(pl.lit(_accounts(captures)).alias("account"))
    if "upstream" in given:
        made += [pl.col("upstream").str.extract(r"^([^/,;]*?)(?::[0-9]{1,5})?(?:[,;].*)?$").alias("peer"),
                 pl.col("upstream").str.extract(r":([0-9]{1,5})(?:[,;].*)?$").alias("peer_port")]  # fmt: skip
    captures = captures.with_columns(made).drop("user", strict=False)
    if "vhost" not in given:
        return captures
    is_path = pl.col("url").str.starts_with("/") if "url" in captures.columns else pl.lit(True)
    host = pl.col("vhost").str.to_lowercase().str.replace(r":[0-9]{1,5}$", "").str.strip_chars("[]")
    stated = is_path.fill_null(True) & ~host.is_in(["-", "_", ""])
    scheme = pl.col("u_scheme").str.to_lowercase() if "u_scheme" in given else pl.lit(None, pl.String)
    port = pl.col("vport").cast(pl.Int32, strict=False) if "vport" in given else pl.lit(None, pl.Int32)
    fits = port.is_between(1, 65_535)
    return captures.with_columns(
        pl.when(stated).then(host).alias("url_domain"),
        pl.when(stated & fits).then(port).alias("url_port"),
        pl.when(stated).then(scheme).alias("url_scheme"),
    )


def _accounts(captures: pl.DataFrame) -> pl.Series:
    """Users; where the server did not believe them (401), what looks like a password is masked."""
    users = captures["user"]
    if "status" not in captures.columns:
        return users
    unknown = (captures["status"] == "401").fill_null(value=False) & users.is_not_null()
    return users.zip_with(~unknown, mapped(users.set(~unknown, None), masked_user)) if unknown.any() else users


def _denied(given: Sequence[str]) -> pl.Expr:
    """Refused by a proxy, and by no server behind it."""
    denied = pl.lit(False)
    if "status" in given:
        denied = pl.col("status") == "407"
        if "method" in given:
            denied |= (pl.col("method") == "CONNECT") & pl.col("status").is_in(["403", "405"])
        if "result" in given:
            denied |= pl.col("result").str.starts_with("PR") & (pl.col("status") != "400")
    return denied.fill_null(False)
