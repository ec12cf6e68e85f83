"""Lines of OpenSSH with PAM in an auth log, and of FreeRADIUS in radius.log.

sshd is worded as OpenSSH's auth.c and packet.c log, PAM as pam_unix, radiusd as FreeRADIUS 3 with `auth = yes`
(rlm_auth's `Login OK`, `Login incorrect`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from infra.simulate.day import CLOSES, Day
from infra.simulate.draw import Draw
from infra.simulate.lines import LogFile, some_delay
from infra.simulate.names import STUDENT_DOMAIN
from infra.simulate.world import SITES, Device, Person

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


@dataclass
class Sshd:
    """Writer of one shell server's auth log."""

    day: Day
    draw: Draw
    log: LogFile
    _pids: Iterator[int] = field(default_factory=lambda: count(3001))

    def _put(self, second: int, delay: int, program: str, message: str) -> None:
        self.log.add(second + delay, f"{self.day.syslog(second)} shell1 {program}: {message}")

    def accept(self, at: int, user: str, ip: str, *, key: bool = False) -> None:
        """A login and, minutes later, its end."""
        draw, delay, program = self.draw, some_delay(self.draw), f"sshd[{next(self._pids)}]"
        place = f"{ip} port {draw.between(32768, 60999)}"
        proof = f": ED25519 SHA256:{draw.digits(43, _BASE64)}" if key else ""
        method = "publickey" if key else "password"
        self._put(at, delay, program, f"Accepted {method} for {user} from {place} ssh2{proof}")
        opened = f"session opened for user {user}(uid={2000 + sum(user.encode())}) by (uid=0)"
        self._put(at, delay, program, f"pam_unix(sshd:session): {opened}")
        end = min(at + draw.between(120, 2400), CLOSES)
        self._put(end, delay, program, f"Received disconnect from {place}:11: disconnected by user")
        self._put(end, delay, program, f"Disconnected from user {user} {place}")
        self._put(end, delay, program, f"pam_unix(sshd:session): session closed for user {user}")

    def fail(self, at: int, user: str, ip: str, *, repeated: int = 0) -> None:
        """A wrong password: PAM's line and sshd's. With `repeated`, so many more in syslogd's short form."""
        delay, program = some_delay(self.draw), f"sshd[{next(self._pids)}]"
        place = f"{ip} port {self.draw.between(32768, 60999)}"
        failed = f"Failed password for {user} from {place} ssh2"
        words = f"authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={ip}  user={user}"
        self._put(at, delay, program, f"pam_unix(sshd:auth): {words}")
        self._put(at, delay, program, failed)
        if repeated:
            self._put(at, delay, program, f"message repeated {repeated} times: [ {failed}]")
        self._put(at, delay, program, f"Connection closed by authenticating user {user} {place} [preauth]")

    def stranger(self, at: int, user: str, ip: str) -> None:
        """A try with an account that does not exist."""
        delay, program = some_delay(self.draw), f"sshd[{next(self._pids)}]"
        place = f"{ip} port {self.draw.between(32768, 60999)}"
        self._put(at, delay, program, f"Invalid user {user} from {place}")
        self._put(at, delay, program, f"Failed password for invalid user {user} from {place} ssh2")
        self._put(at, delay, program, f"Connection closed by invalid user {user} {place} [preauth]")

    def cron(self, at: int) -> None:
        """A job of root's: its session is no login by anybody."""
        program = f"CRON[{next(self._pids)}]"
        self._put(at, 0, program, "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)")
        self._put(at, 0, program, "pam_unix(cron:session): session closed for user root")

    def sudo(self, at: int, user: str) -> None:
        """A command as root by somebody who may."""
        delay = some_delay(self.draw)
        self._put(at, delay, "sudo", f"{user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/apt update")
        self._put(at, delay, "sudo", f"pam_unix(sudo:session): session opened for user root(uid=0) by {user}(uid=1001)")
        self._put(at, delay, "sudo", "pam_unix(sudo:session): session closed for user root")


