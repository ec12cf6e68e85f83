"""Devices and logins: clauses 8 and 13, and what only looks like them. See `web_deeds` for what a deed is."""

from __future__ import annotations

from dataclasses import replace

from infra.simulate.logins import Sshd
from infra.simulate.term.hosts import GUESTS, SERVERS, VPN
from infra.simulate.term.ordinary import HOME
from infra.simulate.term.pen import Pen
from infra.simulate.term.sites import AUTH, DHCP, KEA, WINDOWS_DHCP, dhcp_of
from infra.simulate.term.town import Member
from infra.simulate.world import Device, Site

_FAR = ((51.5, -0.1), (-23.5, -46.6), (35.7, 139.7), (52.2, 21.0))
_ROUTERS = ("TP-LINK_A1B2", "NETGEAR-5G", "Linksys00412", "OpenWrt")
_MAKERS = ("00:0a:eb", "00:09:5b", "00:0c:41", "04:95:e6")  # of routers, by the IEEE's register
_PRINTER = "3c:2a:f4"


def _login(pen: Pen, at: int, user: str, device: Device) -> None:
    pen.sign_on(at, user, device)


def _sshd(pen: Pen) -> Sshd:
    return Sshd(pen.day, pen.draw, pen.logs[AUTH])


def _by_isc(pen: Pen) -> Site:
    """ISC's server tells which other server's offer a device took."""
    return next(s for s in pen.town.sites if dhcp_of(s) == DHCP)


def _stranger_device(pen: Pen) -> None:
    device, at = pen.town.add_foreign(pen.school(), f"LAPTOP-{pen.draw.digits(5).upper()}"), pen.start()
    pen.lease(pen.here(device), at)
    pen.expect("new-device", device, at, "a device that is not the district's")


def _router(pen: Pen) -> None:
    site = pen.school()
    named = dhcp_of(site) != KEA and pen.draw.chance(60)
    host, maker = (pen.draw.choice(_ROUTERS), "") if named else ("", pen.draw.choice(_MAKERS))
    device, at = pen.town.add_foreign(site, host, maker=maker), pen.start()
    pen.lease(pen.here(device), at)
    pen.expect("network-hardware", device, at, "a router for the home on the district's network")
    pen.expect("new-device", device, at, "a router for the home, which is in no inventory either")


def _printer(pen: Pen) -> None:
    device = pen.town.add_foreign(pen.school(), f"BRN{pen.draw.digits(12).upper()}", maker=_PRINTER)
    at = pen.start()
    pen.lease(pen.here(device), at)
    pen.expect("own-printer", device, at, "somebody's own printer")
    pen.expect("new-device", device, at, "a printer, which is in no inventory either")


def port_key(site: Site, port: int) -> dict[str, str]:
    """What tells a port of a site's switch, as events have it."""
    return {
        "dhcp_remote_id": f"00:06:00:1c:7e:{site.net:02x}:00:01",
        "dhcp_circuit_id": f"00:04:00:01:{site.net:02x}:{port:02x}",
    }


def _own_switch(pen: Pen) -> None:
    site = next(s for s in pen.town.schools if dhcp_of(s) == WINDOWS_DHCP)
    at, port = pen.start(), pen.port()
    for i in range(6):
        device = pen.town.add_foreign(site, f"DESKTOP-{pen.draw.digits(5)}")
        pen.msdhcp.lease(pen.here(device), at + 300 * i, port=port)
        pen.expect("new-device", device, at + 300 * i, "one of six devices behind a switch of somebody's own")
    key = port_key(site, port)
    pen.expect_about("many-devices-on-a-port", key, at, "six unknown devices behind one port")


def _class_on_a_port(pen: Pen) -> None:
    site = next(s for s in pen.town.schools if dhcp_of(s) == WINDOWS_DHCP)
    at, port = pen.start(), pen.port()
    for i in range(8):
        device = pen.town.add_device(site, "shared", "")
        pen.msdhcp.lease(pen.here(device), at + 60 * i, port=port)
        pen.innocent("cart", "many-devices-on-a-port", device, "a cart's laptops behind one access point")


def _second_server(pen: Pen) -> None:
    who, at = pen.staff(site=_by_isc(pen)), pen.start()
    server = f"192.168.{pen.number}.{pen.draw.between(1, 250)}"
    net = server.rpartition(".")[0]
    for i in range(3):
        pen.dhcpd.asked_for(pen.here(who.device), at + 900 * i, f"{net}.{pen.draw.between(20, 90)}", server)
    pen.expect_about("rogue-dhcp-server", {"dhcp_server_ip": server}, at, "a router that gives addresses of its own")
    pen.innocent("offered-to", "rogue-dhcp-server", who, "the laptop that was offered an address")


def _own_second_server(pen: Pen) -> None:
    who, at = pen.staff(site=_by_isc(pen)), pen.start()
    pen.dhcpd.asked_for(pen.here(who.device), at, "10.1.200.7", f"{SERVERS}.9")
    pen.innocent("own-server", "rogue-dhcp-server", who, "the district's other server")


