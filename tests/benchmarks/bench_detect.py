"""How many events a second detect handles on one core: `python -m tests.benchmarks.bench_detect`.

A district's mix in batches of 5,000 rows of one kind each, the policy rules, attribution included.
"""

from __future__ import annotations

import os

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import argparse
import json
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from agents.context.district import District, Site
from agents.context.inventory import Device, Inventory
from agents.engine.attribution import NoAttribution
from agents.engine.detect import Detector
from agents.rules.examples import frame_of
from agents.rules.loader import load_rules
from schemas.ids import event_id
from schemas.kinds import EventKind

ROWS = 5_000
SHARES: Mapping[EventKind, int] = {EventKind.PROXY: 85, EventKind.DHCP: 5, EventKind.MAIL: 5, EventKind.LOGIN: 5}
START = datetime(2026, 3, 2, 15, tzinfo=UTC)


class Leases(NoAttribution):
    """Every address belongs to a device that can be computed from it."""

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """A device, and one fact."""
        del t_us
        return f"3c:52:82:00:00:{int(ip.rpartition('.')[2]):02x}", ("f" * 32,)


def district() -> tuple[District, Inventory]:
    """Twenty sites and five thousand devices."""
    sites = [Site(f"site{i}", (f"10.{i}.0.0/16",), (f"s{i}-ap-*",)) for i in range(20)]
    devices = [Device(f"3c:52:82:00:{i >> 8:02x}:{i & 255:02x}", f"user{i}", "laptop") for i in range(5_000)]
    return District.of("Bench", "America/Denver", ["school.example"], sites), Inventory.of(devices)


def batch(kind: EventKind, rng: random.Random) -> pl.DataFrame:
    """5,000 events of a kind."""
    made = [_event(kind, i, rng) | _place(kind, i) for i in range(ROWS)]
    return frame_of(kind, made)


def _place(kind: EventKind, i: int) -> dict[str, Any]:
    return {
        "event_id": event_id(kind.value, "0" * 16, i * 100),
        "timestamp": START + timedelta(milliseconds=20 * i),
        "event_dataset": kind.value,
        "log_source": kind.value,
        "log_generation": "0" * 16,
        "log_offset": i * 100,
        "log_sub": 0,
        "log_hash": f"{i:032x}",
        "late": False,
        "time_suspect": False,
    }


def _event(kind: EventKind, i: int, rng: random.Random) -> dict[str, Any]:
    n, ip = rng.randrange(5_000), f"10.{rng.randrange(20)}.{rng.randrange(256)}.{rng.randrange(256)}"
    mac = f"3c:52:82:00:{n >> 8:02x}:{n & 255:02x}"
    if kind is EventKind.PROXY:
        return {"source_ip": ip, "user_name": f"user{n}", "url_original": f"http://h{n}.example/{i}", "url_domain": "h"}
    if kind is EventKind.DHCP:
        known = rng.random() < 0.98
        return {"event_action": "ack", "source_ip": ip, "source_mac": mac if known else f"e4:f0:42:00:00:{n & 255:02x}"}
    if kind is EventKind.MAIL:
        to = [
            f"p{rng.randrange(9_000)}@{rng.choice(('school.example', 'elsewhere.example'))}" for _ in range(1 + n % 4)
        ]
        sender = f"user{n}@{rng.choice(('school.example', 'shop.example'))}"
        lists = {"email_to_address": to, "email_to_status": ["sent"] * len(to), "email_to_filter": [False] * len(to)}
        return lists | {"email_from_address": sender, "email_message_id": f"{i}@x", "email_complete": True}
    by_radius = rng.random() < 0.5
    outcome = "success" if rng.random() < 0.95 else "failure"
    login = {"event_action": "login", "event_outcome": outcome, "user_name": f"user{n}", "login_method": "password"}
    return login | ({"source_mac": mac, "access_point": f"s{n % 20}-ap-3"} if by_radius else {"source_ip": ip})


def measure(rounds: int) -> dict[str, float]:
    """Events a second of processor time, all threads together: by kind and over the mix."""
    where, inventory = district()
    detector = Detector(load_rules(), where, inventory)
    leases, rng = Leases(), random.Random(7)
    figures: dict[str, float] = {}
    seconds = 0.0
    for kind, share in SHARES.items():
        frame = batch(kind, rng)
        detector.detect(frame, kind, leases)
        started = time.process_time()
        for _ in range(rounds):
            detector.detect(frame, kind, leases)
        took = (time.process_time() - started) / rounds
        figures[f"{kind.value}_events_per_s"] = round(ROWS / took)
        seconds += took * share / 100
    figures["mixed_events_per_s"] = round(ROWS / seconds)
    return figures


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    print(json.dumps(measure(parser.parse_args().rounds), indent=1))


if __name__ == "__main__":
    main()
