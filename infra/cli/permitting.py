"""What `aupstream permits` does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from agents.build import district_of, written_permits
from agents.context.authority import objection
from agents.context.district import District
from agents.context.mac import normalise_mac
from agents.context.permit import Act, Permit
from agents.context.permitfile import moment, permit_of
from agents.context.permitlog import GRANT, REVOKE, ROSTER, Record, permits_of, read_log
from agents.context.permits import Permits
from agents.context.whose import person_of, spellings
from infra.cli.configuration import Chosen, choose
from infra.cli.failures import FINDINGS
from infra.cli.output import iso, json_line, line, table, talk, warn
from infra.cli.serving import kafka_of
from infra.cli.unmasking import need_reason
from infra.permits.keeping import append
from infra.permits.telling import tell
from infra.privacy.unmasklog import who as by_whom
from schemas.errors import ConfigError, Errors, InputError, ServerError

_STEP = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: may `who` do that? See the command's options."""

    who: str
    clause: int
    at: str
    rule: str
    list: str
    device: str
    category: str


def grant(row: Mapping[str, str], config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Write a permit down and tell the agents.

    Args:
        row: By the names of the file's columns.
        config: Configuration.
        data: Data folder.
        as_json: Print one JSON object.

    Raises:
        Errors: of `ConfigError`, everything that is wrong with it; nothing is written then.
        InputError: the log cannot be written.
    """
    chosen = choose(config, data)
    district = district_of(chosen.config.district)
    errors: list[ConfigError] = []
    permit = permit_of(row, "permits add", district.timezone, errors)
    if not row["reason"].strip():
        errors.append(ConfigError("a reason is needed", where="permits add", hint='say why with --reason "…"'))
    if permit is not None and (why := objection(district, permit.granted_by, permit.who)):
        hint = "let a supervisor grant it, or correct the roster"
        what = f"{permit.granted_by} may not permit {permit.who} anything: {why}"
        errors.append(ConfigError(what, where="--granted-by", hint=hint))
    if errors or permit is None:
        raise Errors([*errors])
    now = _now()
    given = {k: v for k, v in row.items() if v}
    given |= {"from": iso(permit.from_us), "to": iso(permit.to_us)}  # times without an offset are nobody's to guess
    given |= {ROSTER: district.roster.version} if district.roster.present else {}

    def made(records: Sequence[Record]) -> Record:
        name = _free_name(permit.id, {str(r["id"]) for r in records})
        return {"action": GRANT, "id": name, **given, "recorded": now, "entered_by": by_whom()}

    record = append(chosen.config.permit_log, made)
    _said(record, as_json=as_json)
    if district.roster.present and normalise_mac(row["who"]) is None and person_of(district, row["who"]) is None:
        warn(f"{row['who']} is nobody in the roster: the permit counts for what logs call by that very name")
    _tell(chosen)


def revoking(name: str, said: tuple[str, str, str], config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Write down that a permit counts no more.

    Args:
        name: Its id.
        said: By whom, why, and from when on (empty: now).
        config: Configuration.
        data: Data folder.
        as_json: Print one JSON object.

    Raises:
        ConfigError: there is no reason, the time is none, or who takes it back may not.
        InputError: there is no such permit in the log.
    """
    by, reason, at = said
    need_reason(reason, "permits revoke")
    chosen = choose(config, data)
    district = district_of(chosen.config.district)
    when = _moment(at, district)

    def made(records: Sequence[Record]) -> Record:
        permit = next((p for p in permits_of(records, district.timezone, "permits") if p.id == name), None)
        if permit is None:
            hint = "`aupstream permits list --all` has the ids; one of the file is taken back in the file (`revoked`)"
            raise InputError("no permit of this id was entered", where=name, hint=hint)
        why = objection(district, by, permit.who)
        own = (*spellings(district, permit.granted_by), *spellings(district, permit.who))
        if why and not set(spellings(district, by)) & set(own):
            what = f"{by} may not take back what {permit.who} was permitted: {why}"
            raise ConfigError(what, where="--by", hint="let a supervisor do it")
        return {
            "action": REVOKE, "id": name, "at": iso(when), "revoked_by": by, "reason": reason.strip(),
            "recorded": _now(), "entered_by": by_whom(),
        }  # fmt: skip

    record = append(chosen.config.permit_log, made)
    _said(record, as_json=as_json)
    _tell(chosen)


def listing(
    who: str,
    clause: int,
    at: str,
    config: Path | None,
    data: Path | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Print permits. Raises as reading them."""
    district, book = _book(choose(config, data))
    now = _moment(at, district)
    names = set(spellings(district, who)) if who else set()
    found = [p for p in book.permits if not names or names & set(spellings(district, p.who))]
    found = [p for p in found if clause in (0, p.clause)]
    found = [p for p in found if everything or now < p.end_us]
    if as_json:
        for permit in found:
            json_line(_plain(permit, book, now))
        return
    rows = [
        (p.id, p.who, p.clause, iso(p.from_us), iso(p.to_us), p.granted_by, _scope(p), _state(p, book, now), p.reason)
        for p in found
    ]
    columns = ("id", "who", "clause", "from", "to", "granted by", "only", "state", "reason")
    table(columns, rows, empty="there are no such permits" if everything or not book.permits else "none is left: --all")


def showing(name: str, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Print one permit. Raises `InputError` where there is none of that id."""
    district, book = _book(choose(config, data))
    permit = next((p for p in book.permits if p.id == name), None)
    if permit is None:
        raise InputError("there is no permit of this id", where=name, hint="`aupstream permits list --all` has them")
    plain = _plain(permit, book, _moment("", district))
    if as_json:
        json_line(plain)
        return
    for key, value in plain.items():
        line(f"{key:<12} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")


def checking(asked: Question, config: Path | None, data: Path | None, *, as_json: bool) -> None:
    """Answer whether somebody may do something at a time. Exits with 1 where not."""
    district, book = _book(choose(config, data))
    at = _moment(asked.at, district)
    shown = {"email_lists": asked.list, "source_mac": asked.device, "proxy_category": asked.category}
    act = Act(asked.rule, json.dumps({k: v for k, v in shown.items() if v}))
    cited = book.covering([asked.who], asked.clause, at, act)
    permitted = cited is not None and "refused" not in cited
    if as_json:
        json_line({"who": asked.who, "clause": asked.clause, "at": iso(at), "permitted": permitted, "permit": cited})
    elif cited is None:
        line(f"{asked.who} has no permit for clause {asked.clause} at {iso(at)}")
    else:
        by = f"granted by {cited['granted_by']}: {cited['reason']} ({cited['from']} to {cited['to']})"
        limit = f", for up to {cited['recipients']} recipients" if "recipients" in cited else ""
        line(f"permitted{limit}, {by}" if permitted else f"not permitted: {cited['refused']}; the permit is {by}")
    if not permitted:
        raise typer.Exit(FINDINGS)


def _book(chosen: Chosen) -> tuple[District, Permits]:
    district = district_of(chosen.config.district)
    records = [entry["record"] for entry in read_log(chosen.config.permit_log)]
    entered = permits_of(records, district.timezone, str(chosen.config.permit_log))
    return district, written_permits(chosen.config.district, district).and_more(entered)


def _plain(permit: Permit, book: Permits, now: int) -> dict[str, Any]:
    return {"id": permit.id, **permit.record(), "state": _state(permit, book, now), "where": permit.where}


def _state(permit: Permit, book: Permits, now: int) -> str:
    if why := book.refused.get(permit.id):
        return f"does not count: {why}"
    if permit.revoked is not None and now >= permit.revoked.at_us:
        return "revoked"
    if now < permit.from_us:
        return "to come"
    return "in force" if now < permit.to_us else "ended"


def _scope(permit: Permit) -> str:
    return ", ".join(f"{name} {value}" for name, value in permit.scope.plain().items())


def _free_name(name: str, taken: set[str]) -> str:
    """The id, with a number behind it where the very same permit was entered before."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def _said(record: Record, *, as_json: bool) -> None:
    if as_json:
        json_line(dict(record))
    else:
        line(str(record["id"]))


def _tell(chosen: Chosen) -> None:
    records = [entry["record"] for entry in read_log(chosen.config.permit_log)]
    try:
        kafka = kafka_of(chosen)
    except ServerError:
        talk("it is written down; the agents do not run here and are told at the next `aupstream run`")
        return
    tell(kafka, records)
    talk("the agents were told; `aupstream rejudge` judges again what is past")


def _moment(text: str, district: District) -> int:
    if not text:
        return int(datetime.now(UTC).timestamp()) * _STEP
    found = moment(text, district.timezone, end=False)
    if found is None:
        raise ConfigError(f"{text!r} is no time", where="--at", hint="write it like 2026-03-02T09:00")
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