def _adapter(pen: Pen) -> None:
    device, at = pen.town.add_foreign(pen.town.sites[0], f"LAPTOP-{pen.draw.digits(5)}", maker=_MAKERS[0]), pen.start()
    pen.town.devices.append(device)
    pen.lease(pen.here(device), at)
    pen.innocent("adapter", "network-hardware", device, "a laptop of the inventory with a maker of routers' adapter")


def _randomised(pen: Pen) -> None:
    device = pen.town.add_foreign(pen.school(), "iPhone", random=True)
    pen.lease(pen.here(device), pen.start())
    pen.innocent("randomised", "new-device", device, "a phone that made up its address")


def _guest(pen: Pen) -> None:
    device = pen.town.add_foreign(pen.school(), f"GUEST-{pen.draw.digits(4)}")
    pen.lease(replace(device, ip=f"{GUESTS}.{pen.draw.between(10, 240)}"), pen.start())
    pen.innocent("guest-network", "new-device", device, "a guest's laptop on the guests' network")


def _dock(pen: Pen) -> None:
    device = pen.town.add_device(pen.school(), "dock", "")
    pen.lease(pen.here(device), pen.start())
    pen.innocent("dock", "new-device", device, "a dock that stands in the inventory")


def _imaging(pen: Pen) -> None:
    device, at = pen.town.add_foreign(pen.town.sites[0], "MINWINPC"), pen.start()
    chief = pen.town.members[0].user
    pen.permit(device.mac, 8, at - 3600, at + 5 * 86_400, chief, "new devices are being set up")
    pen.lease(pen.here(device), at)
    pen.expect("new-device", device, at, "a new device that is being set up, with a permit", status="permitted")
    pen.innocent("imaging", "new-device", device, "with a permit")


