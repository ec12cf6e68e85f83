"""Firewalls and cloud filters that write one record a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.normalisers.types import NormaliserType

TYPES: Final[Mapping[str, NormaliserType]] = {}
