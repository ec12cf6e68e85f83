"""Examples inside rule files: events with their times, and the violations that they must and must not make.

An example under `aupstream: examples:` has

- `name`: a sentence;
- `context` (optional): `domains`, `timezone`, `calendar`, `sites`, `inventory`, `permits`, `roster`, `lists`,
  `shared_networks`, `dhcp_servers`, as a district writes them, and `categories` (domains, or hosts with the beginning
  of a path, by category). Without `inventory` there is none; the district is `school.example` in America/Denver;
- `events`: each with `kind`, `at` (ISO 8601 with an offset) and columns of that kind. `repeat: {times, every}` makes
  several of one, `{n}` in its texts standing for 1, 2, …; of a list of pauses under `every` one after the other. A
  list may be written `{text: "p{i}@x", from: 1, to: 40}`, with `more:` for another such behind it. For mail every
  recipient is `sent` and no filter unless said otherwise, and one value for a list that runs parallel to the
  recipients means it for all;
- `violations`: all that this rule must make, in the order of their first events: `group_key`, and optionally
  `status`, `first_seen`, `last_seen`, `count`, `value`, `thresholds` (names), `permit` (true or false). An empty list
  says that there must be none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from agents.context.calendar_settings import CalendarSettings
from agents.context.categories import Categories
from agents.context.district import District, Site
from agents.context.inventory import Device, Inventory
from agents.context.mac import normalise_mac
from agents.context.maillists import COLUMNS as LIST_COLUMNS
from agents.context.maillists import OPTIONAL as LIST_OPTIONAL
from agents.context.maillists import MailLists
from agents.context.permits import COLUMNS as PERMIT_COLUMNS
from agents.context.permits import OPTIONAL as PERMIT_OPTIONAL
from agents.context.permits import Permits
from agents.context.roster import COLUMNS as ROSTER_COLUMNS
from agents.context.roster import OPTIONAL as ROSTER_OPTIONAL
from agents.context.roster import Roster
from agents.rules.columns import column_types, derived_columns
from agents.rules.examplechecks import EXPECTED
from agents.rules.model import Rule, RuleSet
from agents.rules.shape import TIMESPAN, UNIT_SECONDS, suggestion
from schemas.errors import AupstreamError, RuleError
from schemas.ids import event_id, generation_of
from schemas.kinds import EventKind
from schemas.registry import polars_schema

Frames = dict[EventKind, pl.DataFrame]
Violation = Mapping[str, Any]  # a record of the `violation` schema
Runner = Callable[[RuleSet, District, Inventory, Permits, Frames], Sequence[Violation]]

MAX_EVENTS = 100_000  # events that one example may make
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LINE_BYTES = 100  # offsets between events: any distinct ones do
_PARALLEL = {"email_to_status": "sent", "email_to_filter": False, "email_to_original_address": "", "email_to_dsn": "",
             "email_to_relay": "", "email_to_attempts": 1}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What became of one example.

    Attributes:
        rule_id: Rule that it belongs to.
        name: Its name.
        passed: True where the violations were as it says.
        problem: What was different; empty where nothing was.
        where: file:line of the rule.
    """

    rule_id: str
    name: str
    passed: bool
    problem: str
    where: str


@dataclass(frozen=True, slots=True)
class Example:
    """An example, read.

    Attributes:
        name: A sentence.
        district: Its district.
        inventory: Its inventory.
        permits: Its permits.
        frames: Its events by kind, in the order of the file.
        violations: What must come out, as written.
    """

    name: str
    district: District
    inventory: Inventory
    permits: Permits
    frames: Frames
    violations: tuple[Mapping[str, Any], ...]


def run_examples(ruleset: RuleSet, runner: Runner) -> list[ExampleResult]:
    """Run every example of every rule.

    Args:
        ruleset: The rules; each example runs with all of them and is judged by the violations of its own.
        runner: Judges events and gives the violations in their last versions.

    Returns:
        One result an example, in the order of the rules. An example that cannot be read is one that did not pass.
    """
    return [_run(ruleset, rule, raw, runner) for rule in ruleset.rules for raw in rule.examples]


def _run(ruleset: RuleSet, rule: Rule, raw: Mapping[str, Any], runner: Runner) -> ExampleResult:
    where, name = f"{rule.file}:{rule.line}", str(raw.get("name", "without a name"))
    try:
        example = read_example(raw, where)
        found = runner(ruleset, example.district, example.inventory, example.permits, example.frames)
        problem = _difference(example.violations, [v for v in found if v["rule_id"] == rule.id])
    except AupstreamError as error:
        problem = str(error)
    return ExampleResult(rule.id, name, not problem, problem, where)


