"""Canonical JSON: one text for one value, for group keys and for everything that is hashed."""

from __future__ import annotations

import json


def canonical(obj: object) -> str:
    """Keys sorted by code point, no spaces, characters as they are (RFC 8259; numbers as Python writes them).

    Args:
        obj: Plain values: dictionaries with string keys, lists, strings, numbers, booleans, None.

    Raises:
        TypeError: a value that JSON does not have, or keys that are no strings and cannot be ordered.
        ValueError: NaN or infinity, which JSON does not have.
    """
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
