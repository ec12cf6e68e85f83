"""Why lines of mail gateways are ignored."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class GatewaysIgnored(IgnoredReason):
    """Reasons of the formats of mail gateways."""

    GATEWAY_ADMIN = "gateway_admin"  # logins to the gateway itself, its configuration and its web pages
    GATEWAY_ENGINE = "gateway_engine"  # engines, updates, alerts and queues of the gateway itself
    GATEWAY_CHECK = "gateway_check"  # what a check found of a message of which nothing else is known here
