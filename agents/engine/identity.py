"""Who had an address when: facts out of DHCP and login events, and the question asked of them.

A fact says: from `valid_from` on, the address belonged to `value` (empty: to nobody any more). A later fact about
the same address replaces it from its own start on. So the answer for a time depends on the set of facts alone, not
on the order they came in, and no fact is ever changed.

Of people there are sessions: a login to the network begins one, a logout, the next login on the same device or the
longest time of a session ends it. A fact that ends where it begins is a logout; one of nobody (value empty) is the
login of the computer itself, as Windows makes it when a person has left. Where two people were on one device or address
within half an hour it is shared, whatever the inventory says, and nobody is named. A session on an address is that of
one device: it counts as long as that device has the address, or nothing says which device has it.

A logon to Windows states nothing. One over the network bears an address, but also comes from servers, from programmes
and for other accounts than that of who sits there; one at the keyboard bears none.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from agents.context.accounts import is_computer, is_nobody
from schemas.headers import FOREVER
from schemas.ids import fact_id
from schemas.kinds import NETWORK_LOGINS, EventKind

LEASE_US = 86_400_000_000  # how long a grant without a lease time stands: a day, dhcpd's default maximum
SESSION_US = 43_200_000_000  # how long a session stands that nothing ends: twelve hours
SHARING_US = 1_800_000_000  # two people on one device within this time share it
_BEGINS, _ENDS = ("session_start",), ("logout", "session_end", "disconnect")
_GRANTED = ("ack", "renew")  # some servers tell a renewal from a first grant
SEVERAL = "*"  # the answer where several people were there: nobody is named, not even who owns the device
LEFT = "<"  # before a name in the answer: nobody has a session, they had one until less than `SHARING_US` ago
MAX_FACTS = 5_000_000  # beyond it the oldest fact of the address in hand goes: old rows may stay unattributed


def facts_of(frame: pl.DataFrame, kind: EventKind, *, settled: bool = False) -> pl.DataFrame:
    """Facts that a batch of DHCP or login events states, in its order.

    Args:
        frame: Events of one kind, in that kind's schema.
        kind: DHCP or login; others state nothing.
        settled: True where all that was to come has come, as when the past is judged again.

    Returns:
        A frame in the `identity` schema. Rows stamped late state nothing until all is settled: whether they were seen
        in time would depend on the order of arrival. Those stamped time_suspect state nothing ever.
    """
    if kind not in (EventKind.DHCP, EventKind.LOGIN):
        return _facts([])
    usable = frame.filter(~pl.col("time_suspect") & (pl.lit(settled) | ~pl.col("late")))
    return _dhcp_facts(usable) if kind is EventKind.DHCP else _login_facts(usable)


def _dhcp_facts(frame: pl.DataFrame) -> pl.DataFrame:
    # What a client gives back that it has not (dhcpd: "not found") leaves the lease of who has it as it is.
    in_vain = pl.col("event_reason").str.contains("not found", literal=True).fill_null(value=False)
    rows = frame.filter(
        pl.col("event_action").is_in([*_GRANTED, "release", "expire", "decline"])
        & pl.col("source_ip").is_not_null()
        & ~in_vain
    ).select(
        pl.col("timestamp").dt.timestamp("us").alias("t"),
        "event_action",
        "source_ip",
        "source_mac",
        "dhcp_lease_seconds",
        _micros("dhcp_lease_expires", frame).alias("until"),
        "event_id",
        "log_source",
    )
    facts: list[_Fields] = []
    for t, action, ip, mac, lease, until, event, source in rows.iter_rows():
        if action in _GRANTED and mac:
            end = t + int(lease) * 1_000_000 if lease is not None else until if until is not None else t + LEASE_US
            facts.append(("ip_mac", ip, mac, t, end, None, 0.95, event, source))
        elif action not in _GRANTED:
            facts.append(("ip_mac", ip, "", t, None, action, 0.95, event, source))
    return _facts(facts)


def _micros(column: str, frame: pl.DataFrame) -> pl.Expr:
    """A time of the schema's second release as microseconds; null in a frame of the first."""
    there = column in frame.columns
    return pl.col(column).dt.timestamp("us") if there else pl.lit(None, dtype=pl.Int64)


def _login_facts(frame: pl.DataFrame) -> pl.DataFrame:
    """Sessions of logins to the network: who is on a device, and on the address that it was given."""
    begins = pl.col("event_action").is_in(_BEGINS) & (pl.col("event_outcome") != "failure").fill_null(value=True)
    login = (pl.col("event_action") == "login") & (pl.col("event_outcome") == "success")
    rows = frame.filter(
        pl.col("event_dataset").is_in(list(NETWORK_LOGINS))
        & pl.col("user_name").is_not_null()
        & (begins | login | pl.col("event_action").is_in(_ENDS)).fill_null(value=False)
    ).select(
        pl.col("timestamp").dt.timestamp("us").alias("t"),
        "event_action",
        "user_name",
        "user_domain",
        "source_mac",
        _there("assigned_ip", frame, pl.String),
        "event_id",
        "log_source",
    )
    facts: list[_Fields] = []
    for t, action, name, realm, mac, ip, event, source in rows.iter_rows():
        # A realm is that of a visitor's own school, say: they are not who has the same account here.
        user = f"{name}@{realm}" if realm and "." in realm and "@" not in name else name
        ends = action in _ENDS
        if is_nobody(name, mac):
            if ends or not is_computer(name):
                continue
            user = ""  # the computer logs in by itself: who was there before has left
        until, why = (t, str(action)) if ends else (t + SESSION_US, None)
        for kind, address, sure in (("mac_user", mac, 0.9), ("ip_user", ip, 0.8)):
            if address:
                facts.append((kind, address, user, t, until, why, sure, event, source))
    return _facts(facts)


