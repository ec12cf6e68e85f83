r"""What stands behind a syslog header where it is no free text: key=value pairs, CEF, LEEF.

- Pairs: `key=value key="value with blanks" key='…'`, a backslash escaping a quote inside quotes. Where a key comes
  twice, the first counts: what a client chose stands mostly behind what the device knows.
- CEF (ArcSight Common Event Format, revision 16 and later): a head of `CEF:0`, vendor, product, version, class, name
  and severity, each ended by a bar, then the extension;
  `\|` and `\\` escaped in the head, `\=`, `\n`, `\r` and `\\` in the extension, whose values may hold blanks.
- LEEF (IBM QRadar Log Event Extended Format 1.0 and 2.0): `LEEF:1.0|vendor|product|version|id|` and pairs separated by
  tabs; 2.0 has one more head field, the delimiter, as a character or `x` and its hexadecimal number.
"""

from __future__ import annotations

import re
from itertools import repeat
from operator import contains
from typing import NamedTuple

_PAIR = re.compile(
    r"(?<![\w.\-/])([A-Za-z_][\w.\-/]*)=(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|([^\s,;]*))",
    re.ASCII | re.DOTALL,
)
_ESCAPED_QUOTE = re.compile(r"\\(.)", re.DOTALL)
_CEF_HEAD = re.compile(r"CEF: ?(\d+)\|" + r"([^|\\]*+(?:\\.[^|\\]*+)*+)\|" * 6, re.DOTALL | re.ASCII)
_CEF_PLAIN = frozenset(("CEF:0", "CEF:1"))
_CEF_KEY = re.compile(r" ([A-Za-z0-9_.\-\[\]]++)=", re.ASCII)
_CEF_BLANKS = re.compile(r"[\t\n\r\f\v]")
_CEF_ESCAPED = re.compile(r"\\([\\=|nr])")
_LEEF_HEAD = re.compile(r"LEEF: ?([12](?:\.\d)?)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|", re.ASCII)
_LEEF_DELIMITER = re.compile(r"(?:(0?x[0-9A-Fa-f]{1,4})|(.))?\|", re.DOTALL)
_NEWLINES = {"n": "\n", "r": "\r"}


class Cef(NamedTuple):
    """A CEF record: its head, and the extension's values by key."""

    vendor: str
    product: str
    version: str
    event_class: str
    name: str
    severity: str
    fields: dict[str, str]


class Leef(NamedTuple):
    """A LEEF record: its head, and the values by key."""

    vendor: str
    product: str
    version: str
    event_id: str
    fields: dict[str, str]


def pairs(text: str) -> dict[str, str]:
    """All `key=value` pairs of a text, quotes taken off; what is no pair is passed over."""
    found: dict[str, str] = {}
    for key, double, single, bare in _PAIR.findall(text):
        if key not in found:
            value = bare or double or single
            found[key] = _ESCAPED_QUOTE.sub(r"\1", value) if not bare and "\\" in value and '\\"' in value else value
    return found


def cef(text: str) -> Cef | None:
    """The CEF record that begins somewhere in a text; None where none does."""
    start = text.find("CEF:")
    parts = text[start:].split("|", 7) if start >= 0 else []
    if len(parts) == 8 and parts[0] in _CEF_PLAIN:  # nearly all, cut without an expression
        _, vendor, product, version, event_class, name, severity, extension = parts
        if not any(map(contains, parts[:7], repeat("\\"))):
            return Cef(vendor, product, version, event_class, name, severity, cef_fields(extension))
    head = _CEF_HEAD.match(text, start) if start >= 0 else None
    if head is None:
        return None
    _, *names = head.groups()
    vendor, product, version, event_class, name, severity = (_unescaped(part) for part in names)
    return Cef(vendor, product, version, event_class, name, severity, cef_fields(text[head.end() :]))


def cef_fields(extension: str) -> dict[str, str]:
    """Values of a CEF extension by key; a value ends where the next key begins. The first of equal keys counts."""
    plain = extension if extension.isprintable() else _CEF_BLANKS.sub(" ", extension)
    parts = _CEF_KEY.split(f" {plain}")
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    if 2 * len(found) + 1 < len(parts):
        found = dict(zip(parts[-2::-2], parts[:0:-2], strict=True))  # backwards: of equal keys the first stays
    if "\\" in plain or "  " in plain or "= " in plain or plain[-1:] == " ":
        for key, value in found.items():
            stripped = value.strip(" ")
            if stripped is not value or "\\" in value:  # the same object where nothing is taken off
                found[key] = _unescaped(stripped)
    return found


def labelled(fields: dict[str, str]) -> dict[str, str]:
    """CEF's custom fields by their labels: `cs1Label=Policy cs1=Default` is `Policy` to `Default`."""
    return {
        label: fields[key.removesuffix("Label")]
        for key, label in fields.items()
        if key.endswith("Label") and key.removesuffix("Label") in fields
    }


def leef(text: str) -> Leef | None:
    """The LEEF record that begins somewhere in a text; None where none does."""
    start = text.find("LEEF:")
    head = _LEEF_HEAD.match(text, start) if start >= 0 else None
    if head is None:
        return None
    version, vendor, product, product_version, event_id = head.groups()
    body, delimiter = text[head.end() :], "\t"
    if version.startswith("2"):
        named = _LEEF_DELIMITER.match(body)
        if named is not None:
            body = body[named.end() :]
            delimiter = chr(int(named[1].rpartition("x")[2], 16)) if named[1] else named[2] or "\t"
    if delimiter == "\t" and "\t" not in body and "|" in body:  # as some write it in spite of the head
        delimiter = "|"
    fields: dict[str, str] = {}
    for part in body.split(delimiter):
        key, sign, value = part.partition("=")
        if sign:
            fields.setdefault(key.strip(), value.strip())
    return Leef(vendor, product, product_version, event_id, fields)


def _unescaped(value: str) -> str:
    if "\\" not in value:
        return value
    if "\\\\" not in value and "\\n" not in value and "\\r" not in value:  # nothing but these two, then
        return value.replace("\\=", "=").replace("\\|", "|")
    return _CEF_ESCAPED.sub(lambda match: _NEWLINES.get(match[1], match[1]), value)
