"""W3C extended logs to proxy events, whatever product writes them: `#Fields` says what a row holds.

Read are rows separated by blanks (quotes around values that hold some) or tabs, behind `#` lines that name the
fields, also where those change in the middle of a file; rows without such lines, where their fields are a usual set
(`LAYOUTS`) or the option `fields` names them; rows behind a syslog header; ProxySG's pairs for Splunk (`c-ip=…
cs-host=…`); IIS events of Windows' event log (event 6200, as XML). Products are told apart by `#Software` and by
fields of their own (`event_dataset`: `bluecoat.proxysg`, `cisco_wsa.w3c`, `iis.access`, `microsoft.tmg`,
`cloudfront.access`, `w3c.access`).

`date` and `time` are UTC, as the W3C draft says, unless the option `local_time` is set; `date-local` and `time-local`
are in the source's zone.

`event_action` is `denied` where the filter says so: ProxySG's `sc-filter-result` DENIED or an action with DENIED in
it, TMG's action Denied, a decision of Cisco's that starts with BLOCK or DROP, and status 407; else `allowed`.
`event_outcome` is `failure` for what was denied and for status 400 and above, `success` below, `unknown` without a
status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import polars as pl

from schemas.errors import ConfigError
from streams.normalisers.abstract import NormaliserSettings
from streams.normalisers.columns import LINE
from streams.normalisers.lines import Unreadable
from streams.normalisers.payload import pairs
from streams.normalisers.proxy.chunks import ChunkNormaliser, Decided, Form, frame_of
from streams.normalisers.proxy.w3c_columns import finished
from streams.normalisers.proxy.w3c_fields import Layout
from streams.normalisers.proxy.w3c_rows import USUAL, by_layout, cells, of_cells, of_event, usual_layout
from streams.normalisers.reasons import Ignored, IgnoredReason, Refused
from streams.normalisers.tables import MAX_COLUMNS

ACTIONS: Final = ("allowed", "denied")

_NAMES = "Fields|Software|Version|Date|Start-Date|End-Date|Remark|GMT-Offset|Copyright|System"
_DIRECTIVE = rf"(?:^|[: ])#(?:{_NAMES}): ?"
_SAID = re.compile(r"#([A-Za-z\-]{1,20}):\s*(.*)", re.DOTALL)
_PAIRS = re.compile(
    r"(?:<\d{1,3}>)?(?:1 )? ?(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r"(?P<zone>[zZ]{1,2}|[+-]\d\d:?\d\d)? (?P<host>\S{1,255}) (?P<program>[\w.\-]{1,64})(?:\[(?P<pid>\d{0,9})\])?:? ",
    re.ASCII,
)
_PROXYSG = re.compile(r"(?:<\d{1,3}>)?(?:1 )? ?\S{1,64} \S{1,255} ProxySG\b", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class W3cNormaliser(ChunkNormaliser):
    """Rows of a W3C extended log. The newest names of fields count, and are saved with the position.

    Args:
        settings: What the source's configuration tells; options `fields` and `local_time`.

    Raises:
        ConfigError: an option is none.
    """

    type_name = "w3c"
    DATASET = "w3c.access"
    fields = (
        *("timestamp", "event_dataset", "event_action", "event_outcome", "event_reason", "observer_hostname"),
        *("process_name", "process_pid", "source_ip", "source_port", "source_mac", "user_name", "user_domain"),
        *("http_request_method", "http_version", "url_original", "url_scheme", "url_domain", "url_port", "url_path"),
        *("url_query", "url_extension", "http_response_status_code", "http_response_bytes", "http_request_bytes"),
        *("http_response_mime_type", "http_request_referrer", "user_agent_original", "destination_ip"),
        *("destination_domain", "destination_port", "event_duration", "proxy_result", "proxy_hierarchy"),
        *("proxy_category", "host_name", "application_name", "proxy_policy", "proxy_threat", "file_name", "file_hash"),
    )

    def __init__(self, settings: NormaliserSettings) -> None:
        super().__init__(settings)
        local = settings.options.get("local_time", False)
        if not isinstance(local, bool):
            raise ConfigError("local_time is neither true nor false", where="options.local_time")
        self._local = local
        self._software, self._date, self._heading = "", "", False
        self._layout: Layout | None = None
        option = settings.options.get("fields", "")
        if option:
            self._take_names(_option(option), tabs=False)

    def _take_names(self, names: Sequence[str], *, tabs: bool) -> None:
        kept = tuple(name for name in names if name)[:MAX_COLUMNS]
        self._layout = Layout(kept, self._software, tabs) if kept else None
        self.secret = self._layout is not None and self._layout.secret

    def forms(self) -> Sequence[Form]:
        """Rows of the fields that are named; else of the usual sets."""
        if self._layout is None:
            return [partial(by_layout, layout=usual, typed=True) for usual in USUAL]
        other = Layout(self._layout.names, self._software, not self._layout.tabs)
        return [partial(by_layout, layout=layout) for layout in (self._layout, other)]

    def taken(self, rows: pl.DataFrame, decided: Decided) -> pl.DataFrame | None:
        """See `ChunkNormaliser.taken`: part by part, between the lines that name the fields."""
        texts = rows["text"].str.strip_prefix("\ufeff")
        rows = rows.with_columns(texts)
        named = texts.str.contains(_DIRECTIVE) | texts.str.starts_with("#")
        other = texts.str.contains("c-ip=", literal=True) | texts.str.starts_with("<Event ")
        special = (named | other).arg_true().to_list()
        if not special:
            return self._dated(super().taken(rows, decided))
        cuts, parts, beside = self._sorted(rows, special)
        start = 0
        for place, directive in [*cuts, (rows.height, "")]:
            part = rows.slice(start, place - start)
            part = part.filter(~part[LINE].is_in(beside)) if beside else part
            if not part.is_empty():
                parts += _some(self._dated(super().taken(part, decided)))
            if place < rows.height:
                self._directive(directive)
                decided.ignore(rows[LINE][place], Ignored.HEADER)
            start = place + 1
        return pl.concat(parts, how="diagonal").sort(LINE) if parts else None

    def _sorted(
        self, rows: pl.DataFrame, special: list[int]
    ) -> tuple[list[tuple[int, str]], list[pl.DataFrame], list[int]]:
        """Lines that are no rows, among some that may be: the `#` lines, and captures of the others with their numbers.

        What only looks like pairs or an event, because a client chose to, is a row.
        """
        cuts: list[tuple[int, str]] = []
        beside: list[dict[str, Any]] = []
        for place in special:
            index, text = rows.row(place)[:2]
            line = self._splitter.split(text) if text[:1] != "#" else None
            inner = text if line is None else line.message
            if inner.startswith("#"):
                cuts.append((place, inner))
                continue
            captures = self._event(text) if text.startswith("<Event ") else self._pairs(text)
            if captures is not None:
                beside.append({LINE: index, **captures})
        return cuts, [frame_of(beside)] if beside else [], [captures[LINE] for captures in beside]

    def _dated(self, captures: pl.DataFrame | None) -> pl.DataFrame | None:
        """Rows with a time of day only are of the newest `#Date`."""
        if captures is None or "date" in captures.columns or "time" not in captures.columns or not self._date:
            return captures
        return captures.with_columns(pl.lit(self._date).alias("date"))

    def _directive(self, text: str) -> None:
        said = _SAID.match(text)
        if said is None:
            return
        name, value = said[1].lower(), said[2].strip("\r\n")
        if not self._heading:  # another file's head: whoever wrote the last one is not the author
            self._software, self._heading = "", True
        if name == "software":
            self._software = value.strip()[:200]
        elif name in ("date", "start-date"):
            found = _DATE.match(value.strip())
            self._date = found[0] if found else self._date
        elif name == "fields":
            self._heading = False
            tabs = "\t" in value.strip()
            self._take_names([part.strip() for part in value.split("\t")] if tabs else value.split(), tabs=tabs)

    def _event(self, text: str) -> Mapping[str, Any] | None:
        values = of_event(text)
        if "c-ip" not in values:
            return None
        layout = Layout(tuple(values), "IIS")
        return {"dataset": layout.dataset, **of_cells(list(values.values()), layout)}

    def _pairs(self, text: str) -> Mapping[str, Any] | None:
        """ProxySG's pairs, whose time stands in the header, in UTC."""
        head = _PAIRS.match(text)
        found = pairs(text[head.end() :] if head else text)
        if "c-ip" not in found or not {"cs-method", "cs-host", "sc-status"} & found.keys():
            return None
        layout = Layout(tuple(found), "SGOS")
        captures: dict[str, Any] = {"dataset": layout.dataset, **of_cells(list(found.values()), layout)}
        if head is not None:
            captures |= {"observer_hostname": head["host"], "process_name": head["program"]}
            captures["process_pid"] = int(head["pid"]) if head["pid"] else None
            if not {"date", "time", "epoch"} & captures.keys():
                captures["head_stamp"] = head["stamp"].replace(" ", "T") + (head["zone"] or "").upper()[:6].replace(
                    "ZZ", "Z"
                )
        return captures

    def odd(self, text: str) -> Mapping[str, Any] | None:
        """A row with several blanks between values, or quotes inside quotes."""
        tabs = "\t" in text if self._layout is None or not self._layout.tabs else True
        values = cells(text, tabs=tabs)
        if self._layout is not None:
            if len(values) != len(self._layout.names):
                return None
            return {"dataset": self._layout.dataset, **of_cells(values, self._layout)}
        usual = usual_layout(values)
        return None if usual is None else {"dataset": usual.dataset, **of_cells(values, usual)}

    def finished(self, captures: pl.DataFrame) -> pl.DataFrame:
        """See `w3c_columns.finished`."""
        return finished(captures, self, local=self._local)

    def leftover(self, text: str, program: str | None, whole: str) -> tuple[Unreadable | IgnoredReason, int | None]:
        """The proxy's own messages, other programs, rows without names, and broken ones."""
        if _PROXYSG.match(whole):
            return Ignored.SERVICE_STATE, None
        if program is not None and not whole[:1].isdigit():
            return Ignored.OTHER_PROGRAM, None
        if self._layout is None:
            return Unreadable(Refused.NO_FIELDS, "no #Fields line before this one, and no usual set of fields"), None
        have = len(cells(text, tabs=self._layout.tabs))
        return Unreadable(Refused.UNKNOWN_FORM, f"{have} values, {len(self._layout.names)} fields"), None

    def remember(self) -> dict[str, Any]:
        """Names of the fields, and whose log it is."""
        names = None if self._layout is None else list(self._layout.names)
        tabs = self._layout is not None and self._layout.tabs
        return {"names": names, "software": self._software, "tabs": tabs, "date": self._date, "heading": self._heading}

    def recall(self, saved: Mapping[str, Any]) -> None:
        """See `ChunkNormaliser.recall`."""
        names, software, date = saved.get("names"), saved.get("software", ""), saved.get("date", "")
        if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError(f"names of fields are {names!r:.80}")
        if not isinstance(software, str) or not isinstance(date, str):
            raise TypeError("software and date are no texts")
        self._software, self._date, self._heading = software, date, bool(saved.get("heading"))
        if names is not None:
            self._take_names(names, tabs=bool(saved.get("tabs")))


def _some(part: pl.DataFrame | None) -> Iterator[pl.DataFrame]:
    if part is not None:
        yield part


def _option(option: object) -> list[str]:
    names = option.removeprefix("#Fields:").split() if isinstance(option, str) else option
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            "fields is no list of names", where="options.fields", hint="give what a #Fields line would say"
        )
    return names
