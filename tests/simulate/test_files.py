"""The files of a simulated day: the same for the same seed, in order, complete, and safe for what was there before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from agents.context.district import District
from agents.context.inventory import Inventory
from agents.context.permits import Permits
from infra.config import load
from infra.simulate import Truth, simulate
from infra.simulate.day import CLOSES, OPENS
from infra.simulate.day import Day as SchoolDay
from infra.simulate.draw import Draw
from schemas.errors import ConfigError, InputError
from tests.simulate.oracle import Logs

Day = Callable[[int, int], tuple[Truth, Logs]]
NAMES = {
    *("access.log", "proxy-branch.log", "dhcpd.log", "mail.log", "auth.log", "radius.log"),
    *("aupstream.toml", "inventory.csv", "permits.csv", "truth.json"),
}
MOST_DISORDER = 30  # seconds, the lateness of every source

NATIVE = re.compile(
    r"(\d{10})\.(\d{3}) +\d+ (10\.\d+\.\d+\.\d+) [A-Z_]+/\d{3} \d+ (?:GET http://|CONNECT )\S+ \S+ HIER_[A-Z]+/\S+ \S+"
)
COMBINED = re.compile(
    r"(10\.\d+\.\d+\.\d+) - \S+ \[([^]]+)\] \"(?:GET|CONNECT) \S+ HTTP/1\.1\" \d{3} \d+"
    r" \"[^\"]+\" \"[^\"]+\" [A-Z_]+:HIER_[A-Z]+"
)


def _digests(folder: Path) -> dict[str, str]:
    return {p.name: blake2b(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    simulate(11, 20_000, tmp_path / "here")
    code = "import sys, pathlib, infra.simulate as s; s.simulate(11, 20_000, pathlib.Path(sys.argv[1]))"
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C", "POLARS_MAX_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there")], env=environment, check=True, cwd=Path.cwd())
    assert _digests(tmp_path / "here") == _digests(tmp_path / "there")
    assert set(_digests(tmp_path / "here")) == NAMES


def test_another_seed_gives_other_logs_of_the_same_kinds(simulated: Day) -> None:
    one, other = (_digests(simulated(seed, 2_000)[1].folder) for seed in (1, 2))
    assert set(one) == set(other) == NAMES
    same = {name for name in NAMES if one[name] == other[name]}
    assert same == {"aupstream.toml"}  # the district itself, and the year


def test_seeds_give_weekdays_in_winter_and_in_summer_time() -> None:
    days = [SchoolDay.of_seed(seed) for seed in range(60)]
    assert all(day.date.weekday() < 5 for day in days)
    offsets = {day.local(43_200)[-6:] for day in days}
    assert offsets == {"-07:00", "-06:00"}


@pytest.mark.parametrize(("seed", "lines"), [(0, 2_000), (4, 9_999), (5, 20_000), (3, 250_000)])
def test_there_are_exactly_as_many_lines_as_asked_for(simulated: Day, seed: int, lines: int) -> None:
    truth, logs = simulated(seed, lines)
    counted = {name: (logs.folder / name).read_bytes().count(b"\n") for name in truth.lines}
    assert counted == dict(truth.lines)
    assert sum(counted.values()) == lines
    assert min(counted.values()) > 0


def test_most_lines_are_the_main_proxys(simulated: Day) -> None:
    truth, _ = simulated(3, 250_000)
    assert 0.8 <= truth.lines["access.log"] / 250_000 <= 0.9


def test_progress_goes_up_to_the_number_of_lines(tmp_path: Path) -> None:
    told: list[int] = []
    simulate(1, 3_000, tmp_path, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 3_000


def _times(logs: Logs, name: str) -> list[float]:
    """Times of a log's lines that can be read, seconds since 1970 UTC, in file order."""
    year = str(logs.files["postfix"]["year"])
    times = []
    for line in (logs.folder / name).read_text().splitlines():
        if native := NATIVE.fullmatch(line):
            times.append(int(native[1]) + int(native[2]) / 1000)
        elif combined := COMBINED.fullmatch(line.replace('"search', "").replace('?q="', "?q=").replace('"&', "&")):
            times.append(datetime.strptime(combined[2], "%d/%b/%Y:%H:%M:%S %z").timestamp())
        elif syslog := re.match(r"(?:[A-Z][a-z]{2} )?([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)", line):
            at = logs.local(f"{syslog[1]} {year}")
            times += [] if at is None else [float(at)]
    return times


