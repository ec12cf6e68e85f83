"""Derived columns about people: who was behind an event, what they are, and whom a rule is about.

The person of a page, a login or a lease is who logged in, if the log says so; else who had a session on the network,
and else who the device is given to. Nobody is named where the session is another's than the device, where several
people had one, by a device that is shared by design, by an address that is many people's at once, or by an account of a
machine. The person of a mail is who logged in to send it, else its envelope sender; nobody where it came from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from agents.context.accounts import MASKED_USER, is_nobody
from agents.context.district import District
from agents.context.inventory import Device, Inventory
from agents.engine.enrich_mail import internal_address, who_sent
from agents.engine.identity import LEFT, SEVERAL
from agents.engine.lookups import looked_up, text_lists
from schemas.kinds import EventKind

COLUMNS = ("source_address_shared", "person", "person_roles", "person_site", "subject")
SHARED_KINDS = frozenset({"shared", "cart", "lab", "kiosk"})
SESSION_USER = "_session_user"  # column of who had a session, as the log spells them, where that was looked up


class Spelling(Protocol):
    """What `agents.engine.enrich.Enricher` knows."""

    @property
    def district(self) -> District:
        """Mail domains, sites, people."""

    @property
    def inventory(self) -> Inventory:
        """Known devices."""

    def keys(self, column: str, frame: pl.DataFrame) -> pl.Series:
        """A column as it goes into a group key."""


def people_columns(frame: pl.DataFrame, kind: EventKind, wanted: Sequence[str], spelling: Spelling) -> pl.DataFrame:
    """The frame with the columns named of `COLUMNS`.

    Args:
        frame: Events of one kind; `source_mac` filled in as far as it is known.
        kind: Their kind.
        wanted: Columns.
        spelling: Spells accounts.
    """
    made: dict[str, pl.Series] = {}
    roster = spelling.district.roster
    shared = _shared_address(frame, spelling.district)
    if set(wanted) - {"source_address_shared"}:
        person = _sender(frame, spelling) if kind is EventKind.MAIL else _at_device(frame, spelling, shared)
        made["person"] = person
        if {"person_roles", "person_site"} & set(wanted):
            names = [name for name in person.unique().to_list() if name is not None]
            listed = [roster.person(name) for name in names]
            known = pl.DataFrame(
                {
                    "person": pl.Series(names, dtype=pl.String),
                    "roles": text_lists(p.roles if p else () for p in listed),
                    "site": pl.Series([(p.site or None) if p else None for p in listed], dtype=pl.String),
                }
            )
            found = person.to_frame("person").join(known, on="person", how="left", maintain_order="left")
            made["person_roles"] = found["roles"].fill_null([])
            made["person_site"] = found["site"]
        if "subject" in wanted:
            mail = kind is EventKind.MAIL
            made["subject"] = _mail_subject(frame, spelling, person) if mail else _subject(frame, person, shared)
    if "source_address_shared" in wanted:
        made["source_address_shared"] = shared
    return frame.with_columns([made[name].alias(name) for name in wanted])


def _subject(frame: pl.DataFrame, person: pl.Series, shared: pl.Series) -> pl.Series:
    """Who or, where that is not known, what a rule is about: the device, else the address.

    An address that is many people's at once is nobody's: what several of them did must not add up to one who did it.
    """
    named = frame.with_columns(_person=person, _many=shared)
    parts = []
    for name in ("source_mac", "source_ip"):
        if name in frame.columns:
            known = pl.col(name).str.to_lowercase()
            parts.append(pl.when(~pl.col("_many")).then(known) if name == "source_ip" else known)
    found = named.select(s=pl.coalesce("_person", *parts))
    return found.select(pl.when(pl.col("s") != "").then("s")).to_series()


def _mail_subject(frame: pl.DataFrame, spelling: Spelling, person: pl.Series) -> pl.Series:
    """Who sent a mail, else the account that was logged in with, else its address, unless that came from outside."""
    named = who_sent(frame, spelling.district).with_columns(
        envelope=frame["email_from_address"].str.to_lowercase(),
        person=person,
    )
    forged = pl.col("outside") & internal_address(pl.col("envelope"), spelling.district).fill_null(value=False)
    account = pl.when("logged_in").then("account")
    found = named.select(s=pl.coalesce("person", account, pl.when(~forged).then("envelope")))
    return found.select(pl.when(pl.col("s") != "").then("s")).to_series()


def _sender(frame: pl.DataFrame, spelling: Spelling) -> pl.Series:
    """Who logged in to send, else the envelope sender, where it is the district's; see `agents.context.senders`."""
    district = spelling.district
    theirs = pl.when(pl.col("logged_in") | ~pl.col("outside")).then("account")
    sender = who_sent(frame, district).select(theirs).to_series()
    return looked_up(sender, lambda name: _human(name, district))


