"""What a worker process is told at its start: one JSON file, written by whoever starts it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agents.context.calendar_settings import CalendarSettings
from schemas.kinds import DEAD_LETTERS, DETECTIONS, LEDGER, VIOLATIONS, EventKind
from schemas.logsettings import LogSettings
from schemas.traces import TraceSettings

_SERVER = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^:/\s\[\]]+)(?::(\d{1,5}))?")
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")

AGENTS = ("identify", "detect", "correlate", "persist", "notify")

INPUTS: dict[str, tuple[str, ...]] = {
    "identify": (EventKind.DHCP.topic, EventKind.LOGIN.topic),
    "detect": tuple(k.topic for k in EventKind),
    "correlate": (DETECTIONS,),
    "persist": (*(k.topic for k in EventKind), DEAD_LETTERS, LEDGER, VIOLATIONS),
    "notify": (VIOLATIONS,),
}


class SiteSettings(BaseModel):
    """A site: name, networks (CIDR), globs of its access points' names, where it is (degrees), other names of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    networks: tuple[str, ...] = ()
    access_points: tuple[str, ...] = ()
    latitude: float | None = None
    longitude: float | None = None
    also: tuple[str, ...] = ()


class DistrictSettings(BaseModel):
    """The district: what events are judged against.

    Attributes:
        kept: Folder of the versions of these files; set by who starts workers and commands, not by a district.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "district"
    timezone: str = "UTC"
    domains: tuple[str, ...] = ()
    sites: tuple[SiteSettings, ...] = ()
    calendar: CalendarSettings = CalendarSettings()
    policy: str = ""
    inventory: Path | None = None
    permits: Path | None = None
    roster: Path | None = None
    roles: Path | None = None
    kept: Path | None = None
    shared_networks: tuple[str, ...] = ()
    lists: Path | None = None
    dhcp_servers: tuple[str, ...] = ()
    categories: tuple[Path, ...] = ()
    category_names: dict[str, str] = Field(default_factory=dict)


class RouteSettings(BaseModel):
    """A line of the routing table: to whom what goes. Words are principal, supervisor, personnel, security."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: tuple[str, ...] = Field(min_length=1)
    clauses: tuple[int, ...] = ()
    least: Literal["informational", "low", "medium", "high", "critical"] = "informational"
    roles: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


class TeamSettings(BaseModel):
    """Mail addresses of those who are told by their office."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    personnel: tuple[str, ...] = ()
    security: tuple[str, ...] = ()


class MailSettings(BaseModel):
    """A mail server that alerts are handed to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: str = Field(description="Host, or host:port.")
    sender: str = Field(description="Address that messages are from.")
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca: str = Field(default="", description="File of trusted authorities (PEM); the system's without.")
    user: str = ""
    password_file: str = Field(default="", description="File with the password.")

    @field_validator("server")
    @classmethod
    def _a_server(cls, text: str) -> str:
        found = _SERVER.fullmatch(text)
        if found is None or not 1 <= int(found[1] or 1) <= 65_535:
            message = f"{text!r} is no server; write it like smtp.schools.example:587"
            raise ValueError(message)
        return text

    @field_validator("sender")
    @classmethod
    def _an_address(cls, text: str) -> str:
        if not _ADDRESS.fullmatch(text):
            message = f"{text!r} is no address; write it like aupstream@schools.example"
            raise ValueError(message)
        return text

    @model_validator(mode="after")
    def _whole(self) -> MailSettings:
        if bool(self.user) != bool(self.password_file):
            message = "user and password_file belong together; give both or neither"
            raise ValueError(message)
        if self.user and self.tls == "none":
            message = 'a password would be sent in the clear; use tls = "starttls"'
            raise ValueError(message)
        return self


class NotifySettings(BaseModel):
    """Where alerts go. Without a webhook and a mail server they are log lines only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: str | None = None
    mail: MailSettings | None = None
    timeout_s: float = 10.0
    tries: int = 25  # some five minutes: whoever is told may be restarting
    routes: tuple[RouteSettings, ...] = ()
    teams: TeamSettings = TeamSettings()
    names: bool = False  # accounts and addresses in place of pseudonyms; a student's name never


class AgentSettings(BaseModel):
    """Everything that an agent's process needs.

    Attributes:
        kafka: Bootstrap servers.
        clickhouse: clickhouse-driver DSN, with its password: the file is for the owner's eyes only.
        event_partitions: Partitions of every event topic and of the dead letters.
        detection_partitions: Partitions of `aup.detections`.
        state_partitions: Partitions of every state topic.
        checkpoint_s: Seconds between checkpoints.
        session_timeout_s: Kafka session time-out.
        machine: Name of this machine beside others that run agents; empty for the first of them.
        refused_in_a_row: So many messages one after the other become dead letters; at the next one the agent ends.
        status: Folder for one status file a worker; None: none are written.
        rules: Folders and files of rules.
        collections: Folders and files of other people's Sigma rules, of which what cannot run here is left out.
        pipelines: Folders and files of Sigma processing pipelines.
        shadow: Ids of rules that record and notify nobody.
        keys: File with the keys of pseudonyms; None: names are stored and told as they are.
        logs: How the process logs.
        traces: Where spans of traced batches go.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka: str
    clickhouse: str = Field(default="", repr=False)
    event_partitions: int = 4
    detection_partitions: int = 4
    state_partitions: int = 4
    checkpoint_s: float = 2.0
    session_timeout_s: float = 10.0
    machine: str = ""
    refused_in_a_row: int = 1_000
    status: Path | None = None
    rules: tuple[Path, ...] = ()
    collections: tuple[Path, ...] = ()
    pipelines: tuple[Path, ...] = ()
    shadow: tuple[str, ...] = ()
    keys: Path | None = None
    district: DistrictSettings = DistrictSettings()
    notify: NotifySettings = NotifySettings()
    logs: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()
