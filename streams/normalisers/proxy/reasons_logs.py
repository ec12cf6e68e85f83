"""Why lines of web servers' and filters' log files are no web requests."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class LogIgnored(IgnoredReason):
    """Reasons of the formats in `types`."""

    WEB_ERROR_LOG = "web_error_log"  # a web server's messages; a request among them has a line of its own
    WEB_CONNECTION = "web_connection"  # a connection without a request: failed handshakes, TCP proxying
    FILTER_STATE = "filter_state"  # a filter's start, stop, lists and settings
    FILTER_NETWORK = "filter_network"  # traffic that a filter saw beside the web: no request, no URL
    ZPA_RECORD = "zpa_record"  # access to the organisation's own applications, not to the web
    UMBRELLA_OTHER = "umbrella_other"  # DNS, firewall, intrusion, audit and DLP records of Umbrella
