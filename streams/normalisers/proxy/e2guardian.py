"""e2guardian's and DansGuardian's access log to proxy events, in each of its formats (`logfileformat` 1 to 8).

1 is text separated by blanks, 2 the same in quotes and commas, 3 Squid's native form, 4 the same as 1 with tabs, 5 to
8 tabs with a time since 1970 and a duration (7 and 8 with search terms and flags behind, which are passed over, as
are parameters and form data). Local times (1, 2, 4) are in the source's zone.

`event_action` is `denied` where the line is marked `*DENIED*` or `*INFECTED*` (also by the words of the
translations), or, in Squid's form, TCP_DENIED; else `allowed`, also for `*EXCEPTION*`, `*TRUSTED*` and `*SCANNED*`.
`event_outcome` is `failure` for what was denied and for status 400 and above, `success` below, `unknown` without a
status. The filter group is the policy.

Facts: `src/FatController.cpp` and `data/languages` of e2guardian 3 to 5.5, e2guardian.conf's comments on
`logfileformat`; DansGuardian 2.8 to 2.12, "Log file formats".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from schemas.errors import ConfigError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.lines import Unreadable
from streams.normalisers.proxy.chunks import FITS, STAMP, ChunkNormaliser, Form
from streams.normalisers.proxy.columns import ips
from streams.normalisers.proxy.reasons_logs import LogIgnored
from streams.normalisers.proxy.squid_forms import native
from streams.normalisers.proxy.whole import settled
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused

ACTIONS: Final = ("allowed", "denied")

_WHEN = r"[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2} [0-9]{1,2}:[0-9]{2}:[0-9]{2}"
_TAGGED = r"(?s)^(?:[A-Za-z]{3,12}: )?"
_LOCAL = "account client url what method bytes weight proxy_category group status mime client_name proxy_policy agent"
_EPOCH = "server account client url method status bytes mime agent - milliseconds - - what weight proxy_category"
_NAMES = {  # groups of the patterns, in their order; a dash: passed over
    "local": _LOCAL.split(),
    "epoch": [*_EPOCH.split(), "proxy_policy", "group"],
    "both": [*_EPOCH.replace("client", "client client_name", 1).split(), "proxy_policy", "group"],
}
_PLAIN = (  # format 1: reason and category may hold blanks; the first end counts: the agent is the client's
    rf"{_TAGGED}(?P<stamp>{_WHEN})(?: [0-9]{{9,11}}\.[0-9]{{3}})? (?P<account>[^ ]*) (?P<client>[^ ]*) (?P<url>[^ ]*) "
    r"(?P<what>.*?) (?P<method>[A-Z][A-Z\-]{1,19}) (?P<bytes>-?[0-9]+) (?P<weight>-?[0-9]+) (?P<proxy_category>.*?) "
    r"(?P<group>[0-9]+) (?P<status>[0-9]{3}) (?P<mime>[^ ]*) (?P<client_name>[^ ]*) (?P<proxy_policy>[^ ]*)"
    r"(?: (?P<agent>.*))?$"
)
_DENIED = (
    r"^(?:\*[^*]{1,40}\* ?){0,4}?\*(?:DENIED|VERWEIGERT|NEGATO|NEGADO|REFUS[EÉ]|ЗАПРЕЩЕН|Acc[eè]s interdit)[^*]{0,20}\*"
)
_INFECTED = r"^(?:\*[^*]{1,40}\* ?){0,4}?\*(?:INFECTED|INFIZIERT|INFETTO|INFECTADO|INFECT[EÉ]|ЗАРАЖЕН)[^*]{0,20}\*"
_MARKS = r"^(?:\*[^*]{1,40}\* ?)+"
_VIRUS = r"(?i)^.*\b(?:detected|found|gefunden|trovato|trouv[eé])[.:]? +(.{1,200})$"
_STATE = re.compile(r"(?:Starting|Stopping|Reload|Error|Info|.{0,80}(?:e2guardian|dansguardian) )", re.IGNORECASE)
_STARTS = re.compile(rf'(?:[A-Za-z]{{3,12}}: )?"?(?:{_WHEN}|\d{{9,11}}\.\d{{3}}\t)', re.ASCII)


def _separated(names: str, separator: str, *, quoted: bool, start: str) -> str:
    """A pattern of values between separators; further ones may stand behind."""
    value = r'[^"]*' if quoted else f"[^{separator}]*"
    quote = '"' if quoted else ""
    parts = [f"(?P<stamp>{start})" + (r"(?: [0-9]{9,11}\.[0-9]{3})?" if start == _WHEN else "")]
    parts += [f"(?P<{name}>{value})" if name != "-" else value for name in _NAMES[names]]
    return f"{_TAGGED}{quote}{f'{quote}{separator}{quote}'.join(parts)}{quote}"


_EPOCH_TIME = r"[0-9]{9,11}\.[0-9]{3}"
_PATTERNS = (
    rf"{_separated('epoch', chr(9), quoted=False, start=_EPOCH_TIME)}(?:\t[^\t]*\t[^\t]*)?$",
    rf"{_separated('both', chr(9), quoted=False, start=_EPOCH_TIME)}(?:\t[^\t]*\t[^\t]*)?$",
    rf"{_separated('local', chr(9), quoted=False, start=_WHEN)}(?:\t.*)?$",
    rf"{_separated('local', ',', quoted=True, start=_WHEN)}(?:,.*)?$",
)


class E2guardianNormaliser(ChunkNormaliser):
    """Lines of an access log; every line is decided by itself.

    Args:
        settings: What the source's configuration tells; its option `logfileformat` is e2guardian.conf's.

    Raises:
        ConfigError: the option is none.
    """

    type_name = "e2guardian"
    DATASET = "e2guardian.access"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("process_name", "process_pid", "source_ip", "user_name", "user_domain", "http_request_method"),
        *("url_original", "url_scheme", "url_domain", "url_port", "url_path", "url_query", "url_extension"),
        *("http_response_status_code", "http_response_bytes", "http_response_mime_type", "user_agent_original"),
        *("destination_ip", "event_duration", "proxy_result", "proxy_hierarchy", "proxy_category", "proxy_policy"),
        *("proxy_threat", "host_name"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        number = settings.options.get("logfileformat", 0)
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 8:
            raise ConfigError("logfileformat is no number from 1 to 8", where="options.logfileformat")
        own = [_form(pattern) for pattern in (*_PATTERNS, _PLAIN)]
        self._forms: list[Form] = [native] if number == 3 else own

    def forms(self) -> Sequence[Form]:
        """Tabs, quotes, blanks; Squid's form only where the source says so: else the log is Squid's."""
        return self._forms

    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """Time, verdict, and who it was: an address in the user's place is no user."""
        given = set(captures.columns)
        captures = captures.with_columns(self._times(captures).alias("timestamp"))
        if "account" in given:
            users = pl.DataFrame({"a": captures["account"], "ip": ips(captures["account"])})
            user = users.select(pl.when(pl.col("ip").is_null() & (pl.col("a") != "")).then(pl.col("a")))
            own = user.to_series()
            squid = captures["user"] if "user" in given else own
            captures = captures.with_columns(own.zip_with(own.is_not_null(), squid).alias("account"))
        elif "user" in given:
            captures = captures.with_columns(pl.col("user").alias("account"))
        names = [pl.col(name) for name in ("client_name", "client") if name in given]
        captures = captures.drop("user", strict=False).with_columns(pl.coalesce(names).alias("client_name"))
        if "server" in given:
            server = pl.when(~pl.col("server").is_in(["", "-"])).then(pl.col("server"))
            named = pl.col("observer_hostname") if "observer_hostname" in given else pl.lit(None, pl.String)
            captures = captures.with_columns(pl.coalesce(named, server).alias("observer_hostname"))
        return settled(_judged(captures))

    def _times(self, captures: pl.DataFrame) -> pl.Series:
        given = captures.columns
        known = (
            captures["timestamp"]
            if "timestamp" in given
            else pl.Series([None], dtype=pl.Int64).new_from_index(0, captures.height)
        )
        if STAMP not in given:
            return known
        epoch = captures[STAMP].str.contains("\\.[0-9]{3}$").fill_null(value=False)
        seconds, fraction = captures[STAMP].set(~epoch, None).str.splitn(".", 2).struct.unnest()
        exact = seconds.cast(pl.Int64, strict=False) * 1_000_000 + fraction.cast(pl.Int64, strict=False) * 1_000
        written = (
            captures[STAMP]
            .set(epoch, None)
            .str.replace_all(r"\b([0-9])\b", "0$1")
            .str.replace_all(".", "-", literal=True)
        )
        found = exact.zip_with(epoch, self.local_times(written))
        return known.zip_with(known.is_not_null(), found)

    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """The filter's own messages, other programs, and broken lines."""
        if _STARTS.match(whole) or _STARTS.match(text):
            return Unreadable(Refused.UNKNOWN_FORM, "starts like a request, goes on differently"), None
        if program is not None:
            own = "guardian" in program.lower()
            return (LogIgnored.FILTER_STATE if own else Ignored.OTHER_PROGRAM), None
        if _STATE.match(text):
            return LogIgnored.FILTER_STATE, None
        return Unreadable(Refused.UNKNOWN_FORM, "no format of the access log"), None


