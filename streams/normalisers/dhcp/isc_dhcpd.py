"""ISC dhcpd's log to DHCP events, version 4 (here) and version 6 (`isc_dhcpd_v6`), as OPNsense and pfSense send it too.

`event_action` is one of `ACTIONS`; `event_outcome` is `success` for an offer, an acknowledgement, a release that was
found and a BOOTREPLY, `failure` for NAK, DECLINE, no free leases and whatever the server says that it ignores or cannot
do, else `unknown`. `event_reason` is what the server says behind the message, in its words.

- `decline` is also an address that the server found in use before it offered it (`pinged before offer`).
- `details` is what a site's own `log()` statement tells of a lease beside its `ack` (`isc_dhcpd_statements`).
- A DHCPv6 client that gives back what it has not has that address in `dhcp_requested_ip`, so that nobody's lease ends.

Facts: the format strings of `server/dhcp.c`, `server/bootp.c`, `server/failover.c` and `server/dhcpv6.c` of ISC DHCP
4.1 to 4.4, and what Infoblox's build of it adds behind them (`TransID`, `relay`, `lease-duration`, `uid`, `(RENEW)`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from schemas.kinds import EventKind
from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import number
from streams.normalisers.dhcp.isc_dhcpd_statements import read_statement
from streams.normalisers.dhcp.isc_dhcpd_v6 import read_v6
from streams.normalisers.lines import Fields, LineNormaliser, Taken, Unreadable, starts_with_any
from streams.normalisers.reasons import Ignored, Refused
from streams.normalisers.syslog import SyslogLine

ACTIONS: Final = (
    "discover",
    "offer",
    "request",
    "ack",
    "nak",
    "decline",
    "release",
    "inform",
    "no_free_leases",
    "expire",
    "bootp",
    "details",
)

_VERBS: Mapping[str, tuple[str, str]] = {
    "DISCOVER": ("discover", "unknown"),
    "OFFER": ("offer", "success"),
    "REQUEST": ("request", "unknown"),
    "ACK": ("ack", "success"),
    "NAK": ("nak", "failure"),
    "NACK": ("nak", "failure"),  # some builds spell it so
    "DECLINE": ("decline", "failure"),
    "RELEASE": ("release", "success"),
    "INFORM": ("inform", "unknown"),
    "EXPIRE": ("expire", "unknown"),
}

# The client chooses its host name, so it may hold anything: the *last* `) via` ends it, what follows is the server's.
_WITH_VIA = re.compile(
    r"DHCP([A-Z]+)(?: (?:on|for|of|to) (\S+))?(?: \(([^()\s]*)\))?(?: (?:from|to) (<no identifier>|\S+))?"
    r"(?: \((.*)\))? via ([^\s:]+(?::\d+)?):?(?: (.*))?\Z",
    re.DOTALL | re.ASCII,
)
_WITHOUT_VIA = re.compile(
    r"DHCP([A-Z]+)(?: (?:on|for|of|to) ([^\s:]+))?(?: \(([^()\s]*)\))?(?: (?:from|to) (<no identifier>|\S*[^\s:]))?"
    r"(?: \((.*)\))?(?:: *| +|\Z)(.*)\Z",
    re.DOTALL | re.ASCII,
)
_BOOTP = re.compile(
    r"BOOT(REQUEST|REPLY)(?: (?:for|on) (\S+))?(?: (?:from|to) (\S+))?(?: \((.*)\))? via ([^\s:]+):?(?: (.*))?\Z",
    re.DOTALL | re.ASCII,
)
_LEASEQUERY = re.compile(r"DHCPLEASE(?:QUERY|ACTIVE|UNASSIGNED|UNKNOWN)\b")

_TRANSACTION = re.compile(r"(?:^| )TransID (?:0x)?([0-9A-Fa-f]{1,8})(?=[ :]|$)")
_RELAY = re.compile(r"(?:^| )relay (\S+)")
_DURATION = re.compile(r"(?:^| )lease-duration (\d{1,10})(?= |$)", re.ASCII)
_UID = re.compile(r"(?:^| )uid (\S+)")
_EXTRAS = re.compile(
    r"(?:^| )(?:TransID \S+|relay \S+|(?:lease|offered)-duration \d+|uid \S+|"
    r"\((?:RENEW|REBIND|SELECTING|INIT-REBOOT)\)|r-l-e:\S+)(?= |$)"
)
_TAIL = re.compile(
    r"(?:relay (\S+) lease-duration (\d{1,10})(?: offered-duration \d{1,10})?(?: \((?:RENEW|REBIND)\))?(?: uid (\S+))?"
    r"|TransID ([0-9A-Fa-f]{1,8})(?: uid ([^\s]*[^\s:]))?(?: \((?:RENEW|REBIND|SELECTING|INIT-REBOOT)\))?)\Z",
    re.ASCII,
)
_NETWORK = re.compile(r"network (.+?): (?:no free leases|.*)\Z", re.DOTALL)
_SUBNET = re.compile(r"(?:on|for) (?:subnet|shared-network) (\S+)")
_FAILS = re.compile(
    r"unknown network segment|no free leases|wrong network|unavailable|unknown lease|ignored|unknown client|"
    r"not found|not authoritative|peer holds all|denied|disallowed|bootp disallowed|not responding|"
    r"lease owned by peer|in transition state|no available|non-?existent lease|database update failed|not our server id"
)
_NO_LEASES = re.compile(r"no free leases|no available leases|peer holds all free leases|no dynamic leases")

_CHATTER = starts_with_any(
    {
        Ignored.DHCP_FAILOVER: "failover|Failover|peer |bind update|Sent update|bind lease",
        Ignored.DHCP_POOL: (
            "balanc|pool |Wrote |reuse_lease|Abandoning IP|ICMP Echo|uid lease|lease |Dynamic and static|"
            "Remove host declaration|from the dynamic address pool|Reclaiming|client |Lease |abandoned|"
            "dhcp: lease"
        ),
        Ignored.DHCP_DNS: (
            "Added new forward|Added forward|added reverse|Added reverse|Removed forward|removed reverse|"
            "Removed reverse|Unable to add|Unable to set up|DDNS|Forward map|Reverse map|if IN |if |delete |"
            "add |Can't update|can't add|dns"
        ),
        Ignored.DHCP_V6: (
            "Solicit|Request message|Renew message|Rebind message|Release message|Confirm message|"
            "Decline message|Information-request|Advertise|Reply|Sending Advertise|Sending Reply|Sending Relay|"
            "Relay-forward|Relay-reply|Picking pool |Unpacking|Encapsulat|Client |Client: |Wrote 0 NA|"
            "Released lease|Discarding|Unable to pick client|Reusing lease for|reusing infinite lease|"
            "Unknown message type|Error processing|Requested address"
        ),
        Ignored.SERVICE_STATE: (
            "Internet Systems Consortium|Copyright|All rights|For info|Listening on|Sending on|Config file|"
            "Database file|PID file|Server starting|Not searching LDAP|Configuration file|"
            "Multiple interfaces|No subnet declaration|** Ignoring|you want,|in your dhcpd.conf|"
            "to which interface|Exiting|exiting|Unable to open|Can't open|Can't create|There's already|"
            "/etc/|WARNING|Warning|warning|shutdown|startup|Source compiled|Not configured"
        ),
        Ignored.DHCP_NETWORK: (
            "receive_packet|send_packet|bad udp|bad IP|dhcp: send|icmp_|fallback_discard|parse_option|accepting packet"
        ),
    }
)
_ABANDONED = re.compile(r"Abandoning IP address (\S+): (pinged before offer)", re.ASCII)
_NO_FURTHER = (None,) * 10  # columns that no message of DHCP version 4 fills
_BAD_CHECKSUMS = re.compile(r"\d{1,9} bad (?:udp|IP) checksums")


class IscDhcpdNormaliser(LineNormaliser):
    """Lines that ISC dhcpd wrote through syslog."""

    kind = EventKind.DHCP
    type_name = "isc_dhcpd"
    COLUMNS = (
        "event_dataset",
        "event_action",
        "event_outcome",
        "event_reason",
        "source_ip",
        "source_mac",
        "host_name",
        "dhcp_client_id",
        "dhcp_transaction_id",
        "dhcp_relay_ip",
        "dhcp_interface",
        "dhcp_server_ip",
        "dhcp_lease_seconds",
        "dhcp_network",
        "dhcp_requested_ip",
        "dhcp_vendor_class",
        "dhcp_fingerprint",
        "dhcp_circuit_id",
        "dhcp_remote_id",
        "dhcp_duid",
        "dhcp_iaid",
        "dhcp_prefix_length",
        "dhcp_vlan",
        "dhcp_lease_expires",
    )
    NEVER = frozenset({"dhcp_lease_expires"})  # Infoblox' alone
    DATASET: ClassVar[str] = "isc_dhcpd"
    STATEMENTS: ClassVar[bool] = True  # whether a site may write lines of its own

    def take(self, line: SyslogLine) -> Taken:
        """What a line says."""
        program = line.program
        if program is not None and "dhcpd" not in program and program not in ("dhcp", "isc-dhcp-server"):
            return Ignored.OTHER_PROGRAM
        message = line.message
        if message.startswith("DHCP"):
            return _dhcp(message)
        if message.startswith("BOOT"):
            return _bootp(message)
        if not message:
            return Ignored.BLANK_LINE
        return self.other(message)

    def other(self, message: str) -> Taken:
        """What a line says that is no message of DHCP version 4."""
        taken = _pinged(message) or (read_statement(message) if self.STATEMENTS else None) or read_v6(message)
        if isinstance(taken, dict):
            return self.row(taken)
        if taken is not None:
            return taken
        if _BAD_CHECKSUMS.match(message):
            return Ignored.DHCP_NETWORK
        return _CHATTER(message) or Ignored.DHCP_OTHER

    def row(self, columns: Mapping[str, Any]) -> Fields:
        """The row of an event that names few columns."""
        return (self.DATASET, *(columns.get(name) for name in self.COLUMNS[1:]))


def _pinged(message: str) -> dict[str, Any] | None:
    found = _ABANDONED.match(message)
    if found is None or addresses.ip(found[1]) is None:
        return None
    return {
        "event_action": "decline",
        "event_outcome": "failure",
        "event_reason": found[2],
        "source_ip": addresses.ip(found[1]),
    }


def _dhcp(message: str) -> Taken:
    found = _WITH_VIA.match(message)
    if found is not None:
        verb, address, bracket, client, name, via, rest = found.groups()
    else:
        found = _WITHOUT_VIA.match(message)
        if found is None:
            return Unreadable(Refused.UNKNOWN_FORM, "a dhcpd message of unknown form")
        verb, address, bracket, client, name, rest = found.groups()
        via = None
    if verb not in _VERBS:
        if _LEASEQUERY.match(message):
            return Ignored.DHCP_LEASEQUERY
        return Unreadable(Refused.UNKNOWN_FORM, "a dhcpd message of an unknown type")
    action, outcome = _VERBS[verb]
    source_ip = addresses.ip(address) if address else None
    if address and source_ip is None:
        return Unreadable(Refused.BAD_FIELD, "the client's address is none")
    server, source_mac, client_id = None, None, None
    if bracket:  # the server's address in a REQUEST, the hardware address in an ACK of an INFORM
        server, source_mac = addresses.ip(bracket), addresses.mac(bracket)
    if client:
        source_mac = addresses.mac(client) or source_mac
        if source_mac is None:
            # Dotted only: the hardware address of InfiniBand, eight octets, would pass for an IPv6 address.
            numbered = addresses.ip(client) if "." in client else None
            source_ip = numbered or source_ip
            client_id = client if client != "<no identifier>" and numbered is None else None
    if source_ip is None and source_mac is None and client_id is None and client is None:
        return Unreadable(Refused.UNKNOWN_FORM, "a dhcpd message that names no client")
    known = (source_ip, source_mac, name or None, client_id, via, server)
    return _event(action, outcome, known, rest or "")


def _bootp(message: str) -> Taken:
    found = _BOOTP.match(message)
    if found is None:
        return Unreadable(Refused.UNKNOWN_FORM, "a BOOTP message of unknown form")
    verb, address, client, bracket, via, rest = found.groups()
    mac = addresses.mac(client or "")
    name = bracket
    if mac is None:  # a reply names the host and puts its hardware address in brackets
        mac, name = addresses.mac(bracket or ""), client
    if mac is None:
        return Unreadable(Refused.BAD_FIELD, "the client's hardware address is none")
    ip = addresses.ip(address) if address else None
    return _event("bootp", "success" if verb == "REPLY" else "unknown", (ip, mac, name, None, via, None), rest or "")


def _event(action: str, outcome: str, known: tuple[str | None, ...], rest: str) -> Fields:
    """The row; `known` is (address, hardware address, name, client id, via, server), `rest` what follows `via`."""
    ip, mac, name, client_id, via, server = known
    relay = addresses.ip(via) if via else None
    interface = via if relay is None else None
    if not rest:
        return (
            "isc_dhcpd",
            action,
            outcome,
            None,
            ip,
            mac,
            name,
            client_id,
            None,
            relay,
            interface,
            server,
            None,
            None,
            *_NO_FURTHER,
        )
    tail = _TAIL.match(rest)
    if tail is not None:  # most lines of Infoblox
        via_relay, lasts, uid_1, number_1, uid_2 = tail.groups()
        return (
            "isc_dhcpd", action, outcome, None, ip, mac, name, uid_1 or uid_2 or client_id,
            number_1.lower() if number_1 else None, relay or (addresses.ip(via_relay) if via_relay else None),
            interface, server, number(lasts), None, *_NO_FURTHER,
        )  # fmt: skip
    return _with_reason(action, outcome, known, rest)


def _with_reason(action: str, outcome: str, known: tuple[str | None, ...], rest: str) -> Fields:
    """The row of a message behind which the server says something; see `_event`."""
    ip, mac, name, client_id, via, server = known
    relay = addresses.ip(via) if via else None
    interface = via if relay is None else None
    transaction, duration, uid = _TRANSACTION.search(rest), _DURATION.search(rest), _UID.search(rest)
    named_relay = _RELAY.search(rest)
    reason = _EXTRAS.sub("", rest).strip(" :.") or None
    network = None
    if reason is not None:
        named = _NETWORK.match(reason) or _SUBNET.search(reason)
        network = named[1] if named else None
        if _NO_LEASES.search(reason) and action in ("discover", "request", "bootp"):
            action = "no_free_leases" if action != "bootp" else action
        if _FAILS.search(reason) or reason.startswith("(not"):
            outcome = "failure"
    return (
        "isc_dhcpd", action, outcome, reason, ip, mac, name,
        uid[1].rstrip(":") if uid else client_id,
        transaction[1].lower() if transaction else None,
        relay or (addresses.ip(named_relay[1]) if named_relay else None),
        interface, server,
        number(duration[1]) if duration else None,
        network, *_NO_FURTHER,
    )  # fmt: skip
