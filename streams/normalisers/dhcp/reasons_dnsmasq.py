"""Why lines of dnsmasq are ignored, beside the shared reasons."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class DnsmasqIgnored(IgnoredReason):
    """Reasons of dnsmasq."""

    DNSMASQ_DNS = "dnsmasq_dns"  # queries, caches, TFTP
    DNSMASQ_DETAIL = "dnsmasq_detail"  # log-dhcp: what an event of the same transaction tells, or nothing that we keep
    ROUTER_ADVERTISEMENT = "router_advertisement"
