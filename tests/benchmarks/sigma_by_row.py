"""A Sigma rule, judged over one event at a time: slow, obvious, and knowing nothing of pySigma or Polars.

It reads what SigmaHQ's rules for proxies, web servers and logins use, and refuses the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fnmatch import translate
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from agents.rules.columns import FIELDS, keyword_columns
from agents.rules.logsources import Unknown, route_of
from agents.rules.vendorfields import details_of, fields_of
from schemas.kinds import EventKind
from schemas.windows_codes import LOGON_TYPES, REASONS

Row = Mapping[str, Any]


def holds(rule: Mapping[str, Any], row: Row, kind: EventKind) -> bool:
    """True where the event matches the rule."""
    route = route_of(rule["logsource"])
    assert not isinstance(route, Unknown)
    fields = {**FIELDS[kind], **fields_of(route)}
    fields |= {name: f"event_details/{detail}" for name, detail in details_of(route).items()}
    detection = rule["detection"]
    if "'EventID': 4648" in str(detection) and "EventID" in fields:
        fields |= {"SubjectUserName": "user_name", "TargetUserName": "target_user_name"}
    names = [name for name in detection if name not in ("condition", "timeframe")]
    said = {name: _selection(detection[name], row, fields, kind) for name in names}
    conditions = detection["condition"]
    return any(_condition(c, said) for c in (conditions if isinstance(conditions, list) else [conditions]))


def _condition(text: str, said: Mapping[str, bool]) -> bool:
    """The condition as an expression of Python."""

    def several(match: re.Match[str]) -> str:
        pattern = "[!_]*" if match[2] == "them" else match[2]
        chosen = [value for name, value in said.items() if re.fullmatch(translate(pattern), name)]
        return str((all if match[1] == "all" else any)(chosen))

    text = re.sub(r"\b(1|any|all) of ([\w*]+)", several, text)
    words = re.sub(r"\b(?!and\b|or\b|not\b|True\b|False\b)(\w+)\b", lambda m: str(said[m[1]]), text)
    assert re.fullmatch(r"(?:and|or|not|True|False|[()\s])+", words), words
    return bool(eval(words))  # noqa: S307 nothing but the words above


def _selection(value: Any, row: Row, fields: Mapping[str, str], kind: EventKind) -> bool:
    if isinstance(value, dict):
        return all(_item(key, listed, row, fields, kind) for key, listed in value.items())
    if isinstance(value, list):
        return any(_selection(one, row, fields, kind) for one in value)
    return _item("", value, row, fields, kind)


def _item(key: str, listed: Any, row: Row, fields: Mapping[str, str], kind: EventKind) -> bool:
    name, *modifiers = key.split("|")
    values = listed if isinstance(listed, list) else [listed]
    joined = all if "all" in modifiers else any
    if not name:
        return joined(any(_one(row.get(c), v, ["contains"], row) for c in keyword_columns(kind)) for v in values)
    if name in ("Status", "SubStatus", "FailureCode") and fields.get("EventID") and values == ["0x0"]:
        return row.get("event_outcome") == "success"
    if name == "ActivityDetails" and "UserPrincipalName" in fields:
        return values == ["Sign-ins"] and row.get("event_dataset") == "entra_signin"
    column = fields.get(name, name)
    if "/" in column:
        column, _, detail = column.partition("/")
        said = [text[len(detail) + 1 :] for text in row[column] or () if text.lower().startswith(f"{detail}=".lower())]
        return joined(any(_one(one, "" if v is None else v, modifiers, row) for one in said) for v in values)
    if "fieldref" in modifiers:
        return joined(_same(row.get(column), row.get(fields.get(v, v))) for v in values)
    return joined(_one(row.get(column), _worded(name, value, fields), modifiers, row) for value in values)


def _same(one: Any, other: Any) -> bool:
    return one is not None and other is not None and str(one).lower() == str(other).lower()


def _worded(name: str, value: Any, fields: Mapping[str, str]) -> Any:
    if "EventID" not in fields:
        return "google" if value == "login.googleapis.com" else value
    if name == "LogonType" and str(value).isdecimal():
        return LOGON_TYPES.get(str(value), str(value))
    if name in ("Status", "SubStatus", "FailureCode") and str(value)[:2].lower() == "0x":
        return REASONS.get(int(value, 16), f"code {int(value, 16):#x}")
    return value


def _one(have: Any, value: Any, modifiers: list[str], row: Row) -> bool:
    if value is None:
        return have is None
    if "exists" in modifiers:
        return (have is not None) is value
    if have is None:
        return False
    if isinstance(value, bool):
        return have is value
    for modifier, judge in _JUDGES.items():
        if modifier in modifiers:
            return judge(str(have), str(value))
    if isinstance(have, int | float) and not isinstance(have, bool) and modifiers in ([], ["all"]):
        return str(have) == str(value) if "*" not in str(value) else bool(_wild(str(value)).fullmatch(str(have)))
    before = "*" if {"contains", "endswith"} & set(modifiers) else ""
    after = "*" if {"contains", "startswith"} & set(modifiers) else ""
    pattern = f"{before}{value}{after}" if not str(value).endswith("\\") or not after else f"{before}{value}\\{after}"
    return _wild(pattern).fullmatch(str(have).lower()) is not None


def _inside(have: str, network: str) -> bool:
    try:
        return ip_address(have) in ip_network(network)
    except ValueError:
        return False


_JUDGES: Mapping[str, Callable[[str, str], bool]] = {
    "re": lambda have, value: re.search(value, have) is not None,
    "cidr": _inside,
}


@cache
def _wild(pattern: str) -> re.Pattern[str]:
    """Sigma's wildcards: a backslash escapes a wildcard or a backslash before one, and is itself elsewhere."""
    made, at, text = "", 0, pattern.lower()
    while at < len(text):
        letter = text[at]
        if letter == "\\" and text[at + 1 : at + 2] in ("*", "?", "\\"):
            made, at = made + re.escape(text[at + 1]), at + 2
            continue
        made += {"*": ".*", "?": "."}.get(letter) or re.escape(letter)
        at += 1
    return re.compile(made, re.DOTALL)
