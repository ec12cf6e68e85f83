"""Rows of a W3C extended log: whole chunks by a reader of tables, rows that are written otherwise one by one.

The reader gets only rows of which there is one way to read them: as many values as there are fields, separated by one
blank or tab each, and quotes only around whole values that hold none.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import unescape

import polars as pl

from streams.normalisers.proxy.chunks import FITS
from streams.normalisers.proxy.w3c_fields import LAYOUTS, Layout

_VALUE = r'(?:"[^"\x00-\x1F]*"|[^ "\x00-\x1F]+)'
_TAB_VALUE = r"[^\x00-\x1F\x22]*"
_CELL = re.compile(r'"((?:[^"]|"")*+)"(?=[ \t]|\Z)|(\[[^\]]{1,64}\](?=[ \t]|\Z)|[^ \t]+)')
_PLAIN_CELLS = re.compile(r'"[^"]*+"(?:,"[^"]*+")*+\Z')
_EVENT_DATA = re.compile(r"<Data Name=[\"']([^\"'<>]{1,64})[\"']>([^<]*)</Data>")
_XML_NAMES = {"csUser-Agent": "cs(User-Agent)", "csReferer": "cs(Referer)", "csCookie": "cs(Cookie)"}
_DATE, _TIME, _IP = r"\d{4}-\d\d-\d\d", r"\d\d:\d\d:\d\d(?:\.\d{1,7})?", r"[0-9A-Fa-f.:%]{2,45}"
_TYPED = {
    "date": _DATE, "date-local": _DATE, "time": _TIME, "time-local": _TIME, "s-ip": rf"(?:{_IP}|-)",
    "c-ip": rf"(?:{_IP}|-)",
    "sc-status": r"(?:\d{1,3}|-)", "s-port": r"\d{1,5}", "cs-uri-port": r"(?:\d{1,5}|-)",
    "sc-win32-status": r"\d{1,12}", "time-taken": r"(?:[\d.]{1,12}|-)", "sc-bytes": r"(?:\d{1,18}|-)",
    "cs-bytes": r"(?:\d{1,18}|-)", "timetakenms": r"\d{1,12}", "cs-method": r"[A-Za-z_\-]{1,32}",
    "sc-filter-result": r"(?:[A-Z]{3,12}|-)", "cs-uri-scheme": r"(?:[a-z0-9+.\-]{1,12}|-)", "bytes": r"(?:\d{1,18}|-)",
}  # fmt: skip


def by_layout(texts: pl.Series, layout: Layout, *, typed: bool = False) -> pl.DataFrame:
    """Captures of rows, a column each, with `fits`.

    Args:
        texts: The rows.
        layout: Their fields.
        typed: Whether values must look like what their fields are: for rows whose fields nobody has named.
    """
    fits = texts.str.contains(_pattern(layout, typed)).fill_null(value=False)
    height = len(texts)
    if not fits.any() or not layout.wanted:  # names of columns that say nothing to us, not even when
        return pl.DataFrame({FITS: pl.repeat(value=False, n=height, eager=True)})
    rows = texts if fits.all() else texts.filter(fits)
    table = _table(rows, layout)
    if not layout.tabs and rows.str.contains('""', literal=True).any():
        table = table.with_columns(pl.when(pl.all() != "").then(pl.all()))
    captures = _captures(table, layout).with_columns(pl.lit(layout.dataset).alias("dataset"))
    if rows is texts:
        return captures.with_columns(fits.alias(FITS))
    places = fits.cum_sum().cast(pl.Int64) - 1
    spread = captures.select(pl.all().gather(places.clip(0, max(0, captures.height - 1))))
    assert spread.height == height
    return spread.with_columns(fits.alias(FITS))


@lru_cache(maxsize=256)
def _pattern(layout: Layout, typed: bool) -> str:  # noqa: FBT001 - it is part of the key
    if layout.tabs:
        return f"^{_TAB_VALUE}(?:\t{_TAB_VALUE}){{{len(layout.names) - 1}}}$"
    if not typed:
        return f"^{_VALUE}(?: {_VALUE}){{{len(layout.names) - 1}}}$"
    values = (_quoted(_TYPED[n.lower()]) if n.lower() in _TYPED else _VALUE for n in layout.names)
    return f"^{' '.join(values)}$"


def _quoted(pattern: str) -> str:
    return f'(?:{pattern}|"{pattern}")'


def _table(rows: pl.Series, layout: Layout) -> pl.DataFrame:
    """Values of rows, a column each named by its number; empty ones null."""
    return pl.read_csv(
        rows.str.join("\n").item().encode(),
        separator="\t" if layout.tabs else " ",
        quote_char=None if layout.tabs else '"',
        has_header=False,
        infer_schema=False,
        columns=sorted({index for found in layout.wanted.values() for index in found}),
    )


def _captures(table: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    made: list[pl.Expr] = []
    for capture, indices in layout.wanted.items():
        if len(indices) == 1:
            made.append(pl.col(f"column_{indices[0]}").alias(capture))
        else:
            stated = [pl.when(pl.col(f"column_{i}") != "-").then(pl.col(f"column_{i}")) for i in indices]
            made.append(pl.coalesce(stated).alias(capture))
    return table.select(made)


def cells(text: str, *, tabs: bool) -> list[str]:
    """Values of a row: separated by tabs, or by blanks, any number of them; a quote inside quotes is doubled."""
    if tabs:
        return [value[1:-1].replace('""', '"') if _is_quoted(value) else value for value in text.split("\t")]
    return [match[2] if match[2] is not None else match[1].replace('""', '"') for match in _CELL.finditer(text)]


def quoted_cells(text: str) -> list[str] | None:
    """Values of a row of quoted values separated by commas; None where a quote is not closed."""
    if _PLAIN_CELLS.match(text):
        return text[1:-1].split('","')
    try:
        return next(csv.reader([text], strict=True, skipinitialspace=True))
    except (csv.Error, StopIteration):
        return None


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'


def of_cells(values: Sequence[str], layout: Layout) -> dict[str, str]:
    """Captures of one row's values."""
    found: dict[str, str] = {}
    for capture, indices in layout.wanted.items():
        stated = (values[index] for index in indices if values[index] not in ("-", ""))
        value = next(stated, None)
        if value is not None:
            found[capture] = value
    return found


def usual_layout(values: Sequence[str]) -> Layout | None:
    """The usual set of fields that some values are of; None where none fits."""
    for layout in USUAL:
        if len(layout.names) == len(values) and all(
            re.fullmatch(_TYPED.get(name.lower(), r"(?s:.*)"), value, re.ASCII)
            for name, value in zip(layout.names, values, strict=True)
        ):
            return layout
    return None


def of_event(text: str) -> Mapping[str, str]:
    """Fields of an event of the channel Microsoft-IIS-Logging/Logs (event 6200), whose data has W3C names."""
    return {_XML_NAMES.get(name, name): unescape(value) for name, value in _EVENT_DATA.findall(text)}


USUAL = tuple(Layout(tuple(names)) for names in LAYOUTS)