def _lent(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    _login(pen, at, who.user, pen.here(who.device))
    for i in range(1, 4):
        _login(pen, at + 420 * i, pen.student(who.site).user, pen.here(who.device))
    pen.expect("shared-device", who.device, at, "four accounts on one laptop within half an hour")


def _cart(pen: Pen) -> None:
    device, at = pen.town.add_device(pen.school(), "shared", ""), pen.start()
    for i in range(5):
        _login(pen, at + 200 * i, pen.student(device.site).user, pen.here(device))
    pen.innocent("cart", "shared-device", device, "a cart's laptop in a lesson")


def _technician(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    _login(pen, at, who.user, pen.here(who.device))
    _login(pen, at + 300, pen.staff("it", who.site).user, pen.here(who.device))
    pen.innocent("technician", "shared-device", who, "a technician who helps")


def _substitutes(pen: Pen) -> None:
    who = pen.staff("substitute")
    for i in range(4):
        user = who.user if i == 0 else pen.staff("substitute", who.site).user
        _login(pen, 8 * 3600 + 1800 + 2400 * i, user, pen.here(who.device))
    pen.innocent("substitutes", "shared-device", who, "substitutes who follow each other, forty minutes apart")


def _two_places(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start()
    other = pen.draw.choice([s for s in pen.town.sites if s is not who.site])
    elsewhere = pen.town.add_device(other, "shared", "")
    _login(pen, at, who.user, pen.here(who.device))
    _login(pen, at + pen.draw.between(60, 500), who.user, pen.here(elsewhere))
    pen.expect("two-sites", who, at, "one account at two schools within minutes")


def _travelling_teacher(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * 3600)
    other = pen.draw.choice([s for s in pen.town.sites if s is not who.site])
    _login(pen, at, who.user, pen.here(who.device))
    _login(pen, at + 1500, who.user, pen.here(pen.town.add_device(other, "shared", "")))
    pen.innocent("between-schools", "two-sites", who, "a teacher who works at two schools, 25 minutes apart")


def _phone_too(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    phone = pen.town.add_device(who.site, "phone", who.user)
    for i, device in enumerate((who.device, phone, who.device, phone)):
        _login(pen, at + 100 * i, who.user, pen.here(device))
    pen.innocent("phone-and-laptop", "two-sites", who, "phone and laptop at one school")


def _by_vpn(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    _login(pen, at, who.user, pen.here(who.device))
    _sshd(pen).accept(at + 200, who.user, f"{VPN}.{pen.draw.between(2, 250)}")
    pen.innocent("vpn", "two-sites", who, "at school, and by the district's own VPN")


WAYS = ("shell", "files", "wireless", "cloud")


def with_password(pen: Pen, way: str, at: int, who: Member, ip: str, device: Device, *, good: bool) -> None:
    """A login with a password, right or wrong, by one of `WAYS`: over the air on a device, else from an address."""
    if way == "shell":
        sshd = _sshd(pen)
        (sshd.accept if good else sshd.fail)(at, who.user, ip)
    elif way == "files":
        pen.windows.logon(at, who.user, ip, good=good)
    elif way == "wireless":
        pen.sign_on(at, who.user, pen.here(device), good=good)
    else:
        pen.cloud(at, who, HOME, ip, good=good)


def tries(pen: Pen, way: str, who: Member, at: int, count: int, place: tuple[str, Device], *, gap: int = 20) -> int:
    """So many wrong passwords from an address or a device; returns the second of the next try."""
    for i in range(count):
        with_password(pen, way, at + gap * i, who, *place, good=False)
    return at + gap * count


def _guessed(pen: Pen) -> None:
    who, at, way = pen.anybody(), pen.start(), pen.draw.choice(WAYS)
    ip, device = pen.outside_ip(), pen.staff(site=who.site).device
    end = tries(pen, way, who, at, pen.draw.between(8, 11), (ip, device))
    with_password(pen, way, end, who, ip, device, good=True)
    pen.expect("guessed-password", who, at, "many wrong passwords, then the right one")


def _guessed_everywhere(pen: Pen) -> None:
    who, at, ip = pen.anybody(), pen.start(), pen.outside_ip()
    ways = [way for way in WAYS if way != "wireless"]
    for i in range(9):
        with_password(pen, ways[i % 3], at + 25 * i, who, ip, who.device, good=False)
    with_password(pen, pen.draw.choice(ways), at + 225, who, ip, who.device, good=True)
    pen.expect(
        "guessed-password", who, at, "nine wrong passwords, wherever one logs in from outside, then the right one"
    )


def _old_password(pen: Pen) -> None:
    who, at = pen.staff(), pen.start()
    end = tries(pen, "wireless", who, at, 25, ("", who.device), gap=9)
    with_password(pen, "wireless", end, who, "", who.device, good=True)
    pen.innocent("old-password", "guessed-password", who, "one's own laptop, which tries an old password by itself")


def _meanwhile(pen: Pen) -> None:
    who, at, way = pen.staff(), pen.start(), pen.draw.choice(("shell", "files", "cloud"))
    end = tries(pen, way, who, at, 10, (pen.outside_ip(), who.device))
    with_password(pen, way, end, who, pen.outside_ip(), who.device, good=True)
    pen.innocent("meanwhile", "guessed-password", who, "strangers who try in vain, and the holder elsewhere meanwhile")


def _forgotten(pen: Pen) -> None:
    who, way, ip = pen.staff(), pen.draw.choice(WAYS), pen.outside_ip()
    end = tries(pen, way, who, pen.start(), 5, (ip, who.device))
    with_password(pen, way, end, who, ip, who.device, good=True)
    pen.innocent("forgotten", "guessed-password", who, "five wrong passwords, then the right one")


def _in_vain(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(13 * 3600)
    tries(pen, "shell", who, at, 14, (pen.outside_ip(), who.device))
    _sshd(pen).accept(at + 1800, who.user, pen.here(who.device).ip)
    pen.innocent("in-vain", "guessed-password", who, "fourteen wrong passwords, and the holder half an hour later")


def _by_key(pen: Pen) -> None:
    who, at = pen.staff("it"), pen.start()
    end = tries(pen, "shell", who, at, 9, (pen.outside_ip(), who.device))
    _sshd(pen).accept(end, who.user, pen.here(who.device).ip, key=True)
    pen.innocent("by-key", "guessed-password", who, "a stranger's tries, and the holder's own login with a key")


def _far_away(pen: Pen) -> None:
    who, at = pen.anybody(), pen.start(12 * 3600)
    pen.cloud(at, who, HOME, pen.outside_ip())
    pen.cloud(at + pen.draw.between(1800, 9000), who, pen.draw.choice(_FAR), pen.outside_ip())
    pen.expect("impossible-travel", who, at, "at home, and on another continent hours later")


def _exit_elsewhere(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(12 * 3600)
    pen.cloud(at, who, HOME, pen.outside_ip())
    pen.cloud(at + 1800, who, pen.draw.choice(_FAR), pen.outside_ip(), proxy=True)
    pen.innocent("vpn-exit", "impossible-travel", who, "a private VPN whose exit is abroad")


def _next_town(pen: Pen) -> None:
    who, at = pen.staff(), pen.start(12 * 3600)
    pen.cloud(at, who, HOME, pen.outside_ip())
    pen.cloud(at + 300, who, (HOME[0] + 0.8, HOME[1]), pen.outside_ip())
    pen.innocent("next-town", "impossible-travel", who, "a phone whose network is in the next town")


def _flight(pen: Pen) -> None:
    who = pen.staff()
    pen.cloud(7 * 3600, who, HOME, pen.outside_ip())
    pen.cloud(13 * 3600, who, (40.7, -74.0), pen.outside_ip())
    pen.innocent("flight", "impossible-travel", who, "a flight of six hours")


DEEDS = (
    _stranger_device,
    _router,
    _printer,
    _own_switch,
    _second_server,
    _lent,
    _two_places,
    _guessed,
    _guessed_everywhere,
    _far_away,
)
LOOKALIKES = (
    _randomised,
    _guest,
    _dock,
    _imaging,
    _own_second_server,
    _class_on_a_port,
    _adapter,
    _cart,
    _technician,
    _substitutes,
    _travelling_teacher,
    _phone_too,
    _by_vpn,
    _forgotten,
    _old_password,
    _meanwhile,
    _in_vain,
    _by_key,
    _exit_elsewhere,
    _next_town,
    _flight,
)
