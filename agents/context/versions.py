"""Versions of context: a hash of what it says, so that the same content is the same version everywhere."""

from __future__ import annotations

import json
from hashlib import blake2b


def content_version(content: object) -> str:
    """12 hexadecimal digits of a hash of plain values (lists, dicts, texts, numbers)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return blake2b(text.encode(), digest_size=6, person=b"aup-context").hexdigest()