def read_example(raw: Mapping[str, Any], where: str) -> Example:
    """Read an example.

    Args:
        raw: As it stands in the rule file.
        where: file:line for errors.

    Raises:
        AupstreamError: something in it is wrong.
    """
    name = str(raw.get("name", ""))
    place = f"{where} example {name!r}"
    context = raw.get("context") or {}
    violations = raw.get("violations")
    if not isinstance(context, dict) or not isinstance(raw.get("events"), list) or not isinstance(violations, list):
        raise RuleError("an example needs a list of events and a list of violations", where=place)
    for violation in violations:
        unknown = [k for k in violation if k not in EXPECTED] if isinstance(violation, dict) else ["?"]
        if unknown or "group_key" not in violation:
            raise RuleError(f"violation {violation!r} cannot be read", where=place, hint=suggestion("", EXPECTED))
    sites = [
        Site(
            s["name"],
            tuple(s.get("networks", ())),
            tuple(s.get("access_points", ())),
            s.get("latitude"),
            s.get("longitude"),
        )
        for s in context.get("sites", ())
    ]
    try:
        calendar = CalendarSettings.model_validate(context.get("calendar", {}))
    except ValueError as error:
        raise RuleError(f"calendar cannot be read: {' '.join(str(error).split())[:200]}", where=place) from error
    district = District.of(
        "Example",
        context.get("timezone", "America/Denver"),
        context.get("domains", ["school.example"]),
        sites,
        calendar,
        where=place,
    )
    district = _knowing(district, context, place)
    inventory = _inventory(context.get("inventory"), place)
    return Example(
        name, district, inventory, _permits(context, district, place), _frames(raw, place), tuple(violations)
    )


def _knowing(district: District, context: Mapping[str, Any], place: str) -> District:
    """The district with its people, lists, shared addresses, DHCP servers and categories of sites."""
    roster = Roster()
    if people := context.get("roster"):
        columns = (*ROSTER_COLUMNS, *ROSTER_OPTIONAL)
        roster = Roster.parse(_csv(columns, people), place)
    categories = Categories.of(context.get("categories") or {})
    lists = MailLists.parse(_csv((*LIST_COLUMNS, *LIST_OPTIONAL), context.get("lists") or ()), place)
    shared, servers = context.get("shared_networks", ()), context.get("dhcp_servers", ())
    return district.knowing(roster, shared, categories, lists, servers, where=place)


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    quoted = ['"' + '","'.join(str(row.get(c, "")) for c in columns) + '"' for row in rows]
    return "\n".join([",".join(columns), *quoted])


def _inventory(rows: Sequence[Mapping[str, str]] | None, place: str) -> Inventory:
    if rows is None:
        return Inventory.none()
    devices = []
    for row in rows:
        mac = normalise_mac(str(row.get("mac", "")))
        if mac is None:
            raise RuleError(f"{row.get('mac')!r} is no MAC address", where=place)
        host = row.get("host", "").lower().partition(".")[0]
        devices.append(Device(mac, row.get("owner", ""), row.get("kind", "").lower(), row.get("site", ""), host))
    return Inventory.of(devices)


def _permits(context: Mapping[str, Any], district: District, place: str) -> Permits:
    """Permits by way of the very file format, so that examples say the same as a district's own file."""
    return Permits.parse(_csv((*PERMIT_COLUMNS, *PERMIT_OPTIONAL), context.get("permits", ())), place, district)


def _frames(raw: Mapping[str, Any], place: str) -> Frames:
    rows: dict[EventKind, list[dict[str, Any]]] = {}
    for event in raw["events"]:
        for row in _repeated(event, place):
            kind = _kind(row, place)
            made = rows.setdefault(kind, [])
            made.append(_complete(row, kind, len(made), place))
    if sum(map(len, rows.values())) > MAX_EVENTS:
        raise RuleError(f"an example may make {MAX_EVENTS} events", where=place, hint="make it smaller")
    return {kind: frame_of(kind, made) for kind, made in rows.items()}


