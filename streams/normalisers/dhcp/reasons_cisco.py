"""Why lines of Cisco's DHCP server are ignored, beside the shared reasons."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class CiscoDhcpIgnored(IgnoredReason):
    """Reasons of Cisco IOS' DHCP server."""

    CISCO_DHCP_DETAIL = (
        "cisco_dhcp_detail"  # a line of several about one lease; the line that completes it is the event
    )
