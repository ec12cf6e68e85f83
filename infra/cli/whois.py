"""`aupstream whois`: who had an address at a time, and the log lines that say so. From the logs, without servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from agents.build import district_of, inventory_of
from agents.context.district import District
from agents.context.mac import normalise_mac
from agents.context.networks import parse_address
from agents.engine.enrich_people import SHARED_KINDS
from agents.engine.identity import LEFT, SEVERAL, FactIndex, facts_of
from infra.cli.configuration import Chosen, choose
from infra.cli.output import json_line, line, table, talk
from schemas.errors import ConfigError, InputError
from schemas.kinds import DEAD_LETTERS, EventKind
from streams.road import deliveries

_KINDS = {kind.topic: kind for kind in EventKind}
_FACTS = (EventKind.DHCP, EventKind.LOGIN)
_USED = {"mac_user": "device used by", "ip_user": "address used by"}


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that is known.

    Attributes:
        what: `address of device`, `device used by`, `address used by`, `device given to`, `device is`, `address is`.
        of: The address, device or account.
        value: What it was.
        since: Begin of the time that it holds for, ISO 8601 in UTC; empty for what the inventory says.
        until: Its end; empty where none is known.
        confidence: From 0 to 1.
        source: Log that says so, or `inventory`, `configuration`; empty where several lines do.
        event_id: The event; empty for what no log says.
    """

    what: str
    of: str
    value: str
    since: str
    until: str
    confidence: float
    source: str
    event_id: str


def run(asked: str, at: str, config: Path | None, *, as_json: bool) -> None:
    """Print everything that is known of an address, a device or an account at a time.

    Args:
        asked: An IP address, a MAC address, or an account.
        at: ISO 8601; without an offset it is local to the district.
        config: Configuration, whose DHCP and login sources are read.
        as_json: One JSON object a line.

    Raises:
        ConfigError: the time cannot be read, or there is no source that could tell.
        InputError: a log cannot be read.
    """
    chosen = choose(config, None)
    zone = district_of(chosen.config.district).timezone
    t_us = _moment(at, zone)
    found = list(answers(asked, t_us, chosen, _facts(chosen)))
    if as_json:
        for one in found:
            json_line(asdict(one))
        return
    line(f"{asked} at {datetime.fromtimestamp(t_us / 1e6, UTC).isoformat()}")
    rows = [(s.what, s.of, s.value, s.since, s.until, f"{s.confidence:.2f}", s.source, s.event_id) for s in found]
    head = ("what", "of", "is", "from", "to", "sure", "by", "event")
    table(head, rows, empty="nothing is known of it at that time")


def answers(asked: str, t_us: int, chosen: Chosen, facts: pl.DataFrame) -> Iterator[Said]:
    """What is known, from the thing that was asked for on: of an address its device, of a device its people."""
    index = FactIndex()
    index.add(facts)
    by_id = {row["fact_id"]: row for row in facts.unique("fact_id").iter_rows(named=True)}
    known = _Known(index, by_id, district_of(chosen.config.district))
    mac = normalise_mac(asked)
    if mac is not None:
        yield from _device(mac, t_us, chosen, known)
        yield from _addresses(mac, t_us, known)
    elif parse_address(asked) is not None:
        if (network := known.district.shared_index.name_of(asked)) is not None:
            yield Said("address is", asked, f"many people's ({network})", "", "", 1.0, "configuration", "")
        held, ids = index.mac_of(asked, t_us)
        if held is not None:
            yield _said("address of device", asked, held, by_id[ids[0]])
            yield from _device(held, t_us, chosen, known)
        yield from _used("ip_user", asked, t_us, known)
    else:
        yield from _account(asked, t_us, chosen, known)


@dataclass(frozen=True, slots=True)
class _Known:
    """Facts, and the district that says which names are of one account."""

    index: FactIndex
    by_id: dict[str, dict[str, object]]
    district: District


