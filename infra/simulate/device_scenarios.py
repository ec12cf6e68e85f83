"""Devices new to the network (clause 8), and what only looks new."""

from __future__ import annotations

from infra.simulate.scene import DEVICE, Scene

_HOUR = 3600


def violations(scene: Scene, number: int) -> None:
    """Violation number `number`, from 0."""
    host, what = (
        ("wireless-router", "a wireless router of one's own"),
        ("DESKTOP-4Q7TR2", "a computer that is in no inventory"),
        ("LaserPrinter", "a printer that is in no inventory"),
    )[number % 3]
    at = scene.start()
    device = scene.world.add_visitor(scene.site(), "laptop", "", at, listed=False, host=host)
    scene.dhcpd.lease(device, at)
    scene.dhcpd.renew(device, at + _HOUR)
    scene.expect(DEVICE, device.mac, at, what)


def randomised(scene: Scene) -> None:
    """A private phone that makes up an address."""
    at = scene.start()
    device = scene.world.add_random(scene.site(), scene.draw.choice(("iPhone", "Galaxy-A54", "Pixel-8")), at)
    scene.dhcpd.lease(device, at)
    scene.dhcpd.renew(device, at + _HOUR)
    scene.expect(DEVICE, device.mac, at, "a randomised hardware address", status="informational")


def permitted(scene: Scene) -> None:
    """A device on the bench, with a permit for its address."""
    at = scene.start()
    device = scene.world.add_visitor(scene.site(), "laptop", "", at, listed=False, host="imaging-bench")
    scene.dhcpd.lease(device, at)
    scene.permit(device.mac, 8, at - _HOUR, at + 2 * _HOUR, "imaging new laptops")
    scene.expect(DEVICE, device.mac, at, "a new device with a permit for its address", status="permitted")


def _registered(scene: Scene) -> None:
    at = scene.start()
    device = scene.world.add_visitor(scene.site(), "laptop", "", at, listed=True, host="DESKTOP-9K2LM1")
    scene.dhcpd.lease(device, at)
    why = "first seen in the middle of the day, but it is in the inventory (written with dashes and capitals)"
    scene.innocent("registered-midday", DEVICE, device.mac, why)


def _restarted(scene: Scene) -> None:
    at = scene.start()
    device = scene.world.add_visitor(scene.site(), "printer", "", at, listed=True)
    for again in range(3):
        scene.dhcpd.lease(device, at + 600 * again)
    why = "asks for an address again and again, but it is in the inventory"
    scene.innocent("restarted-printer", DEVICE, device.mac, why)


LOOKALIKES = (_registered, _restarted)
