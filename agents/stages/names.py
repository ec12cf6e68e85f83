"""Pseudonyms for what agents store and tell."""

from __future__ import annotations

from agents.build import district_of
from agents.privacy.live import LiveNames
from agents.settings import AgentSettings


def live_names(settings: AgentSettings) -> LiveNames | None:
    """Replaces names; None: they are told as logged. Raises as `district_of`, and where the keys cannot be used."""
    return None if settings.keys is None else LiveNames(settings.keys, district_of(settings.district))
