"""Whose device an address was, and who was there: asked of facts and inventory, as of each event's time."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from agents.context.inventory import Inventory
from agents.engine.enrich_people import SESSION_USER
from agents.engine.identity import Spelled

NO_FACTS = pl.lit([], dtype=pl.List(pl.String))


class Attribution(Protocol):
    """Whose device an address was."""

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """MAC address that held an IP address at a time (microseconds UTC), and the ids of the facts that say so."""

    def disputed(self, ip: str, mac: str, t_us: int) -> bool:
        """Whether leases speak against a device that is said to have an address by itself."""

    def person_of(
        self, mac: str | None, ip: str | None, t_us: int, spelled: Spelled = str.lower
    ) -> tuple[str | None, tuple[str, ...]]:
        """Account that had a session on a device or an address at a time, and the ids of the facts that say so.

        `agents.engine.identity.SEVERAL` where several people had: then not even the owner is named. Behind `LEFT` who
        had one until lately.
        """


class NoAttribution:
    """Nothing is known of any address."""

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Never any."""
        del ip, t_us
        return None, ()

    def disputed(self, ip: str, mac: str, t_us: int) -> bool:
        """Never."""
        del ip, mac, t_us
        return False

    def person_of(
        self, mac: str | None, ip: str | None, t_us: int, spelled: Spelled = str.lower
    ) -> tuple[str | None, tuple[str, ...]]:
        """Never anybody."""
        del mac, ip, t_us, spelled
        return None, ()


def whose(
    frame: pl.DataFrame,
    inventory: Inventory,
    attribution: Attribution,
    *,
    names: bool,
    spelled: Spelled = str.lower,
) -> pl.DataFrame:
    """The frame with devices filled in, and, where wanted, who had a session.

    Args:
        frame: Events with `source_ip` and `timestamp`.
        inventory: Devices that are known by a name or an address of their own.
        attribution: Leases and sessions.
        names: Whether it must be known who was there: column `SESSION_USER`.
        spelled: Gives one spelling to the names of one account.

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
            macs[i] = macs[i] or _by_itself(inventory, attribution, ip, hosts[i], t)
        if names and users[i] is None:
            sessions[i], more = attribution.person_of(macs[i], ip, t, spelled)
            used += more
        facts[i] = " ".join(used)
    made = [pl.Series("source_mac", macs, dtype=pl.String), pl.Series("facts", facts, dtype=pl.String)]
    if names:
        made.append(pl.Series(SESSION_USER, sessions, dtype=pl.String))
    split = pl.when(pl.col("facts") == "").then(NO_FACTS).otherwise(pl.col("facts").str.split(" "))
    return frame.with_columns(made).with_columns(split.alias("facts"))


def _by_itself(inventory: Inventory, attribution: Attribution, ip: str | None, host: str | None, t: int) -> str | None:
    """The device that has a name by itself, or else an address that no lease makes doubtful."""
    named = inventory.mac_of(None, host)
    fixed = None if named is not None or ip is None else inventory.mac_of(ip, None)
    return named if ip is None or fixed is None or attribution.disputed(ip, fixed, t) else fixed


def _listed(frame: pl.DataFrame, column: str) -> list[str | None]:
    return frame[column].to_list() if column in frame.columns else [None] * frame.height
