"""Derived columns of `agents.engine.enrich_logins` as ClickHouse expressions."""

from __future__ import annotations

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.networks import PRIVATE
from agents.rules.convert_values import in_network, quoted

_NOWHERE = "unknown"  # as in `agents.engine.enrich_logins`, which rules do not import


def own_device(account: str, inventory: Inventory, district: District) -> str:
    """Whether the device is given to the account; null where no device is known.

    Args:
        account: Expression of who logged in, spelled as in a group key.
        inventory: Whose devices are.
        district: Spells owners.
    """
    owners = {mac: district.account_of_login(d.owner) for mac, d in sorted(inventory.devices.items()) if d.owner}
    if not owners:
        return "if(isNull(source_mac), NULL, false)"
    macs, accounts = ("[" + ", ".join(map(quoted, some)) + "]" for some in (owners.keys(), owners.values()))
    owner = f"nullIf(transform(ifNull(source_mac, ''), {macs}, {accounts}, ''), '')"
    return f"if(isNull(source_mac), NULL, ifNull({owner} = {account}, false))"


def login_source() -> str:
    """The device, else the network of the address, else a word for neither; never null."""
    bare = "splitByChar('%', ifNull(source_ip, ''))[1]"
    mapped = f"startsWith(lower({bare}), '::ffff:') AND isIPv4String(substring({bare}, 8))"
    four = f"if({mapped}, substring({bare}, 8), {bare})"
    private = " OR ".join(f"ifNull({in_network('source_ip', network)}, false)" for network in PRIVATE)
    of_four = f"concat(toString(IPv4CIDRToRange(toIPv4OrDefault({four}), 24).1), '/24')"
    of_six = f"concat(toString(IPv6CIDRToRange(toIPv6OrDefault({bare}), 64).1), '/64')"
    network = (
        f"multiIf(NOT (isIPv4String({four}) OR isIPv6String({bare})), {quoted(_NOWHERE)}, {private}, "
        f"if(isIPv4String({four}), {four}, toString(toIPv6OrDefault({bare}))), "
        f"isIPv4String({four}), {of_four}, {of_six})"
    )
    return f"ifNull(source_mac, {network})"
