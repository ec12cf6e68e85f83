"""Violations as analysts see them: the same id, version, times and figures, pseudonyms in place of names.

The topic `aup.violations` keeps its bytes: who reads it, notifies and rejudges with it, is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agents.privacy.columns import KINDS, TEXTS, Names
from agents.privacy.pseudonyms import guess
from schemas.kinds import EventKind
from schemas.registry import column_names

# Columns that say nothing about a person and may stand in a group key or in evidence: stored ones that are in no list
# of ours, and of those that are computed only these. A new one counts as a name until somebody has thought about it.
_STORED = frozenset(name for kind in EventKind for name in column_names(kind.value))
_COMPUTED = frozenset(
    "sender_internal sender_kind recipients_internal recipients_outside source_site source_device_kind "
    "source_mac_known source_mac_random source_mac_vendor source_address_shared outside_domain public_domains "
    "addressed_outside dhcp_server_known url_categories navigation download_kind active_minute person_roles "
    "person_site user_roles host_name_known".split()
)
_PLAIN = (_STORED | _COMPUTED) - KINDS.keys() - TEXTS
# Of a permit: what is permitted and when. Everything else in it is somebody's name or somebody's words.
_OF_A_PERMIT = frozenset(
    "id clause rule from to recipients category hours recorded at outside exceeded refused unmeasured".split()
)
WITHHELD = "(withheld)"


def violation(names: Names, record: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the `violation` schema without names.

    Args:
        names: What replaces them.
        record: As on the topic; it is not changed.
    """
    permit = None if record["permit"] is None else _permit(names, json.loads(record["permit"]))
    return {
        **record,
        "group_key": group_key(names, record["group_key"]),
        "permit": None if permit is None else _json(permit),
        "evidence": [{**e, "summary": _json(_summary(names, json.loads(e["summary"])))} for e in record["evidence"]],
    }


def group_key(names: Names, key: Mapping[str, str]) -> dict[str, str]:
    """A group key without names. A column that is not known, such as an alias of a rule, counts as a name."""
    return {column: _value(names, column, text) for column, text in key.items()}


def is_plain(column: str) -> bool:
    """Whether a column says nothing about a person."""
    return column in _PLAIN


def _value(names: Names, column: str, text: str, account: str | None = None) -> str:
    if column in KINDS or column in TEXTS:
        return names.value(column, text, account)
    if is_plain(column):
        return text
    return named(names, text)


def _summary(names: Names, summary: Mapping[str, Any]) -> dict[str, Any]:
    account = names.account(summary.get("user_name"), summary.get("user_domain"))
    made = dict(summary)
    for column, value in summary.items():
        if column == "user_name" and isinstance(value, str):
            made[column] = names.user(value, summary.get("user_domain"))
        else:
            made[column] = _any(names, column, value, account)
    return made


def _any(names: Names, column: str, value: Any, account: str | None) -> Any:
    if isinstance(value, str):
        return _value(names, column, value, account)
    if isinstance(value, list):
        return [_any(names, column, v, account) for v in value]
    return value


def _permit(names: Names, permit: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if key in _OF_A_PERMIT else _of_permit(names, key, value) for key, value in permit.items()}


def _of_permit(names: Names, key: str, value: Any) -> Any:
    if isinstance(value, dict):  # that it was revoked, by whom and why
        return _permit(names, value)
    if not isinstance(value, str) or not value:
        return value
    return WITHHELD if key in ("reason", "note", "where") else named(names, value)


def named(names: Names, text: str) -> str:
    """The pseudonym of whatever a text names."""
    kind = guess(text)
    return names.user(text) if kind.value == "user" else names.pseudonyms.of(kind, text)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
