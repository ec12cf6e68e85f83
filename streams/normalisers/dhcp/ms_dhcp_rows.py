"""Rows of Microsoft's DHCP audit logs taken apart: from text, and from the JSON that shippers make of them.

The server quotes nothing. A host name or vendor class with commas in it, which clients choose, makes a row longer than
its columns: a class is read by the number of its octets, which stand before it as hexadecimal digits; any other surplus
makes the row unreadable, so that no client can put a value into another column.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from streams.normalisers.dhcp.identifiers import octets
from streams.normalisers.json_records import at, decoded

V4: Final = (
    "ID,Date,Time,Description,IP Address,Host Name,MAC Address,User Name,TransactionID,QResult,Probationtime,"
    "CorrelationID,Dhcid,VendorClass(Hex),VendorClass(ASCII),UserClass(Hex),UserClass(ASCII),RelayAgentInformation,DnsRegError"
).split(",")
V6: Final = (
    "ID,Date,Time,Description,IP Address,Host Name,Error Code,Duid Length,Duid Bytes(Hex),User Name,Dhcid,Subnet Prefix"
).split(",")

_TEXTS: Final = (
    ("message",), ("Message",), ("MESSAGE",), ("event", "original"), ("event",), ("raw_event",), ("_raw",),
    ("result", "_raw"), ("short_message",), ("full_message",), ("log",),
)  # fmt: skip
_HOSTS: Final = (("host", "name"), ("agent", "hostname"), ("Hostname",), ("hostname",), ("host",))
_SIGNS = re.compile(r"[^A-Za-z0-9]")
_BY_KEY: Final[Mapping[str, str]] = {
    **{_SIGNS.sub("", name).lower(): name for name in (*V4, *V6)},
    "ipv6address": "IP Address",
    "loghostname": "Host Name",
    "eventid": "ID",
    "macaddressduid": "MAC Address",
}
_CLASSES: Final = ("VendorClass(Hex)", "UserClass(Hex)")
_ONLY_HOST_NAMES: Final = frozenset({"HostName", "Host Name", "LogHostname"})  # `Hostname` is NXLog's own: the server


def is_v6(code: str) -> bool:
    """Whether an event is of the DHCPv6 log."""
    return len(code) == 5 and code.startswith("110")


def values_of(text: str, names: Sequence[str], columns: int) -> dict[str, str] | None:
    """Values by column, empty ones left out; None where there are more than columns.

    Args:
        text: The row.
        names: Names of the columns of the newest version.
        columns: How many of them the log has.
    """
    cells = text.split(",")
    if len(cells) > columns and any(cells[columns:]):
        cells = _joined(cells, names)
        if len(cells) > columns and any(cells[columns:]):
            return None
    return {name: cell for name, cell in zip(names, cells, strict=False) if cell}


def _joined(cells: list[str], names: Sequence[str]) -> list[str]:
    """The cells with those of a class that holds commas put together again."""
    for name in _CLASSES:
        if name not in names:
            continue
        at_hex = names.index(name)
        data = octets(cells[at_hex]) if at_hex < len(cells) else None
        commas = data.count(b",") if data is not None else 0
        if commas:
            text = ",".join(cells[at_hex + 1 : at_hex + 2 + commas])
            cells = [*cells[: at_hex + 1], text, *cells[at_hex + 2 + commas :]]
    return cells


def row_in_json(text: str) -> tuple[str | None, dict[str, str] | None, str | None]:
    """The row in a shipper's record: as text, or as values by column; and the host that shipped it."""
    try:
        value = decoded(text)
    except ValueError:
        return None, None, None
    if not isinstance(value, dict):
        return None, None, None
    host = next((found for path in _HOSTS if isinstance(found := at(value, *path), str) and found), None)
    for path in _TEXTS:
        inner = at(value, *path)
        if isinstance(inner, str) and "," in inner:
            return inner, None, host
    values: dict[str, str] = {}
    for key, cell in value.items():
        name = _BY_KEY.get(_SIGNS.sub("", key).lower())
        if name is not None and isinstance(cell, (str, int)) and (name != "Host Name" or key in _ONLY_HOST_NAMES):
            stated = str(cell).strip()
            if stated:
                values.setdefault(name, stated)
    return None, _complete(values), host


def _complete(values: dict[str, Any]) -> dict[str, str] | None:
    return values if {"ID", "Date", "Time"} <= values.keys() else None
