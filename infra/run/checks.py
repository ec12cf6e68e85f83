"""What `aupstream doctor` looks at: each check says how it stands and, where it is not well, what to do; no changes.

Retention is held against what it is for: a topic that is read again after an outage has to reach back over the outage
and the time to catch up; one from which windows are made anew, when a checkpoint is lost, over the longest window, too.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from agents.alerts.sending import UndeliveredError
from agents.context.district import District
from agents.context.whose import person_of
from agents.rules.model import RuleSet
from agents.stages.notify import server_of
from infra.clickhouse.migrate import files
from infra.config import Config
from infra.embedded.servers import LEAST_FREE
from infra.run.drain import statuses
from infra.run.knock import knock, refused
from infra.run.paths import DataPaths
from infra.run.topics import DAY_MS, Wanted, other_number, wanted
from schemas.errors import AupstreamError
from schemas.kafkaaddress import KafkaAddress, kafka_options
from schemas.kinds import DETECTIONS, VIOLATIONS, EventKind

OUTAGE_MS = DAY_MS  # Kafka, ClickHouse or an agent away for so long is to be caught up with
REBUILD_MS = 60 * 60_000  # catching up after that
ROOMY = 2 << 30  # bytes of disk below which one is warned
SKEW_S = 5.0
_KEEP, _CLEAN, _LARGEST = "retention.ms", "cleanup.policy", "max.message.bytes"
State = Literal["ok", "warning", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing stands.

    Attributes:
        name: What was looked at.
        state: `unknown` where it cannot be looked at now.
        detail: What was found, in words.
        todo: What to do; empty where nothing is to be done.
    """

    name: str
    state: State
    detail: str
    todo: str = ""


def disk(config: Config) -> Iterator[Check]:
    """The data folder: writable, and room on its disk."""
    folder = config.data.absolute()
    place = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Check("data folder", "bad", f"{place} cannot be written to", "run as its owner, or change the owner")
        return
    free = shutil.disk_usage(place).free
    state: State = "bad" if free < LEAST_FREE else "warning" if free < ROOMY else "ok"
    todo = "" if state == "ok" else "make room: the embedded servers are not started on a full disk"
    yield Check("data folder", state, f"{folder}: {free >> 20} MB are free", todo)


def secrets(config: Config, file: Path | None) -> Iterator[Check]:
    """Files with secrets that others may read."""
    kafka = config.kafka
    of_mail = config.notify.mail.password_file if config.notify.mail is not None else ""
    named = [Path(p) for p in (kafka.password_file, kafka.token_file, kafka.key, of_mail) if p]
    in_file = config.clickhouse.dsn and file is not None and config.clickhouse.dsn in file.read_text("utf-8")
    if in_file and "@" in config.clickhouse.dsn and file is not None:
        named.append(file)
    for path in named:
        try:
            mode = path.stat().st_mode
        except OSError as error:
            yield Check("secrets", "bad", f"{path} cannot be read: {error.strerror}", "name a file that is there")
            continue
        if not stat.S_ISREG(mode) or not path.stat().st_size:
            yield Check("secrets", "bad", f"{path} is no file with something in it", "name the file with the secret")
        elif mode & 0o077:
            yield Check("secrets", "warning", f"others may read {path}", f"chmod 600 {path}")
    if config.privacy.on and not config.privacy.keys(config.data).exists():
        yield Check("secrets", "unknown", "the keys of pseudonyms are made at the first start", "")


def mail(config: Config) -> Iterator[Check]:
    """The mail server for alerts: there, trusted, and taking our login. No message is sent."""
    settings = config.notify.mail
    if settings is None:
        return
    try:
        with server_of(settings, config.notify.timeout_s).connected() as connection:
            connection.noop()
    except UndeliveredError as error:
        todo = "correct server, tls, ca, user and password_file under [notify.mail]; until then alerts are log lines"
        yield Check("mail server", "bad", f"{settings.server}: {error}", todo)
    else:
        yield Check("mail server", "ok", settings.server)