@pytest.mark.parametrize("name", sorted(n for n in NAMES if n.endswith(".log")))
def test_lines_are_in_order_but_for_a_few_seconds(simulated: Day, name: str) -> None:
    truth, logs = simulated(3, 250_000)
    times = _times(logs, name)
    assert len(times) == truth.lines[name] - 2  # all but the broken ones
    newest, disorder = 0.0, 0.0
    for at in times:
        disorder = max(disorder, newest - at)
        newest = max(newest, at)
    assert 1 <= disorder < MOST_DISORDER / 3
    assert len({datetime.fromtimestamp(t, logs.zone).date() for t in times}) == 1


def test_messages_of_the_mail_log_interleave(simulated: Day) -> None:
    _, logs = simulated(3, 250_000)
    ids = [m[1] for _, line in logs.lines("postfix") if (m := re.search(r"\]: ([0-9A-F]{11}): ", line))]
    ended: set[str] = set()
    interrupted = set()
    for before, now in pairwise(ids):
        if before != now:
            ended.add(before)
            interrupted |= {now} & ended
    assert len(interrupted) > 100


def test_times_over_the_day_are_in_order_within_it_and_denser_at_noon_than_at_dawn() -> None:
    times = SchoolDay.of_seed(1).spread(Draw(1, "test"), 0, 10_000, 10_000)
    assert (np.diff(times) >= 0).all()
    assert OPENS * 1000 <= times[0] <= times[-1] < CLOSES * 1000
    dawn, noon = (int(((times >= h * 3_600_000) & (times < (h + 1) * 3_600_000)).sum()) for h in (6, 12))
    assert 0 < dawn < noon / 4


def test_times_of_the_last_of_20_million_lines_are_still_exact() -> None:
    times = SchoolDay.of_seed(1).spread(Draw(1, "test"), 19_999_000, 20_000_000, 20_000_000)
    assert (np.diff(times) >= 0).all()
    assert CLOSES * 1000 - 20_000 < times[0] <= times[-1] < CLOSES * 1000


@pytest.mark.parametrize(("seed", "lines"), [(0, 2_000), (5, 20_000)])
def test_the_broken_lines_and_no_others_cannot_be_read(simulated: Day, seed: int, lines: int) -> None:
    truth, logs = simulated(seed, lines)
    broken = {name: sorted(b.line for b in truth.dead_letters if b.file == name) for name in truth.lines}
    unread = {name: sorted(numbers) for name, numbers in logs.unread.items()}
    for name, form in (("access.log", NATIVE), ("proxy-branch.log", COMBINED)):
        text = (logs.folder / name).read_text().replace('?q="', "?q=").replace('"&', "&")
        unread[name] = [n for n, line in enumerate(text.splitlines(), start=1) if not form.fullmatch(line)]
    assert unread == broken
    assert all(len(numbers) == 2 for numbers in broken.values())


def test_the_proxies_have_urls_with_quotes(simulated: Day) -> None:
    _, logs = simulated(3, 250_000)
    for name in ("access.log", "proxy-branch.log"):
        assert '/search?q="' in (logs.folder / name).read_text()