def _logged_in(names: pl.Series, spelling: Spelling) -> pl.Series:
    """Accounts of names as logged, one spelling for each; null where nobody is named."""
    district = spelling.district
    known = {name: district.account_of_login(name) for name in names.drop_nulls().unique().to_list()}
    found = [None if name is None else known[name] for name in names.to_list()]
    return pl.Series([None if name in ("", MASKED_USER) else name for name in found], dtype=pl.String)


def _at_device(frame: pl.DataFrame, spelling: Spelling, shared: pl.Series) -> pl.Series:
    """Who logged in, else whose device it is; behind an address that is many people's nobody but who logged in."""
    named: list[str | None] = [None] * frame.height
    if "user_name" in frame.columns:
        named = _named(frame, spelling)
    devices = spelling.inventory.devices
    macs = frame["source_mac"].to_list() if "source_mac" in frame.columns else [None] * frame.height
    sessions = _sessions(frame, spelling)
    cache: dict[str, str | None] = {}
    found: list[str | None] = []
    for said, mac, many, session in zip(named, macs, shared.to_list(), sessions, strict=True):
        name = said
        if name is None and not many:
            name = _behind(None if mac is None else devices.get(mac), session, spelling.district)
        if name is not None and name not in cache:
            cache[name] = _human(name, spelling.district)
        found.append(None if name is None else cache[name])
    return pl.Series(found, dtype=pl.String)


def _behind(device: Device | None, session: str | None, district: District) -> str | None:
    """Who had a session, or the owner of the device; nobody where they are two, or several had, or it is shared.

    Where a session ended lately the owner is named only if it was theirs: somebody else may sit there still.
    """
    if session == SEVERAL or (device is not None and device.kind in SHARED_KINDS):
        return None
    owner = "" if device is None else district.account_of_login(device.owner)
    if session is not None and session.startswith(LEFT):
        return owner if owner and owner == session.removeprefix(LEFT) else None
    agreed = owner if session is None else session if owner in ("", session) else ""
    return agreed or None


def _named(frame: pl.DataFrame, spelling: Spelling) -> list[str | None]:
    """Who logged in, spelled as in a group key; who did with their mail address has the account of the roster."""
    named = spelling.keys("user_name", frame).to_list()
    roster, names = spelling.district.roster, frame["user_name"].to_list()
    listed = {name: known.account for name in {*names} if name and "@" in name and (known := roster.by_mail(name))}
    return [listed.get(name, key) for name, key in zip(names, named, strict=True)] if listed else named


def _sessions(frame: pl.DataFrame, spelling: Spelling) -> list[str | None]:
    """Who had a session, or behind `LEFT` had one lately, spelled as in a group key; or `SEVERAL`."""
    if SESSION_USER not in frame.columns:
        return [None] * frame.height
    names = frame[SESSION_USER].to_list()
    accounts = _logged_in(frame[SESSION_USER].str.strip_prefix(LEFT), spelling).to_list()
    over = (name is not None and name.startswith(LEFT) for name in names)
    return [LEFT + one if one and left else one for one, left in zip(accounts, over, strict=True)]


def _human(account: str, district: District) -> str | None:
    """The account, unless it is a machine's or a service's."""
    listed = district.roster.person(account)
    nobody = listed is None and is_nobody(account)
    return None if nobody or (listed is not None and not listed.is_human) else account


def _shared_address(frame: pl.DataFrame, district: District) -> pl.Series:
    """Whether the address, or that of the relay where there is none yet, is many people's at once."""
    names = [name for name in ("source_ip", "dhcp_relay_ip") if name in frame.columns]
    if not names or not district.shared_index:
        return pl.repeat(value=False, n=frame.height, dtype=pl.Boolean, eager=True)
    return district.shared_index.names_of(frame.select(pl.coalesce(names)).to_series()).is_not_null()