@dataclass
class Radius:
    """Writer of one RADIUS server's log: 802.1X logins with the device's address and the access point's name."""

    day: Day
    draw: Draw
    log: LogFile
    _requests: Iterator[int] = field(default_factory=lambda: count(101))

    def _put(self, second: int, message: str) -> None:
        self.log.add(second + some_delay(self.draw), f"{self.day.radius(second)} : {message}")

    def accept(self, at: int, user: str, device: Device, access_point: str) -> None:
        """A login of an account on a device."""
        self._put(at, f"Auth: ({next(self._requests)}) Login OK: {self._who(user, device, access_point)}")

    def fail(self, at: int, user: str, device: Device, access_point: str) -> None:
        """A wrong password."""
        reason = "mschap: MS-CHAP2-Response is incorrect"
        who = self._who(user, device, access_point)
        self._put(at, f"Auth: ({next(self._requests)}) Login incorrect ({reason}): {who}")

    def info(self, at: int) -> None:
        """What the server says of itself."""
        self._put(
            at,
            f"Info: rlm_ldap (ldap): Closing connection ({self.draw.below(40)}): Hit idle_timeout",
        )

    def _who(self, user: str, device: Device, access_point: str) -> str:
        card = device.mac.upper().replace(":", "-")
        port = self.draw.below(64)
        return f"[{user}/<via Auth-Type = eap>] (from client {access_point} port {port} cli {card})"


def ssh_background(sshd: Sshd, people: list[Person], budget: int) -> None:
    """Administrators' logins, strangers' tries and cron jobs, up to about `budget` lines.

    Accounts take turns, each from its own device or from outside; at most two failures come before a login.
    """
    draw, day = sshd.draw, sshd.day
    for quarter in range(7 * 3600, CLOSES, 900):
        sshd.cron(quarter + 1)
    acts = max(budget - len(sshd.log), 0) // 4
    strangers = ("admin", "oracle", "test", "ubuntu", "guest", "postgres", "deploy")
    turn = 0
    for at_ms in day.spread(draw, 0, acts, acts, opens=8 * 3600 + 900).tolist():
        at, kind = at_ms // 1000, draw.below(100)
        if len(sshd.log) >= budget:
            return
        if kind < 30:
            sshd.stranger(at, draw.choice(strangers), f"203.0.113.{draw.between(100, 199)}")
            continue
        person = people[turn % len(people)]
        turn += 1
        if kind < 40:
            sshd.sudo(at, person.user)
            continue
        ip = person.device.ip if draw.chance(75) else f"203.0.113.{draw.between(2, 90)}"
        if draw.chance(8):
            sshd.fail(at - 9, person.user, ip)
        sshd.accept(at, person.user, ip, key=draw.chance(40))


def radius_background(radius: Radius, people: list[Person], shared: list[Device], budget: int) -> None:
    """Wireless logins of people on their own devices, and of students on carts, up to about `budget` lines.

    People take turns; at most two failures come before a login. A cart's users are students of its own site.
    """
    draw, day = radius.draw, radius.day
    near = {site: [p for p in people if p.site is site and STUDENT_DOMAIN in p.address] for site in SITES}
    acts = max(budget - len(radius.log), 0)
    turns = draw.sample(len(people), len(people))
    for i, at_ms in enumerate(day.spread(draw, 0, acts, acts, opens=6 * 3600 + 2400).tolist()):
        at, kind = at_ms // 1000, draw.below(100)
        if len(radius.log) >= budget:
            return
        if kind < 8:
            radius.info(at)
        elif kind < 28:
            cart = draw.choice(shared)
            person = draw.choice(near[cart.site])
            radius.accept(at, person.user, cart, cart.site.access_point(draw.below(24)))
        else:
            person = people[turns[i % len(turns)]]
            point = person.site.access_point(draw.below(24))
            for before in range(2 if draw.chance(1) else int(draw.chance(3))):
                radius.fail(at - 12 + 5 * before, person.user, person.device, point)
            radius.accept(at, person.user, person.device, point)
