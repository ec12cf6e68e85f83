"""Why lines of Kea are ignored, beside the shared reasons."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class KeaIgnored(IgnoredReason):
    """Reasons of Kea."""

    KEA_DETAIL = "kea_detail"  # says more about what a line of its own tells: a release's way, classes, a retry
