"""Why lines of dhcpd's lease files are ignored, beside the shared reasons."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class LeaseFileIgnored(IgnoredReason):
    """Reasons of dhcpd's lease files."""

    LEASE_FILE_STATEMENT = "lease_file_statement"  # part of a declaration, or of one about no client's lease
