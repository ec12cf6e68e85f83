"""Transforms of proxy samples."""

from __future__ import annotations

from tests.normalisers.transforms.common import Transform

TRANSFORMS: dict[str, Transform] = {}