def _form(pattern: str) -> Form:
    def taken(texts: pl.Series) -> pl.DataFrame:
        captures = texts.str.extract_groups(pattern).struct.unnest()
        return captures.with_columns(pl.col(STAMP).is_not_null().alias(FITS))

    return taken


def _judged(captures: pl.DataFrame) -> pl.DataFrame:
    """Verdict, reason and threat, from the marks before the reason; empty values null."""
    given = set(captures.columns)
    captures = captures.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)).name.keep())
    denied = pl.lit(False)
    if "result" in given:
        denied |= pl.col("result").str.contains("DENIED", literal=True).fill_null(False)
    if "what" not in given:
        return captures.with_columns(denied.alias("denied"))
    what = pl.col("what").str.strip_chars(" ")
    infected = what.str.contains(_INFECTED).fill_null(False)
    reason = what.str.replace(_MARKS, "").str.strip_chars(" ")
    captures = captures.with_columns(
        (denied | infected | what.str.contains(_DENIED).fill_null(False)).alias("denied"),
        pl.when(~reason.is_in(["", "-"])).then(reason).alias("event_reason"),
        pl.when(infected).then(pl.coalesce(reason.str.extract(_VIRUS), reason)).alias("proxy_threat"),
        what.str.extract(r"\*([^*]{1,40})\*").alias("mark"),
    )
    result = pl.coalesce("result", "mark") if "result" in given else pl.col("mark")
    policy = pl.coalesce("proxy_policy", pl.col("group")) if "group" in given else pl.col("proxy_policy")
    agent = pl.col("agent").str.strip_chars_end(" -") if "agent" in given else pl.lit(None, pl.String)
    return captures.with_columns(
        result.alias("result"),
        policy.alias("proxy_policy"),
        pl.when((agent != "") & ~agent.str.contains(r"[^ ] .*=")).then(agent).alias("agent"),
    )
