"""Guessed passwords (clause 13), and what only looks like guessing."""

from __future__ import annotations

from collections.abc import Sequence

from infra.simulate.scene import GUESSED, Scene
from infra.simulate.world import Person

FIVE_MINUTES = 300


def violations(scene: Scene, number: int) -> None:
    """Violation number `number`, from 0: the forms take turns."""
    forms = (_by_ssh, _by_ssh_repeated, _by_radius, _by_both)
    forms[number % len(forms)](scene)


def _somebody(scene: Scene) -> Person:
    return scene.world.hire(scene.site())


def _fail(scene: Scene, person: Person, ip: str, times: Sequence[int]) -> None:
    for second in times:
        scene.sshd.fail(second, person.user, ip)


def _by_ssh(scene: Scene) -> None:
    """Eight failures, the first of them only just inside the five minutes before the login."""
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    _fail(scene, person, ip, [at + 35 * i for i in range(8)])
    scene.sshd.accept(at + FIVE_MINUTES - 1, person.user, ip)
    scene.expect(GUESSED, person.user, at, "8 failures and then a login by ssh within 299 seconds")


def _by_ssh_repeated(scene: Scene) -> None:
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    scene.sshd.fail(at, person.user, ip, repeated=2)
    scene.sshd.fail(at + 40, person.user, ip, repeated=4)
    scene.sshd.accept(at + 75, person.user, ip)
    scene.expect(GUESSED, person.user, at, "8 failures, 6 of them in syslog's short form, and then a login by ssh")


def _by_radius(scene: Scene) -> None:
    person, at = _somebody(scene), scene.start()
    point = scene.point(person.site)
    device = scene.world.hire(person.site).device
    for i in range(10):
        scene.radius.fail(at + 20 * i, person.user, device, point)
    scene.radius.accept(at + 230, person.user, device, point)
    scene.expect(GUESSED, person.user, at, "10 failures and then a login by 802.1X on somebody else's laptop")


def _by_both(scene: Scene) -> None:
    person, at = _somebody(scene), scene.start()
    point, device = scene.point(person.site), scene.world.hire(person.site).device
    scene.online(device, at)
    for i in range(5):
        scene.radius.fail(at + 12 * i, person.user, device, point)
    _fail(scene, person, device.ip, [at + 70 + 20 * i for i in range(4)])
    scene.sshd.accept(at + 170, person.user, device.ip)
    why = "5 failures by 802.1X and 4 by ssh, and then a login by ssh, all on somebody else's laptop"
    scene.expect(GUESSED, person.user, at, why)


def _seven(scene: Scene) -> None:
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    _fail(scene, person, ip, [at + 20 * i for i in range(7)])
    scene.sshd.accept(at + 150, person.user, ip)
    scene.innocent("seven-failures", GUESSED, person.user, "7 failures (14 lines with PAM's) and then a login")


def _seven_repeated(scene: Scene) -> None:
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    scene.sshd.fail(at, person.user, ip, repeated=6)
    scene.sshd.accept(at + 60, person.user, ip)
    scene.innocent("seven-failures", GUESSED, person.user, "7 failures, 6 of them in syslog's short form, then a login")


def _eight_slowly(scene: Scene) -> None:
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    _fail(scene, person, ip, [at + 50 * i for i in range(8)])
    scene.sshd.accept(at + 360, person.user, ip)
    scene.innocent("eight-failures-slowly", GUESSED, person.user, "8 failures and a login, but over six minutes")


def _eight_at_the_edge(scene: Scene) -> None:
    """Exactly five minutes after the first: the window (t - 5 min, t] leaves the first out."""
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    _fail(scene, person, ip, [at + 40 * i for i in range(8)])
    scene.sshd.accept(at + FIVE_MINUTES, person.user, ip)
    why = "8 failures, but the first of them five minutes before the login, to the second"
    scene.innocent("eight-failures-slowly", GUESSED, person.user, why)


def _never_in(scene: Scene) -> None:
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    _fail(scene, person, ip, [at + 9 * i for i in range(12)])
    scene.innocent("failures-without-login", GUESSED, person.user, "12 failures, but no login followed")


def _login_before(scene: Scene) -> None:
    person, at, ip = _somebody(scene), scene.start(), scene.outside_ip()
    scene.sshd.accept(at, person.user, ip)
    _fail(scene, person, ip, [at + 10 + 15 * i for i in range(9)])
    scene.innocent("login-before-failures", GUESSED, person.user, "9 failures, but the login came before them")


def _spraying(scene: Scene) -> None:
    at, ip = scene.start(), scene.outside_ip()
    for i in range(9):
        scene.sshd.fail(at + 10 * i, scene.world.account(), ip)
    person = _somebody(scene)
    scene.sshd.accept(at + 120, person.user, ip)
    why = "a login from where 9 failures had come from, but each of them for another account"
    scene.innocent("spraying", GUESSED, person.user, why)


def _attack_on_root(scene: Scene) -> None:
    """Between :10 and :14 of a quarter, so that root's cron session at the next one falls into the window."""
    quarter = scene.start() // 900 * 900 + 901
    for i in range(10):
        scene.sshd.fail(quarter - 200 + 15 * i, "root", scene.outside_ip())
    scene.innocent("attack-on-root", GUESSED, "root", "10 failures for root, and then only a cron job's session")


LOOKALIKES = (
    _seven,
    _seven_repeated,
    _eight_slowly,
    _eight_at_the_edge,
    _never_in,
    _login_before,
    _spraying,
    _attack_on_root,
)