def _there(column: str, frame: pl.DataFrame, dtype: type[pl.DataType]) -> pl.Expr:
    """A column of a later release of the schema; null in a frame of an earlier one."""
    return pl.col(column) if column in frame.columns else pl.lit(None, dtype=dtype).alias(column)


_Fields = tuple[str, str, str, int, int | None, str | None, float, str, str]


def _facts(rows: Sequence[_Fields]) -> pl.DataFrame:
    utc = pl.Datetime("us", "UTC")
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * 9
    kind, address, value, start, end, reason, sure, event, source = columns
    return pl.DataFrame(
        {
            "fact_id": [
                fact_id(k, a, f"{v} ended" if t == e else v, t)
                for k, a, v, t, e in zip(kind, address, value, start, end, strict=True)
            ],
            "version": pl.Series([1] * len(rows), dtype=pl.Int32),
            "kind": pl.Series(kind, dtype=pl.String),
            "address": pl.Series(address, dtype=pl.String),
            "value": pl.Series(value, dtype=pl.String),
            "valid_from": pl.Series(start, dtype=pl.Int64).cast(utc),
            "valid_to": pl.Series(end, dtype=pl.Int64).cast(utc),
            "end_reason": pl.Series(reason, dtype=pl.String),
            "confidence": pl.Series(sure, dtype=pl.Float64),
            "event_id": pl.Series(event, dtype=pl.String),
            "log_source": pl.Series(source, dtype=pl.String),
            "timestamp": pl.Series(start, dtype=pl.Int64).cast(utc),
        },
        schema_overrides={"fact_id": pl.String},
    )


Spelled = Callable[[str], str]
Fact = tuple[int, str, str, int, str]  # valid_from, event_id, value, valid_to (-1: open), fact_id


