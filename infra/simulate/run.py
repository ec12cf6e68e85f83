"""A district's day from a seed: logs, context files and the truth about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.simulate import (
    broken,
    context,
    device_scenarios,
    dhcpd,
    login_scenarios,
    logins,
    mail_scenarios,
    password_scenarios,
    postfix_background,
)
from infra.simulate.day import Day
from infra.simulate.dhcpd import Dhcpd
from infra.simulate.draw import Draw
from infra.simulate.folder import Folder
from infra.simulate.lines import LogFile
from infra.simulate.logins import Radius, Sshd
from infra.simulate.postfix import Postfix
from infra.simulate.scene import Scene
from infra.simulate.squid import Clients, Squid
from infra.simulate.squid_pools import make_pools
from infra.simulate.truth import FILE, Broken, Truth
from infra.simulate.world import SITES, World
from schemas.errors import ConfigError

FEWEST, MOST = 2_000, 20_000_000
_SHORT = 10_000  # lines below which a day has not every kind of look-alike
# Shares of all lines, in per cent; access.log takes the rest. Short days have relatively more of everything but
# proxy traffic, since every kind of scenario happens at least once.
_SHARES = {context.BRANCH: 3, context.DHCP: 4, context.MAIL: 4, context.AUTH: 2, context.RADIUS: 2}


def simulate(seed: int, lines: int, folder: Path, *, progress: Callable[[int], None] | None = None) -> Truth:
    """Write a school day of a made-up district as raw logs.

    The same seed and number of lines give the same bytes, on any machine. The folder is made where it is missing. Logs
    other than the proxies' are built in memory: an eighth of the lines at some 350 bytes each, 0.5 GB at 10 million.

    Args:
        seed: Any whole number.
        lines: Lines of all logs together, 2,000 to 20,000,000; there are exactly so many.
        folder: Where to. Files of an earlier simulation are replaced, all at once at the end.
        progress: Told how many lines have been written so far.

    Returns:
        What is in the logs; also written to `truth.json`.

    Raises:
        ConfigError: `lines` is out of range.
        InputError: the folder holds files of such names that no simulation made, or cannot be written.
    """
    if not FEWEST <= lines <= MOST:
        what = f"{lines:,} lines cannot be simulated"
        raise ConfigError(what, where="--lines", hint=f"give {FEWEST:,} to {MOST:,}")
    scene, logs = _people_and_logs(seed, lines)
    _scenarios(scene, seed, lines)
    _ordinary_day(scene, lines)
    broken.add(scene, logs)
    with Folder.prepare(folder, (*context.LOGS, context.CONFIG, context.INVENTORY, context.PERMITS, FILE)) as target:
        counts, dead = _write_logs(scene, logs, seed, lines, _Progress(target, progress))
        expected = tuple(sorted(scene.expected, key=lambda e: (e.first_seen, e.rule_id, *e.group_key.values())))
        truth = Truth(seed, counts, tuple(dead), expected, tuple(scene.lookalikes))
        target.text(context.CONFIG, context.config(scene.day))
        target.text(context.INVENTORY, context.inventory([*scene.world.devices, *scene.world.others]))
        target.text(context.PERMITS, context.permits(scene.permits))
        target.text(FILE, truth.to_json())
    return truth


def scale(lines: int) -> int:
    """Violations of each rule in a day of so many lines: 1 below 10,000, 2 from there, 4 from 200,000, 7 at most."""
    steps = (_SHORT, 80_000, 200_000, 600_000, 2_000_000, 6_000_000)
    return 1 + sum(lines >= step for step in steps)


def _people_and_logs(seed: int, lines: int) -> tuple[Scene, dict[str, LogFile]]:
    day = Day.of_seed(seed)
    logs = {name: LogFile(name) for name in (context.DHCP, context.MAIL, context.AUTH, context.RADIUS)}
    scene = Scene(
        day,
        Draw(seed, "scenarios"),
        World.of_size(Draw(seed, "world"), lines),
        Postfix(day, Draw(seed, "mail"), logs[context.MAIL]),
        Sshd(day, Draw(seed, "ssh"), logs[context.AUTH]),
        Radius(day, Draw(seed, "radius"), logs[context.RADIUS]),
        Dhcpd(day, Draw(seed, "dhcp"), logs[context.DHCP]),
    )
    return scene, logs


def _scenarios(scene: Scene, seed: int, lines: int) -> None:
    many = scale(lines)
    for i in range(seed, seed + many):
        mail_scenarios.violations(scene, i)
        device_scenarios.violations(scene, i)
        login_scenarios.shared_device(scene, i)
        login_scenarios.two_sites(scene, i)
        password_scenarios.violations(scene, i)
        device_scenarios.randomised(scene)
    mail_scenarios.permitted(scene)
    device_scenarios.permitted(scene)
    for _ in range((many + 1) // 2):
        for module in (mail_scenarios, device_scenarios, login_scenarios, password_scenarios):
            _lookalikes(scene, module.LOOKALIKES, seed, lines)


def _lookalikes(scene: Scene, forms: Sequence[Callable[[Scene], None]], seed: int, lines: int) -> None:
    """One of every form; of a short day some, so that there is room for ordinary traffic, by turns of the seed."""
    count = len(forms) if lines >= _SHORT else -(-len(forms) // 3)
    for i in range(count):
        forms[(seed * count + i) % len(forms)](scene)


def _ordinary_day(scene: Scene, lines: int) -> None:
    world = scene.world
    budget = {name: lines * share // 100 for name, share in _SHARES.items()}
    administrators = world.staff[:: max(len(world.staff) // 450, 1)]
    carts = [d for d in world.devices[: world.background] if d.kind == "shared"]
    postfix_background.background(scene.postfix, world, budget[context.MAIL])
    logins.ssh_background(scene.sshd, administrators, budget[context.AUTH])
    logins.radius_background(scene.radius, [*world.staff, *world.students], carts, budget[context.RADIUS])
    dhcpd.background(scene.dhcpd, world.devices, budget[context.DHCP])


@dataclass
class _Progress:
    """Counts lines, tells, and knows where files go."""

    folder: Folder
    told: Callable[[int], None] | None
    done: int = 0

    def add(self, lines: int) -> None:
        self.done += lines
        if self.told is not None:
            self.told(self.done)


def _write_logs(
    scene: Scene, logs: dict[str, LogFile], seed: int, lines: int, progress: _Progress
) -> tuple[dict[str, int], list[Broken]]:
    """Write every log; the main proxy's takes all lines that are left."""
    counts: dict[str, int] = {}
    dead: list[Broken] = []
    for name, log in logs.items():
        counts[name] = len(log)
        dead += log.write(progress.folder.path(name))
        progress.add(len(log))
    counts[context.BRANCH] = lines * _SHARES[context.BRANCH] // 100
    counts[context.ACCESS] = lines - sum(counts.values())
    pools = make_pools(Draw(seed, "pages"))
    devices = [d for d in scene.world.devices[: scene.world.background] if d.kind != "printer"]
    for name in (context.BRANCH, context.ACCESS):
        branch = name == context.BRANCH
        there = [d for d in devices if (d.site is SITES[1]) == branch]
        squid = Squid(name, scene.day, Draw(seed, name), pools, Clients.of(there), combined=branch)
        reason = broken.PROXY_REASON
        dead += squid.write(progress.folder.path(name), counts[name], broken.OF_EACH, reason, progress.add)
    return {name: counts[name] for name in context.LOGS}, dead
