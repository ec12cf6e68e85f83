"""What `aupstream doctor` looks at: each check says how it stands and, where it is not well, what to do; no changes.

See `infra.run.checks_kafka` for Kafka, and `infra.run.checks_here` for what runs, or is to run, on this machine.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agents.alerts.sending import UndeliveredError
from agents.context.district import District
from agents.context.whose import person_of
from agents.privacy.keys import KeysMissingError, read
from agents.stages.notify import server_of
from infra.clickhouse.migrate import files
from infra.config import Config
from infra.embedded.servers import LEAST_FREE
from infra.run.keyfile import missing, stored_keys
from infra.run.paths import DataPaths
from schemas.errors import AupstreamError

ROOMY = 2 << 30  # bytes of disk below which one is warned
SKEW_S = 5.0
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
    total, _, free = shutil.disk_usage(place)
    if not total:  # /proc and the like
        yield Check("data folder", "bad", f"{folder}: nothing can be kept in {place}", "name another by `data`")
        return
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
    if config.privacy.on:
        yield from _keys(config)


def _keys(config: Config) -> Iterator[Check]:
    try:
        read(config.privacy.keys(config.data))
    except KeysMissingError as error:
        positions = DataPaths(config.data.absolute()).positions
        if positions.is_dir() and any(positions.iterdir()):
            gone = f"{error.where}: the keys of pseudonyms are gone, and names may be sealed with them"
            yield Check("secrets", "bad", gone, "put the file back; without it no start is made where names are sealed")
        else:
            yield Check("secrets", "unknown", "there are no keys of pseudonyms yet: the first start makes them")
    except AupstreamError as error:
        todo = error.hint or "see that the account that runs aupstream may read it, and nobody else"
        yield Check("secrets", "bad", f"{error.where}: {error.what}", todo)


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
        elif folders := [p for p in found if p.is_dir()]:
            todo = f"name files in it, such as {folders[0] / '*.log'}"
            yield Check(name, "bad", f"{folders[0]} is a folder", todo)
        elif unreadable := [p for p in found if not os.access(p, os.R_OK)]:
            todo = "give the account that collects leave to read it, e.g. by the group adm"
            yield Check(name, "bad", f"{unreadable[0]} cannot be read by this account", todo)
        else:
            number = f"{len(found)} {'file' if len(found) == 1 else 'files'}"
            if any(p.stat().st_size for p in found):
                yield Check(name, "ok", f"{path}: {number}")
            else:
                once = source.mode == "once"
                todo = "see whether its program writes it, and with this name" if once else ""
                yield Check(name, "warning" if once else "ok", f"{path}: {number}, and nothing in it", todo)


def clickhouse(config: Config, execute: Any) -> Iterator[Check]:
    """Whether tables are those of this release, room on its disks, its clock, and the keys of what it holds.

    Args:
        config: Says where the keys are.
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
    yield from _sealed(config, execute)
    with suppress(AupstreamError):
        for name, free in execute("SELECT name, free_space FROM system.disks"):
            state = "ok" if free >= ROOMY else "bad" if free < LEAST_FREE else "warning"
            yield Check(
                "ClickHouse", state, f"disk {name}: {free >> 20} MB are free", "" if state == "ok" else "make room"
            )


def _sealed(config: Config, execute: Any) -> Iterator[Check]:
    """Whether the keys are here that stored names are sealed with."""
    with suppress(AupstreamError):
        stored = stored_keys(execute) if config.privacy.on else []
        path = config.privacy.keys(config.data)
        try:
            lost = [key for key in stored if read(path).by_id(key) is None]
        except KeysMissingError:
            if stored:
                error = missing(str(path), stored)
                yield Check("secrets", "bad", f"{path}: {error.what}", error.hint)
            return
        if lost:
            what = f"names are sealed with keys that are not in {path}: {', '.join(lost)}"
            yield Check("secrets", "warning", what, "if there is another file of keys, name that one; they stay sealed")


def worst(checks: Sequence[Check]) -> State:
    """The worst state; what is unknown is no worse than ok."""
    order: tuple[State, ...] = ("bad", "warning")
    return next((state for state in order if any(c.state == state for c in checks)), "ok")
