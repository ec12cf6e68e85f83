"""Transforms of the samples of firewalls and cloud filters."""

from __future__ import annotations

import re
from typing import Any

from tests.normalisers.transforms.common import NOT_STATED, Transform

_HASH = re.compile(r"[0-9a-f]{32,128}\Z")


def _hash(theirs: Any) -> Any:
    """A peer's hash; a `0` or another field that stands in its place states none."""
    text = str(theirs).lower()
    return text if _HASH.match(text) else NOT_STATED


def _any_is_none(theirs: Any) -> Any:
    return NOT_STATED if theirs in (None, "", "any") else theirs


def _without_scheme(ours: Any) -> Any:
    return ours and ours.partition("://")[2]


TRANSFORMS: dict[str, Transform] = {
    "file_hash": (_hash, lambda ours: ours),
    "category_or_any": (_any_is_none, lambda ours: ours),
    "url_without_scheme": (lambda theirs: theirs or NOT_STATED, _without_scheme),
    "after_dot": (lambda theirs: theirs, lambda ours: ours and ours.partition(".")[2]),
}
