"""Whose device an address was, and who was there: asked of facts and inventory, as of each event's time."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from agents.context.inventory import Inventory
from agents.engine.enrich_people import SESSION_USER

NO_FACTS = pl.lit([], dtype=pl.List(pl.String))


class Attribution(Protocol):
    """Whose device an address was."""

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """MAC address that held an IP address at a time (microseconds UTC), and the ids of the facts that say so."""

    def person_of(self, mac: str | None, ip: str | None, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Account that had a session on a device or an address at a time, and the ids of the facts that say so."""


class NoAttribution:
    """Nothing is known of any address."""

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Never any."""
        del ip, t_us
        return None, ()

    def person_of(self, mac: str | None, ip: str | None, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Never anybody."""
        del mac, ip, t_us
        return None, ()


def whose(frame: pl.DataFrame, inventory: Inventory, attribution: Attribution, *, names: bool) -> pl.DataFrame:
    """The frame with devices filled in, and, where wanted, who had a session.

    Args:
        frame: Events with `source_ip` and `timestamp`.
        inventory: Devices that are known by a name or an address of their own.
        attribution: Leases and sessions.
        names: Whether it must be known who was there: column `SESSION_USER`.

    Returns:
        The frame with `source_mac` filled in and `facts`, the ids of the facts that say so.
    """
    macs, hosts, users = (_listed(frame, column) for column in ("source_mac", "host_name", "user_name"))
    facts = [""] * frame.height
    sessions: list[str | None] = [None] * frame.height
    rows = frame.select("source_ip", pl.col("timestamp").dt.timestamp("us").alias("t"))
    for i, (ip, t) in enumerate(rows.iter_rows()):
        used: tuple[str, ...] = ()
        if macs[i] is None:
            if ip is not None:
                macs[i], used = attribution.mac_of(ip, t)
            macs[i] = macs[i] or inventory.mac_of(ip, hosts[i])
        if names and users[i] is None:
            sessions[i], more = attribution.person_of(macs[i], ip, t)
            used += more
        facts[i] = " ".join(used)
    made = [pl.Series("source_mac", macs, dtype=pl.String), pl.Series("facts", facts, dtype=pl.String)]
    if names:
        made.append(pl.Series(SESSION_USER, sessions, dtype=pl.String))
    split = pl.when(pl.col("facts") == "").then(NO_FACTS).otherwise(pl.col("facts").str.split(" "))
    return frame.with_columns(made).with_columns(split.alias("facts"))


def _listed(frame: pl.DataFrame, column: str) -> list[str | None]:
    return frame[column].to_list() if column in frame.columns else [None] * frame.height