def recipients(config: Config, district: District) -> Iterator[Check]:
    """Addresses that alerts go to: whether it is known who reads them, so that nobody is told of themselves."""
    notify = config.notify
    told = (*notify.teams.security, *notify.teams.personnel, *(a for r in notify.routes for a in r.to if "@" in a))
    for address in dict.fromkeys(a.strip().lower() for a in told):
        members = district.lists.behind(address)
        known = members and not set(members) & district.lists.nameless
        if not (known or person_of(district, address) or not district.is_internal_address(address)):
            todo = "give its members in the file of `lists`, or make it somebody's `mail` in the roster"
            yield Check(
                "recipients",
                "warning",
                f"it is not known who reads {address}: somebody may be told of what is about themselves",
                todo,
            )


def sources(config: Config) -> Iterator[Check]:
    """Every log that is read from a file."""
    for source in config.collectors():
        path = source.path
        if path == "-" or "://" in path:
            continue
        found = sorted(Path(path).parent.glob(Path(path).name))
        name = f"source {source.name}"
        if not found:
            state: State = "warning" if source.mode == "follow" else "bad"
            yield Check(name, state, f"{path} is not there", "check the path; a followed log may come later")
        elif unreadable := [p for p in found if not os.access(p, os.R_OK)]:
            todo = "give the account that collects leave to read it, e.g. by the group adm"
            yield Check(name, "bad", f"{unreadable[0]} cannot be read by this account", todo)
        else:
            yield Check(name, "ok", f"{path}: {len(found)} {'file' if len(found) == 1 else 'files'}")


def kafka(config: Config, address: str) -> Iterator[Check]:
    """Whether it lets us in, and whether topics are as they should be."""
    servers = KafkaAddress.of(address).servers
    try:
        knock(address)
        admin = KafkaAdminClient(**kafka_options(address), bootstrap_timeout_ms=5_000)
    except AupstreamError as error:
        yield Check("Kafka", "bad", f"{error.where}: {error.what}", error.hint)
        return
    except KafkaError as error:
        yield Check("Kafka", "bad", f"{servers} does not answer: {error}", "is it running? is the address right?")
        return
    settings = config.kafka
    topics = wanted(settings.event_partitions, settings.detection_partitions, config.privacy.retention)
    try:
        described = {d.get("topic") or d.get("name"): len(d["partitions"]) for d in admin.describe_topics(list(topics))}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics if described.get(name)]
        configs = admin.describe_configs(asked, config_filter="all").get("topic", {}) if asked else {}
    except KafkaError as error:
        said = refused(address, error, "topics cannot be looked at")
        yield Check("Kafka", "bad", said.what, said.hint)
        return
    finally:
        admin.close()
    yield Check("Kafka", "ok", f"{servers} lets us in")
    standing = {n: {k: str(v["value"]) for k, v in found.items()} for n, found in configs.items()}
    yield from _topics(topics, described, standing)


def _topics(topics: Mapping[str, Wanted], described: Mapping[Any, int], standing: Mapping[str, Any]) -> Iterator[Check]:
    missing = sorted(name for name in topics if not described.get(name))
    if missing:
        yield Check(
            "topics",
            "warning",
            f"{len(missing)} are missing: {', '.join(missing[:3])} …",
            "they are made at the first start",
        )
    for name in sorted(topics.keys() - set(missing)):
        if name != VIOLATIONS and described[name] != topics[name].partitions:
            detail = f"{name} has {described[name]} partitions, the configuration says {topics[name].partitions}"
            yield Check("topics", "bad", detail, other_number(name))
        for key, value in topics[name].config.items():
            is_now = standing.get(name, {}).get(key)
            if is_now is None or is_now == value or key in (_KEEP, "min.cleanable.dirty.ratio"):
                continue
            state: State = "bad" if key == _CLEAN or (key == _LARGEST and int(is_now) < int(value)) else "warning"
            todo = f"kafka-configs.sh --alter --topic {name} --add-config {key}={value}"
            yield Check("topics", state, f"{name}: {key} is {is_now}, not {value}", todo)
    if not missing:
        yield Check("topics", "ok", f"all {len(topics)} are there")


