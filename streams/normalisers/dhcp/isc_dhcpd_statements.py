"""What a site's own `log()` statements in dhcpd.conf write about a lease, in the forms that are about.

Read are

- `lease-details ip=… mac=… circuit=… remote=… relay=… vlan=… prl=… cid=… vendor="…" host="…"`: the form that this
  format asks for (see its page); any of the keys may be missing, or `none`. What the client chooses stands last, and
  where a key comes twice the first counts, so that no client can forge what the server says;
- `Lease for A is connected to interface I …, VLAN V on switch S` and `Lease for A raw option-82 info is CID: C AID: R`:
  the two forms of the widely copied example for option 82;
- `Commit: IP: A DHCID: C [Name: H]` or `… Mac: M`, and `Expired: IP: A`: those of the usual `on commit` and
  `on expiry` examples. dhcpd itself says nothing when a lease expires.

Facts: dhcp-eval(5) of ISC DHCP: `log`, `binary-to-ascii`, `option agent.circuit-id`, `on commit`.
"""

from __future__ import annotations

import re
from typing import Any

from streams.normalisers import addresses
from streams.normalisers.dhcp.identifiers import fingerprint, hardware, hexadecimal

Row = dict[str, Any]

_OURS = "lease-details "
_CHOSEN = ("vendor", "host")
_PAIR = re.compile(r'([a-z]{2,8})=(?:"([^"]*)"|(\S*))', re.ASCII)
_PORT = re.compile(
    r"Lease for (\S+) is connected to interface (\S+)(?: \(add 1 to port number!\))?,? VLAN (\S+) on switch (\S+)\Z"
)
_RAW = re.compile(r"Lease for (\S+) raw option-82 info is CID: (\S*) AID: (\S*)\Z")
_COMMIT = re.compile(r"[Cc]ommit: IP: (\S+) (?:DHCID|[Mm][Aa][Cc]): (\S+)(?: Name: (\S*))?\Z")
_EXPIRED = re.compile(r"(?:[Ee]xpired|[Ee]xpiry|EXPIRED): IP: (\S+?),?(?: .*)?\Z", re.DOTALL)


def read_statement(message: str) -> Row | None:
    """What a statement says; None where it is of no such form, or about no address."""
    if message.startswith(_OURS):
        return _ours(message)
    if message.startswith("Lease for "):
        return _option_82(message)
    found = _COMMIT.match(message)
    if found is not None:
        return _details(found[1], source_mac=hardware(found[2]), host_name=found[3] or None)
    found = _EXPIRED.match(message)
    if found is not None and addresses.ip(found[1]):
        return {"event_action": "expire", "event_outcome": "unknown", "source_ip": addresses.ip(found[1])}
    return None


def _details(address: str, **columns: Any) -> Row | None:
    found = addresses.ip(address)
    if found is None:
        return None
    return {"event_action": "details", "event_outcome": "unknown", "source_ip": found, **columns}


def _ours(message: str) -> Row | None:
    said: dict[str, str] = {}
    chosen = False  # what follows may be a client's text
    for key, quoted, bare in _PAIR.findall(message, len(_OURS)):
        value = quoted or bare
        chosen = chosen or key in _CHOSEN
        if value and value != "none" and (not chosen or key in _CHOSEN):
            said.setdefault(key, value)
    return _details(
        said.get("ip", ""),
        source_mac=hardware(said.get("mac")),
        host_name=said.get("host"),
        dhcp_client_id=hexadecimal(said.get("cid")),
        dhcp_circuit_id=hexadecimal(said.get("circuit")),
        dhcp_remote_id=hexadecimal(said.get("remote")),
        dhcp_relay_ip=addresses.ip(said.get("relay", "")),
        dhcp_vlan=said.get("vlan"),
        dhcp_vendor_class=said.get("vendor"),
        dhcp_fingerprint=fingerprint(said.get("prl")),
    )


def _option_82(message: str) -> Row | None:
    found = _PORT.match(message)
    if found is not None:
        address, port, vlan, switch = found.groups()
        return _details(address, dhcp_circuit_id=port, dhcp_vlan=vlan.rstrip(","), dhcp_remote_id=hexadecimal(switch))
    found = _RAW.match(message)
    if found is None:
        return None
    return _details(found[1], dhcp_circuit_id=found[2] or None, dhcp_remote_id=found[3] or None)
