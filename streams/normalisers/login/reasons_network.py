"""Why lines of Windows and of network access are ignored, beside the shared reasons."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class NetworkIgnored(IgnoredReason):
    """See the module."""

    WINDOWS_PRIVILEGES = "windows_privileges"  # 4672 stands beside the 4624 of every administrator and repeats it
    RECORD_PART = "record_part"  # a line of a record of several lines, whose event stands at another of them
    TACACS_COMMAND = "tacacs_command"  # a command on a network device that was allowed or counted
    CLEARPASS_OTHER = "clearpass_other"  # details of a session told elsewhere, endpoints, audit and system records
    FIREWALL_OTHER = "firewall_other"  # a firewall's messages about traffic, tunnels and itself
    VPN_STEP = "vpn_step"  # what a VPN client does between its login and its session
    OPENVPN_OTHER = "openvpn_other"  # OpenVPN's messages about keys, routes and itself