def _account(asked: str, t_us: int, chosen: Chosen, known: _Known) -> Iterator[Said]:
    """Where somebody was, and what is given to them."""
    spelled = known.district.account_of_login
    account = spelled(asked)
    for kind, address in sorted({(str(row["kind"]), str(row["address"])) for row in known.by_id.values()}):
        for said in () if kind == "ip_mac" else _used(kind, address, t_us, known):
            if said.event_id and spelled(said.value) == account:
                yield said
                yield from _addresses(address, t_us, known) if kind == "mac_user" else ()
    for one in inventory_of(chosen.config.district).devices.values():
        if one.owner and spelled(one.owner) == account:
            yield Said("device given to", one.mac, one.owner, "", "", 0.9, "inventory", "")
            yield from _addresses(one.mac, t_us, known)


def _used(kind: str, address: str, t_us: int, known: _Known) -> Iterator[Said]:
    """Who had a session on a device or an address."""
    user, ids = known.index.user_of(kind, address, t_us, known.district.account_of_login)
    if user == SEVERAL:
        yield Said(_USED[kind], address, "several people", "", "", 1.0, "", "")
    elif user is not None and user.startswith(LEFT):
        value = f"nobody: {user.removeprefix(LEFT)} left less than half an hour before"
        yield Said(_USED[kind], address, value, "", "", 1.0, "", "")
    elif user is not None:
        yield _said(_USED[kind], address, user, known.by_id[ids[0]])


def _device(mac: str, t_us: int, chosen: Chosen, known: _Known) -> Iterator[Said]:
    """Whose a device is, and who had logged in on it."""
    listed = inventory_of(chosen.config.district).device(mac)
    if listed is not None and listed.kind:
        yield Said("device is", mac, listed.kind, "", "", 1.0, "inventory", "")
    if listed is not None and listed.owner and listed.kind not in SHARED_KINDS:
        yield Said("device given to", mac, listed.owner, "", "", 0.9, "inventory", "")
    yield from _used("mac_user", mac, t_us, known)


def _addresses(mac: str, t_us: int, known: _Known) -> Iterator[Said]:
    """Addresses that a device had."""
    index, by_id = known.index, known.by_id
    had = sorted({str(r["address"]) for r in by_id.values() if r["kind"] == "ip_mac" and r["value"] == mac})
    for address in had:
        held, ids = index.mac_of(address, t_us)
        if held == mac:
            yield _said("address of device", address, mac, by_id[ids[0]])


def _said(what: str, of: str, value: str, fact: dict[str, object]) -> Said:
    times = [t.isoformat() if isinstance(t := fact[name], datetime) else "" for name in ("valid_from", "valid_to")]
    sure = fact["confidence"]
    assert isinstance(sure, float)
    return Said(what, of, value, times[0], times[1], sure, str(fact["log_source"]), str(fact["event_id"]))


def _facts(chosen: Chosen) -> pl.DataFrame:
    """Facts of the configuration's DHCP and login logs."""
    sources = [replace(s, mode="once") for s in chosen.config.collectors() if s.path != "-"]
    if not sources:
        raise ConfigError("the configuration has no source", where="sources", hint="add the DHCP and login logs")
    now = datetime.now(UTC)
    frames = [facts_of(pl.DataFrame(), EventKind.PROXY)]
    talk("reading the logs")
    for _, frame, message in deliveries(sources, now_us=int(now.timestamp() * 1e6), today=now.date()):
        kind = _KINDS.get(message.topic)
        if frame is not None and kind in _FACTS and message.topic != DEAD_LETTERS:
            assert kind is not None
            frames.append(facts_of(frame, kind))
    made = pl.concat(frames)
    if made.is_empty():
        raise InputError("no DHCP or login event says who had an address", hint="are such logs among the sources?")
    return made


def _moment(text: str, zone: object) -> int:
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no time", where="--at", hint="write it like 2026-03-02T09:00") from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)  # type: ignore[arg-type]
    return int(when.timestamp() * 1_000_000)
