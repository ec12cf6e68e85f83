"""Shared devices and accounts (clause 13), and what only looks like them."""

from __future__ import annotations

from infra.simulate.scene import SHARED, SITES_RULE, Scene
from infra.simulate.world import SITES, Person, Site

HALF_HOUR = 1800
TEN_MINUTES = 600


def shared_device(scene: Scene, number: int) -> None:
    """Three people on one laptop within half an hour: by 802.1X, by ssh from its address, by both."""
    site, at = scene.site(), scene.start()
    people = [scene.world.hire(site, student=i > 0) for i in range(3 + number % 2)]
    device, point = people[0].device, scene.point(site)
    times = [at + i * 400 for i in range(len(people) - 1)]
    times.append(at + (HALF_HOUR - 1 if number % 3 == 0 else scene.draw.between(1300, 1700)))
    scene.online(device, at)
    for i, (second, person) in enumerate(zip(times, people, strict=True)):
        if number % 3 == 0 or (number % 3 == 2 and i % 2 == 0):
            scene.radius.accept(second, person.user, device, point)
        else:
            scene.sshd.accept(second, person.user, device.ip)
    road = ("802.1X", "ssh from its address", "802.1X and ssh from its address")[number % 3]
    scene.expect(SHARED, device.mac, at, f"{len(people)} people on one laptop within half an hour, by {road}")


def two_sites(scene: Scene, number: int) -> None:
    """One account at two sites within ten minutes: by 802.1X, by ssh, by both."""
    here, there = _two(scene)
    person, other, at = scene.world.hire(here), scene.world.hire(there), scene.start()
    then = at + (TEN_MINUTES - 1 if number % 3 == 0 else scene.draw.between(60, 570))
    scene.online(person.device, at)
    scene.online(other.device, at)
    if number % 3 == 1:
        scene.sshd.accept(at, person.user, person.device.ip)
    else:
        scene.radius.accept(at, person.user, person.device, scene.point(here))
    if number % 3 == 0:
        scene.radius.accept(then, person.user, other.device, scene.point(there))
    else:
        scene.sshd.accept(then, person.user, other.device.ip)
    scene.expect(SITES_RULE, person.user, at, f"at {here.name} and {there.name} within {then - at} seconds")


def _two(scene: Scene) -> tuple[Site, Site]:
    first, second = scene.draw.sample(len(SITES), 2)
    return SITES[first], SITES[second]


def _shared_on_purpose(scene: Scene, kind: str) -> None:
    site, at = scene.site(), scene.start()
    device = scene.world.add_device(site, "shared", "", 7 * 3600)
    scene.online(device, at)
    for i in range(6):
        person = scene.world.hire(site, student=True)
        if kind == "lab" and i % 2:
            scene.sshd.accept(at + 280 * i, person.user, device.ip)
        else:
            scene.radius.accept(at + 280 * i, person.user, device, scene.point(site))
    scene.innocent(f"shared-{kind}", SHARED, device.mac, f"six people within half an hour on a {kind} of kind `shared`")


def _cart(scene: Scene) -> None:
    _shared_on_purpose(scene, "cart")


def _lab(scene: Scene) -> None:
    _shared_on_purpose(scene, "lab")


def _kiosk(scene: Scene) -> None:
    _shared_on_purpose(scene, "kiosk")


def _third_too_late(scene: Scene) -> None:
    """Exactly half an hour after the first: the window (t - 30 min, t] leaves the first out."""
    site, at = scene.site(), scene.start()
    people = [scene.world.hire(site) for _ in range(3)]
    device, point = people[0].device, scene.point(site)
    for person, gap in zip(people, (0, 900, HALF_HOUR), strict=True):
        scene.radius.accept(at + gap, person.user, device, point)
    scene.innocent("third-too-late", SHARED, device.mac, "three people, but never three within half an hour")


def _lease_churn(scene: Scene) -> None:
    """One address, three devices one after the other."""
    site, at = scene.site(), scene.start()
    people = [scene.world.hire(site) for _ in range(3)]
    ip = ""
    for i, person in enumerate(people):
        visitor = scene.world.add_visitor(site, "laptop", person.user, at + 480 * i, listed=True)
        ip = ip or visitor.ip
        device = scene.world.move(visitor, ip)
        scene.dhcpd.lease(device, at + 480 * i)
        scene.sshd.accept(at + 480 * i + 120, person.user, ip)
        scene.dhcpd.release(device, at + 480 * i + 360)
    why = "three people from one address within 20 minutes, each on a laptop of their own that held it in turn"
    scene.innocent("lease-churn", SHARED, ip, why)


def _nat(scene: Scene) -> None:
    at = scene.start()
    ip = scene.outside_ip()
    for i in range(4):
        scene.sshd.accept(at + 240 * i, scene.world.account(), ip)
    scene.innocent("behind-nat", SHARED, ip, "four people from one public address: no device is known")


def _phone_and_laptop(scene: Scene) -> None:
    person, at = scene.world.hire(scene.site()), scene.start()
    phone = scene.world.add_device(person.site, "phone", person.user, person.device.arrives + 30)
    for gap, device in ((0, person.device), (20, phone), (290, person.device), (300, phone)):
        scene.radius.accept(at + gap, person.user, device, scene.point(person.site))
    scene.innocent("phone-and-laptop", SITES_RULE, person.user, "two devices and four access points, but one site")


def _two_sites_slowly(scene: Scene) -> None:
    """Ten minutes to the second, which is outside (t - 10 min, t], and a quarter of an hour."""
    for gap in (TEN_MINUTES, 900):
        here, there = _two(scene)
        person, at = scene.world.hire(here), scene.start()
        scene.radius.accept(at, person.user, person.device, scene.point(here))
        scene.radius.accept(at + gap, person.user, person.device, scene.point(there))
        scene.innocent("two-sites-slowly", SITES_RULE, person.user, f"two sites, {gap // 60} minutes apart")


def _site_and_home(scene: Scene) -> None:
    person: Person = scene.world.hire(scene.site())
    at = scene.start()
    scene.radius.accept(at, person.user, person.device, scene.point(person.site))
    scene.sshd.accept(at + 120, person.user, scene.outside_ip())
    why = "at a site and from an address that is at none (a relay, a phone's own network)"
    scene.innocent("site-and-elsewhere", SITES_RULE, person.user, why)


LOOKALIKES = (
    _cart,
    _third_too_late,
    _two_sites_slowly,
    _lab,
    _lease_churn,
    _site_and_home,
    _kiosk,
    _nat,
    _phone_and_laptop,
)