def test_every_address_in_the_logs_is_leased_in_its_sites_network(simulated: Day) -> None:
    _, logs = simulated(5, 20_000)
    networks = {s["name"]: ip_network(s["networks"][0]) for s in logs.config["district"]["sites"]}
    sites = {r["mac"].lower().replace("-", ":"): r["site"] for r in logs._csv("inventory")}
    acks = [x for x in logs.leases if x.kind == "ack"]
    assert all(ip_address(x.ip) in networks[sites[x.mac]] for x in acks if x.mac in sites)
    first = {x.ip: x.at for x in sorted(acks, key=lambda x: x.at, reverse=True)}
    for line in (logs.folder / "access.log").read_text().splitlines():
        if request := NATIVE.fullmatch(line):
            assert first[request[3]] <= int(request[1]) + 4, line


def test_no_two_devices_have_an_address_at_the_same_time(simulated: Day) -> None:
    _, logs = simulated(5, 20_000)
    for ip, leases in logs.leases_of.items():
        holder = ""
        for lease in leases:
            assert lease.mac == holder or not holder, ip
            holder = lease.mac if lease.kind == "ack" else ""


def test_the_configuration_names_every_log(simulated: Day) -> None:
    truth, logs = simulated(5, 20_000)
    config = tomllib.loads((logs.folder / "aupstream.toml").read_text())
    assert {s["path"] for s in config["sources"]} == set(truth.lines)
    types = ["squid", "squid", "isc_dhcpd", "postfix", "openssh", "freeradius"]
    assert [s["type"] for s in config["sources"]] == types
    assert all(s["timezone"] == "America/Denver" and s["mode"] == "once" for s in config["sources"])


def test_the_truth_can_be_read_back(simulated: Day) -> None:
    truth, logs = simulated(5, 20_000)
    assert Truth.read(logs.folder) == truth


def test_a_folder_without_truth_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"truth\.json.*aupstream simulate"):
        Truth.read(tmp_path)


@pytest.mark.parametrize("lines", [-1, 0, 1_999, 20_000_001])
def test_a_number_of_lines_out_of_range_is_refused(tmp_path: Path, lines: int) -> None:
    with pytest.raises(ConfigError, match="2,000 to 20,000,000"):
        simulate(1, lines, tmp_path)
    assert not list(tmp_path.iterdir())


def test_logs_that_no_simulation_made_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("a district's own\n")
    with pytest.raises(InputError, match=r"access\.log.*empty folder"):
        simulate(1, 2_000, tmp_path)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"access.log": "a district's own\n"}


def test_an_earlier_simulation_is_replaced(tmp_path: Path) -> None:
    simulate(1, 2_000, tmp_path)
    truth = simulate(2, 2_000, tmp_path)
    assert Truth.read(tmp_path) == truth
    assert {p.name for p in tmp_path.iterdir()} == NAMES


def test_a_simulation_that_was_stopped_leaves_the_earlier_one_as_it_was(tmp_path: Path) -> None:
    simulate(1, 2_000, tmp_path)
    before = _digests(tmp_path)

    def stop(lines: int) -> None:
        if lines > 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(2, 2_000, tmp_path, progress=stop)
    assert _digests(tmp_path) == before


def test_a_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"cannot be written.*choose another folder"):
        simulate(1, 2_000, tmp_path / "taken")


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys, pathlib, infra.simulate as s;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000));"
        "s.simulate(1, 20_000, pathlib.Path(sys.argv[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(r"InputError: .*the simulation cannot be written: .*make room", done.stderr), done.stderr
    assert not list(tmp_path.iterdir())


def test_the_products_own_readers_take_the_context_files(simulated: Day) -> None:
    _, logs = simulated(5, 20_000)
    config = load(logs.folder / "aupstream.toml")
    sources = config.collectors()
    assert [Path(s.path).name for s in sources] == [s["path"] for s in logs.config["sources"]]
    assert config.district.inventory is not None
    assert config.district.permits is not None
    zone = ZoneInfo(config.district.timezone)
    assert dict(Inventory.read(config.district.inventory).devices).keys() == logs.kinds.keys()
    permits = Permits.read(config.district.permits, District(timezone=zone, domains=config.district.domains))
    assert len(permits.permits) == len(logs.permits) >= 2
