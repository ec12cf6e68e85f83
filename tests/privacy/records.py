"""A violation with secrets in all places where there may be some."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SECRETS = ("hunter2", "Dear Ada", "science-fair-of-ada")
T_US = 1_774_432_800_000_000


def violation_of(key: Mapping[str, str], summary: Mapping[str, object] | None = None, **more: object) -> dict[str, Any]:
    """A record of the `violation` schema."""
    evidence = {
        "event_id": "e" * 32,
        "timestamp": T_US,
        "log_source": "logins",
        "log_generation": "0" * 16,
        "log_offset": 0,
        "log_hash": "f" * 32,
        "base": "selection",
        "summary": json.dumps(summary or {"user_name": "ada", "event_reason": f"{SECRETS[0]} {SECRETS[1]}"}),
        "facts": [],
    }
    return {
        "id": "a" * 32,
        "version": 1,
        "rule_id": "r",
        "rule_version": "1",
        "rule_title": "Title",
        "clause": 13,
        "policy": "p",
        "severity": "high",
        "status": "violation",
        "state": "open",
        "group_key": dict(key),
        "first_seen": T_US,
        "last_seen": T_US,
        "opened_at": T_US,
        "closed_at": None,
        "count": 1,
        "value": 1.0,
        "value_lower_bound": False,
        "thresholds": [],
        "permit": json.dumps({"who": "ada", "granted_by": "bob", "reason": SECRETS[2], "clause": 13}),
        "evidence": [evidence],
        "evidence_dropped": 0,
        "incomplete": False,
        "timeline": "",
        "related": [],
        "shadow": False,
        **more,
    }