def retention(config: Config, rules: RuleSet) -> Iterator[Check]:
    """Of every topic that is read again, against what it is for."""
    longest = max(rules.rules, key=lambda r: r.timespan_us, default=None)
    window_ms = 0 if longest is None else longest.timespan_us // 1_000
    topics = wanted(1, 1, config.privacy.retention)
    for name in (*(kind.topic for kind in EventKind), DETECTIONS):
        kept = int(topics[name].config[_KEEP])
        needed = OUTAGE_MS + REBUILD_MS
        if kept < needed:
            detail = f"{name} is kept {_days(kept)}; an outage and catching up take {_days(needed)}"
            yield Check("retention", "bad", detail, "raise privacy.retention.kafka_days")
        elif name == DETECTIONS and kept < needed + window_ms and longest is not None:
            detail = f"{name} is kept {_days(kept)}, the longest window is {_days(window_ms)} ({longest.id})"
            detail += ": a lost checkpoint could not be made anew whole"
            days = -(-(needed + window_ms) // DAY_MS)
            yield Check(
                "retention",
                "warning",
                detail,
                f"set privacy.retention.kafka_days = {days}, or keep copies of the state topics",
            )
        else:
            yield Check("retention", "ok", f"{name} is kept {_days(kept)}")


def _days(milliseconds: int) -> str:
    return f"{milliseconds / DAY_MS:.3g} days"


def clickhouse(execute: Any) -> Iterator[Check]:
    """Whether tables are those of this release, room on its disks, and its clock.

    Args:
        execute: Runs a query and gives its rows; `AupstreamError` where it cannot.
    """
    try:
        before = time.time()
        now = execute("SELECT toFloat64(now64(3))")[0][0]
        skew = float(now) - (before + time.time()) / 2
    except AupstreamError as error:
        yield Check("ClickHouse", "bad", error.what, error.hint)
        return
    yield Check("ClickHouse", "ok", "answers")
    state: State = "ok" if abs(skew) <= SKEW_S else "bad"
    yield Check(
        "clocks", state, f"ClickHouse's is {skew:+.1f} s from ours", "" if state == "ok" else "let NTP set both"
    )
    newest = max(number for number, _ in files())
    with suppress(AupstreamError):
        done = {row[0] for row in execute("SELECT DISTINCT number FROM migrations")}
        if max(done, default=0) > newest:
            detail = f"tables are of a newer release (migration {max(done)}, this one knows {newest})"
            yield Check("tables", "bad", detail, "run the newer release, or use another database")
        elif missing := newest - len(done & set(range(newest + 1))):
            yield Check("tables", "warning", f"{missing} migrations are to be done", "they are done at the next start")
        else:
            yield Check("tables", "ok", f"of this release (migration {newest})")
    with suppress(AupstreamError):
        for name, free in execute("SELECT name, free_space FROM system.disks"):
            state = "ok" if free >= ROOMY else "bad" if free < LEAST_FREE else "warning"
            yield Check(
                "ClickHouse", state, f"disk {name}: {free >> 20} MB are free", "" if state == "ok" else "make room"
            )


def workers(config: Config) -> Iterator[Check]:
    """Who has told of itself lately, and what of its logs is wrong."""
    told = list(statuses(DataPaths(config.data.absolute()).status))
    if not told:
        yield Check("workers", "unknown", "nothing runs on this data folder", "")
    for status in told:
        problems = {n: s["problem"] for n, s in status.get("sources", {}).items() if s.get("problem")}
        for name, problem in problems.items():
            yield Check(f"source {name}", "bad", problem, "see `aupstream status` and the log of the collectors")
        refused_now = sum(f.get("refused", 0) for f in status.get("inputs", {}).values())
        if refused_now:
            detail = f"{status['worker']} refused {refused_now} messages"
            yield Check("workers", "warning", detail, "see its log: who else may write to these topics?")
    if told:
        yield Check("workers", "ok", f"{len(told)} run: {', '.join(sorted(s['worker'] for s in told))}")


def worst(checks: Sequence[Check]) -> State:
    """The worst state; what is unknown is no worse than ok."""
    order: tuple[State, ...] = ("bad", "warning")
    return next((state for state in order if any(c.state == state for c in checks)), "ok")