def frame_of(kind: EventKind, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """A frame of a kind's schema from dicts; what a dict does not say is null."""
    return pl.DataFrame(list(rows), schema=polars_schema(kind.value), orient="row")


def _kind(row: Mapping[str, Any], place: str) -> EventKind:
    try:
        return EventKind(row.get("kind", ""))
    except ValueError:
        hint = suggestion(str(row.get("kind")), [k.value for k in EventKind])
        raise RuleError(f"event has no kind {row.get('kind')!r}", where=place, hint=hint) from None


def _repeated(event: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    if not isinstance(event, dict) or "at" not in event:
        raise RuleError(f"event {event!r} says no time", where=place, hint="add `at:` in ISO 8601 with an offset")
    start = _time(event["at"], place)
    repeat = event.get("repeat", {"times": 1, "every": "1s"})
    given = repeat.get("every", "1s")
    spans = [TIMESPAN.fullmatch(str(one)) for one in (given if isinstance(given, list) else [given])]
    steps = [timedelta(seconds=int(span[1]) * UNIT_SECONDS[span[2]]) for span in spans if span is not None]
    times = repeat.get("times", 1)
    if not steps or len(steps) < len(spans) or not isinstance(times, int) or not 1 <= times <= MAX_EVENTS:
        raise RuleError(f"repeat {repeat!r} cannot be read", where=place, hint="write {times: 8, every: 20s}")
    plain = {k: v for k, v in event.items() if k not in ("at", "repeat")}
    made = []
    for n in range(times):
        made.append({k: _numbered(v, n + 1) for k, v in plain.items()} | {"timestamp": start})
        start += steps[n % len(steps)]
    return made


def _numbered(value: Any, n: int) -> Any:
    """A value with its `{n}` filled in, also those of the texts of a list."""
    if isinstance(value, str):
        return value.replace("{n}", str(n))
    if isinstance(value, list):
        return [_numbered(one, n) for one in value]
    return {k: _numbered(one, n) for k, one in value.items()} if isinstance(value, dict) else value


def _complete(row: dict[str, Any], kind: EventKind, number: int, place: str) -> dict[str, Any]:
    """A row of the schema: lists written out, and what the collector would add."""
    types = column_types(kind)
    for column in row:
        if column != "kind" and (column not in types or column in derived_columns(kind)):
            hint = suggestion(column, types)[:200]
            raise RuleError(f"there is no column {column!r} in {kind.value} events", where=place, hint=hint)
    source = row.pop("log_source", row.pop("kind"))
    made = {c: _expanded(v, place) if types[c].element is not None else v for c, v in row.items()}
    if kind is EventKind.MAIL:
        recipients = made.setdefault("email_to_address", [])
        for column, usual in _PARALLEL.items():
            given = made.get(column, usual)
            made[column] = given if isinstance(given, list) else [given] * len(recipients)
        made.setdefault("email_complete", True)
    for column in (c for c, kind in types.items() if kind.element is not None):
        made.setdefault(column, [])
    offset, generation = number * _LINE_BYTES, generation_of(b"example")
    return {
        "event_dataset": kind.value,
        "event_id": event_id(str(source), generation, offset),
        "log_source": source,
        "log_generation": generation,
        "log_offset": offset,
        "log_sub": 0,
        "log_hash": f"{number:032x}",
        "late": False,
        "time_suspect": False,
    } | made


def _expanded(value: Any, place: str) -> Any:
    """A list as written, or as its pattern says; a single value stays one."""
    if not isinstance(value, dict):
        return value
    first, last, text = value.get("from"), value.get("to"), value.get("text")
    if not isinstance(first, int) or not isinstance(last, int) or not isinstance(text, str):
        raise RuleError(f"list {value!r} cannot be read", where=place, hint='write {text: "p{i}@x", from: 1, to: 40}')
    more = _expanded(value["more"], place) if "more" in value else []
    return [text.replace("{i}", str(i)) for i in range(first, last + 1)] + list(more)


def _time(value: object, place: str) -> datetime:
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise RuleError(f"{value!r} is no time", where=place, hint="write ISO 8601 with an offset")
    return when.astimezone(UTC)


def _difference(expected: Sequence[Mapping[str, Any]], found: Sequence[Violation]) -> str:
    """What is different between what must come out and what did; empty for nothing."""
    ordered = sorted(found, key=lambda v: (v["first_seen"], str(v["group_key"])))
    wanted = sorted(expected, key=lambda v: (_micros(v.get("first_seen")), str(v["group_key"])))
    got = [_plain(v) for v in ordered]
    if len(got) != len(wanted):
        return f"expected {len(wanted)} violations, found {len(got)}: {got}"
    problems = []
    for want, have in zip(wanted, got, strict=True):
        for key, value in want.items():
            meant = _micros(value) if key.endswith("_seen") else value
            if have[key] != meant:
                problems.append(f"{key} of {have['group_key']} is {have[key]!r}, expected {meant!r}")
    return "; ".join(problems)


def _plain(violation: Violation) -> dict[str, Any]:
    return {
        "group_key": dict(violation["group_key"]),
        "status": violation["status"],
        "first_seen": violation["first_seen"],
        "last_seen": violation["last_seen"],
        "count": violation["count"],
        "value": violation["value"],
        "thresholds": [t["name"] for t in violation["thresholds"]],
        "permit": violation["permit"] is not None,
    }


def _micros(value: object) -> int:
    """Microseconds UTC of a time as written; 0 for none."""
    if value is None:
        return 0
    return (_time(value, "violation") - _EPOCH) // timedelta(microseconds=1)