@dataclass(slots=True)
class FactIndex:
    """All facts known, by kind and address, each address in order of start. Repeats change nothing.

    Attributes:
        count: Facts kept.
        evicted: Facts that went at the limit.
        dropped_from: Start of the oldest fact that `forget_before` has dropped, microseconds UTC.
    """

    _facts: dict[tuple[str, str], list[Fact]] = field(default_factory=dict)
    _devices: dict[str, str] = field(default_factory=dict)  # of logins by event id
    count: int = 0
    evicted: int = 0
    dropped_from: int = FOREVER

    def add(self, facts: pl.DataFrame) -> None:
        """Take facts in any order (schema `identity`)."""
        rows = facts.select(
            "kind",
            "address",
            pl.col("valid_from").dt.timestamp("us"),
            "event_id",
            "value",
            pl.col("valid_to").dt.timestamp("us").fill_null(-1).alias("valid_to"),
            "fact_id",
        )
        for kind, address, *fact in rows.iter_rows():
            start, event, value, end, name = fact
            known = self._facts.setdefault((kind, address), [])
            # A lease is renewed again and again: its device's address is kept once.
            value = known[-1][2] if known and known[-1][2] == value else value
            if kind == "mac_user":
                self._devices[event] = address
            self._insert(kind, known, (start, event, value, end, name))

    def _insert(self, kind: str, known: list[Fact], fact: Fact) -> None:
        at = bisect_left(known, fact)
        if at < len(known) and known[at] == fact:
            return
        insort(known, fact)
        self.count += 1
        if self.count > MAX_FACTS and len(known) > 1:
            self._went(kind, known, 1)
            self.evicted += 1

    def at(self, kind: str, address: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Value of an address at a time (microseconds UTC), and the ids of the facts that say so.

        Of two facts that start at the same instant the later line of one log counts; from two logs they leave it open.
        """
        known = self._facts.get((kind, address), [])
        i = bisect_left(known, (t_us + 1,)) - 1
        if i < 0:
            return None, ()
        start, event, value, end, fact = known[i]
        unsure = i > 0 and known[i - 1][0] == start and known[i - 1][2] != value and known[i - 1][1][:16] != event[:16]
        if unsure or not value or (end != -1 and t_us >= end):
            return None, (fact,)
        return value, (fact,)

    def mac_of(self, ip: str, t_us: int) -> tuple[str | None, tuple[str, ...]]:
        """Hardware address that held an IP address at a time, and the facts that say so."""
        return self.at("ip_mac", ip, t_us)

    def disputed(self, ip: str, mac: str, t_us: int) -> bool:
        """True where leases speak against a device that is said to have an address by itself.

        They do where they contradict each other, and for half a day after the address was given back, or after the
        lease of another device ran out.
        """
        known = self._facts.get(("ip_mac", ip), [])
        i = bisect_left(known, (t_us + 1,)) - 1
        if i < 0 or self.mac_of(ip, t_us)[0] == mac:
            return False
        start, _, value, end, _ = known[i]
        over = start if not value else t_us if end == -1 or t_us < end else end
        return over > t_us - SESSION_US and (value != mac or over == t_us)

    def user_of(
        self, kind: str, address: str, t_us: int, spelled: Spelled = str.lower, mac: str | None = None
    ) -> tuple[str | None, tuple[str, ...]]:
        """Who had a session on a device (`mac_user`) or an address (`ip_user`) at a time, and the facts that say so.

        Args:
            kind: Of the address.
            address: It.
            t_us: Microseconds UTC.
            spelled: Gives one spelling to the names of one account.
            mac: Of an IP address, the device that had it, where that is known otherwise than by leases.

        Returns:
            The name as logged; None where nobody had a session or the newest had ended long ago; that name behind
            `LEFT` where it ended within `SHARING_US`: who logs out of the network may sit there still. `SEVERAL` where
            several people were there within that time.
        """
        known = self._facts.get((kind, address), [])
        holder: str | None = None
        ids: tuple[str, ...] = ()
        seen, ended, left = set[str](), set[str](), dict[str, str]()
        until = t_us  # whoever a fact names was there until the next one, or until they logged out
        for i in range(bisect_left(known, (t_us + 1,)) - 1, -1, -1):
            start, event, user, end, fact = known[i]
            if start <= t_us - SESSION_US or (ids and until <= t_us - SHARING_US):
                break
            if kind == "ip_user" and not self._still_there(address, (start, event), t_us, mac):
                continue
            name = spelled(user) if user else ""
            if name and start > t_us - SHARING_US:
                seen.add(name)
            if name and (start if start == end else until) > t_us - SHARING_US:
                left.setdefault(name, user)
            if start == end:
                ended.add(name)
            elif not ids:
                holder, ids = None if not name or name in ended else user, (fact,)
            until = start
        if len(seen | ({spelled(holder)} if holder else left.keys())) > 1:
            return SEVERAL, ids
        return (LEFT + next(iter(left.values())) if left and not holder else holder), ids

    def _still_there(self, ip: str, login: tuple[int, str], t_us: int, mac: str | None) -> bool:
        """Whether the device of a login (its time and event) has an address still, or nothing says which one has it."""
        start, event = login
        before, _ = self.mac_of(ip, start)
        device = self._devices.get(event) or before
        if mac is not None and device is not None and mac != device:
            return False
        leases = self._facts.get(("ip_mac", ip), [])
        since = [fact[2] for fact in leases[bisect_left(leases, (start + 1,)) : bisect_left(leases, (t_us + 1,))]]
        if not since:
            return before in (None, device)
        return since[-1] == device and {*since} <= {device, ""}

    def person_of(
        self, mac: str | None, ip: str | None, t_us: int, spelled: Spelled = str.lower
    ) -> tuple[str | None, tuple[str, ...]]:
        """See `user_of`: by device and by address; `SEVERAL` where the two do not agree."""
        asked = (("mac_user", mac), ("ip_user", ip))
        found = [self.user_of(kind, address, t_us, spelled, mac) for kind, address in asked if address]
        users = {spelled(user.removeprefix(LEFT)): user for user, _ in found if user is not None}
        ids = tuple(one for user, some in found if user is not None for one in some)
        if len(users) > 1:
            return SEVERAL, ids
        # Who has left one of both, and has the other still, is there.
        return min((user for user, _ in found if user is not None), key=lambda u: u.startswith(LEFT), default=None), ids

    def forget_before(self, t_us: int) -> None:
        """Drop facts that change no answer to a question of `t_us` or later.

        Of leases those stay that started since the oldest session that may be asked for, and the newest before, with
        those of the same instant, which contradict it; of sessions those that may not have ended by their length.
        """
        for key, known in list(self._facts.items()):
            if key[0] == "ip_mac":
                i = bisect_left(known, (t_us - SESSION_US + 1,)) - 1
                i = bisect_left(known, (known[i][0],)) if i > 0 else 0
            else:
                i = bisect_left(known, (t_us - SESSION_US + 1,))
            if i > 0:
                self.dropped_from = min(self.dropped_from, known[0][0])
                self._went(key[0], known, i)
            if not known:
                del self._facts[key]

    def _went(self, kind: str, known: list[Fact], number: int) -> None:
        """Drop the oldest facts of an address."""
        for fact in known[:number] if kind == "mac_user" else ():
            self._devices.pop(fact[1], None)
        del known[:number]
        self.count -= number


def learned(index: FactIndex) -> Mapping[str, int]:
    """Figures for metrics: facts kept and facts evicted."""
    return {"facts": index.count, "evicted": index.evicted}


def all_facts(frames: Iterable[pl.DataFrame]) -> FactIndex:
    """An index of some frames, for tests and backtests."""
    index = FactIndex()
    for frame in frames:
        index.add(frame)
    return index
