"""Why records of firewalls and cloud filters are no web requests."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class ApplianceIgnored(IgnoredReason):
    """Reasons of the formats in `types_appliances`."""

    FIREWALL_TRAFFIC = "firewall_traffic"  # sessions and flows; a web request among them has a record of its own
    FIREWALL_SYSTEM = "firewall_system"  # the device's own events, configuration, administrators
    FIREWALL_LOGIN = "firewall_login"  # VPN and user identification: another kind of event
    THREAT_OTHER = "threat_other"  # attacks, malware and mail that are no web request
    FILTER_DNS = "filter_dns"  # look-ups of names: nobody need have gone there
    APP_CONTROL = "app_control"  # verdicts on applications that are no web request, or that the web filter repeats
    FILTER_QUOTA = "filter_quota"  # counting of time and volume, beside the requests
    CLOUD_AUDIT = "cloud_audit"  # what administrators of a cloud service did, and its alarms
    CLOUD_NETWORK = "cloud_network"  # connections that are no web requests
    CLOUD_INCIDENT = "cloud_incident"  # findings about accounts and stored files, beside the requests
    WIRELESS = "wireless"  # what access points tell of clients and of the air
