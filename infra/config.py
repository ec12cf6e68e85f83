"""The configuration: one TOML file and the environment, typed, every mistake named with file and key.

Environment variables win over the file: `AUPSTREAM_` and the key, sections joined by two underscores, e.g.
`AUPSTREAM_KAFKA__BOOTSTRAP` or `AUPSTREAM_CLICKHOUSE__DSN`. Paths are relative to the file they stand in; those
from the environment to the working directory.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from agents.rules.reading import Beside
from agents.settings import AgentSettings, DistrictSettings, NotifySettings
from infra.config_errors import ConfigFile, contradictions, unknown_types
from infra.listening import Listener, expanded, listening
from infra.privacy_settings import Privacy, resolve_keys
from schemas.errors import AupstreamError, ConfigError, Errors
from schemas.kafkaaddress import KafkaAddress
from schemas.logsettings import LogSettings
from schemas.traces import TraceSettings
from streams.config import SourceConfig
from streams.listen.settings import ListenerConfig
from streams.normalisers.custom.spec import FormatSpec
from streams.sources.kafka_topic import KAFKA

_STRICT = ConfigDict(frozen=True, extra="forbid")
_KAFKA_FILES = ("ca", "certificate", "key", "password_file", "token_file")


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone; use a name such as America/Denver") from error
    return name


def _dsn(text: str) -> str:
    """A DSN that can be taken apart: the words of others for one that cannot quote the password."""
    try:
        parts = urlsplit(text)
        good = not text or (parts.scheme in ("clickhouse", "clickhouses") and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        good = False
    if not good:
        raise ValueError(
            "this is no DSN; write clickhouse://user:password@host:port/database, with / ? # [ ] of a password as "
            "%2F %3F %23 %5B %5D"
        )
    return text


Zone = Annotated[str, AfterValidator(_zone)]
Dsn = Annotated[str, AfterValidator(_dsn)]
_NOT_THE_COLLECTORS = ("partitions", "listener", "programs", "hosts", "senders", "otherwise")


class Source(BaseModel):
    """One `[[sources]]` table."""

    model_config = _STRICT

    name: str | None = Field(default=None, description="Name, part of every event id; default: the type.")
    type: str = Field(description="A type of `aupstream normalise --list`, or one of [formats].")
    path: str = Field(default="-", description="File, pattern for files, kafka://TOPIC, or - for standard input.")
    mode: str = Field(default="once", pattern="^(once|follow)$", description="once or follow")
    timezone: Zone | None = Field(default=None, description="Zone of times without one; default: the district's.")
    year: int | None = Field(default=None, ge=1970, le=2200)
    lateness_s: float = Field(default=30.0, ge=0)
    join_max_s: int = Field(default=86_400, ge=1)
    jump_max_s: float = Field(default=30 * 86_400.0, ge=0)
    batch_rows: int = Field(default=5_000, ge=1, le=100_000)
    block_bytes: int = Field(default=1 << 20, ge=1)
    linger_ms: int = Field(default=250, ge=0)
    idle_covers_s: float | None = Field(default=30.0, ge=0, description="A quiet followed log covers time after this.")
    encoding: str = "utf-8"
    keep_subject: bool = Field(default=False, description="Mail: store subjects themselves, not their hash alone.")
    mask_parameters: tuple[str, ...] = Field(default=(), description="URL parameters whose values are masked too.")
    options: dict[str, str | int | float | bool] = Field(default_factory=dict, description="Settings of the type.")
    max_content_bytes: int = Field(default=64 << 30, ge=1, description="Content of a compressed file at most.")
    partitions: int = Field(
        default=1, ge=1, le=1_024, description="Of a kafka:// topic: NAME-0, NAME-1, … read one each."
    )
    listener: str | None = Field(default=None, description="In place of path: lines that a listener receives.")
    programs: tuple[str, ...] = Field(default=(), description="Of those only of these programs; * and ? match any.")
    hosts: tuple[str, ...] = Field(default=(), description="Only of these hosts.")
    senders: tuple[str, ...] = Field(default=(), description="Only from these networks, e.g. 10.1.0.0/16.")
    otherwise: bool = Field(default=False, description="Takes what no source of the listener takes.")

    def collector(self, district_zone: str, formats: Mapping[str, FormatSpec]) -> SourceConfig:
        """What the collector is told. Raises `ConfigError`."""
        given = self.model_dump(exclude={"name", "timezone", "mask_parameters", *_NOT_THE_COLLECTORS})
        return SourceConfig(
            name=self.name or self.type,
            timezone=ZoneInfo(self.timezone or district_zone),
            mask_parameters=frozenset(name.lower() for name in self.mask_parameters),
            format=formats.get(self.type),
            **given,
        )


class Kafka(BaseModel):
    """`[kafka]`: empty means the embedded one."""

    model_config = _STRICT

    bootstrap: str = ""
    tls: bool = Field(default=False, description="Encrypted; also where ca or certificate is named.")
    ca: str = Field(default="", description="File of trusted authorities (PEM); the system's without.")
    certificate: str = Field(default="", description="File of our own certificate (PEM).")
    key: str = Field(default="", description="File of its key.")
    mechanism: str = Field(default="", description="SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or PLAIN.")
    user: str = ""
    password_file: str = Field(default="", description="File with the password.")
    token_file: str = Field(default="", description="File with the bearer token, kept fresh by others.")
    event_partitions: int = Field(default=4, ge=1, le=512)
    detection_partitions: int = Field(default=4, ge=1, le=512)
    replication: int = Field(default=1, ge=1, le=10)
    heap_mb: int = Field(default=512, ge=128, description="Java heap of the embedded one.")

    @property
    def address(self) -> str:
        """Servers with TLS and login, as `schemas.kafkaaddress` reads them; empty for the embedded one.

        Raises:
            ConfigError: settings do not fit each other.
        """
        if not self.bootstrap or "?" in self.bootstrap:
            return self.bootstrap  # handed down by whoever started this process
        given = {name: getattr(self, name) for name in ("mechanism", "user", *_KAFKA_FILES)}
        address = KafkaAddress(self.bootstrap, tls="1" if self.tls else "", **given)
        address.check()
        return str(address)


class ClickHouse(BaseModel):
    """`[clickhouse]`: empty means the embedded one."""

    model_config = _STRICT

    dsn: Dsn = Field(default="", repr=False, description="clickhouse://user:password@host:port/database")
    analyst_dsn: Dsn = Field(default="", repr=False, description="The same as an analyst, for `aupstream sql`.")


class Workers(BaseModel):
    """`[agents]`: processes of each agent, and how often they save."""

    model_config = _STRICT

    identify: int = Field(default=1, ge=1, le=64)
    detect: int = Field(default=1, ge=1, le=64)
    correlate: int = Field(default=1, ge=1, le=64)
    persist: int = Field(default=1, ge=1, le=64)
    notify: int = Field(default=1, ge=1, le=64)
    checkpoint_s: float = Field(default=2.0, gt=0)
    session_timeout_s: float = Field(default=10.0, ge=6)
    machine: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9._-]{0,60}$",
        description="A name of its own for each further machine that runs agents; the first has none.",
    )
    refused_in_a_row: int = Field(
        default=1_000, ge=1, description="Messages that are refused one after the other before an agent stops."
    )
    source_absent_after_s: float = Field(
        default=600.0, ge=10, description="A source that is not heard of for so long, while Kafka is there, is absent."
    )
    rejudge_s: float = Field(
        default=300.0, ge=1, description="How often late leases, logins and permits are looked for."
    )


class Health(BaseModel):
    """`[health]`: liveness, readiness and metrics over HTTP."""

    model_config = _STRICT

    listen: str = Field(
        default="",
        pattern=r"^(off|.+:\d{1,5})?$",
        description="host:port for /live, /ready and /metrics; empty or off: nowhere.",
    )


class Rules(BaseModel):
    """`[rules]`: folders and files; empty means the policy pack that comes with aupstream."""

    model_config = _STRICT

    paths: tuple[Path, ...] = ()
    collections: tuple[Path, ...] = Field(
        default=(), description="Other people's Sigma rules: what cannot run here is left out and counted."
    )
    pipelines: tuple[Path, ...] = Field(default=(), description="Sigma processing pipelines, applied to all rules.")
    shadow: tuple[str, ...] = Field(default=(), description="Rules that record and notify nobody, by id.")

    @property
    def beside(self) -> Beside:
        """What stands beside the rules."""
        return Beside(self.collections, self.pipelines)


class Config(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="AUPSTREAM_", env_nested_delimiter="__", env_ignore_empty=True
    )

    data: Path = Field(Path("data"), description="Folder for everything that is kept.")
    district: DistrictSettings = DistrictSettings()
    sources: tuple[Source, ...] = ()
    listeners: tuple[Listener, ...] = ()
    formats: dict[str, FormatSpec] = Field(default_factory=dict, description="Log formats of one's own, by name.")
    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    agents: Workers = Workers()
    rules: Rules = Rules()
    notify: NotifySettings = NotifySettings()
    health: Health = Health()
    privacy: Privacy = Privacy()
    logs: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose values come in as arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    def collectors(self) -> list[SourceConfig]:
        """What each source's collector is told.

        Raises:
            Errors: every source that is wrong; two of one name among them.
        """
        errors: list[AupstreamError] = []
        made: list[SourceConfig] = []
        for i, source in enumerate(self.sources):
            try:
                plain = source.collector(self.district.timezone, self.formats)
                made += expanded(source, plain, self.listeners, self.data.absolute(), self.kafka.address)
            except ConfigError as error:
                errors.append(error)
            name = source.name or source.type
            if any((s.name or s.type) == name for s in self.sources[:i]):
                where = f"sources.{i + 1}.name"
                errors.append(ConfigError(f"two sources are called {name!r}", where=where, hint="give each its own"))
        if errors:
            raise Errors(errors)
        return made

    @property
    def permit_log(self) -> Path:
        """Where permits are that were entered with `aupstream permits`."""
        return self.data.absolute() / "permits.jsonl"

    def listening(self) -> list[ListenerConfig]:
        """What each listener is told.

        Raises:
            Errors: every listener that is wrong.
        """
        return listening(self.listeners, self.sources, self.data.absolute())

    def agent_settings(self, kafka: str, clickhouse: str, status: Path) -> AgentSettings:
        """What worker processes are told."""
        return AgentSettings(
            kafka=kafka,
            clickhouse=clickhouse,
            event_partitions=self.kafka.event_partitions,
            detection_partitions=self.kafka.detection_partitions,
            checkpoint_s=self.agents.checkpoint_s,
            session_timeout_s=self.agents.session_timeout_s,
            machine=self.agents.machine,
            refused_in_a_row=self.agents.refused_in_a_row,
            status=status,
            rules=self.rules.paths,
            collections=self.rules.collections,
            pipelines=self.rules.pipelines,
            shadow=self.rules.shadow,
            district=self.district,
            notify=self.notify,
            logs=self.logs,
            traces=self.traces,
            keys=self.privacy.keys(self.data) if self.privacy.on else None,
        )


_PATHS = (
    ("data",), ("district", "inventory"), ("district", "permits"), ("district", "roster"), ("district", "lists"),
    ("district", "roles"),
    *(("kafka", key) for key in _KAFKA_FILES), ("notify", "mail", "ca"), ("notify", "mail", "password_file"),
)  # fmt: skip


def file_of(path: Path | None) -> ConfigFile:
    """A configuration file as it is written, to say where something stands. Raises `ConfigError`."""
    text, data = ("", {}) if path is None else _read(path)
    return ConfigFile(path, text, {**data})


def load(path: Path | None) -> Config:
    """Read a configuration file; None: defaults and the environment only.

    Raises:
        ConfigError: the file cannot be read or is no TOML, or a variable of a section is no JSON.
        Errors: every key that is wrong, with line and column.
    """
    file = file_of(path)
    data = {**file.data}
    if path is not None:
        _resolve(data, path.absolute().parent)
    try:
        config = Config(**data)
    except ValidationError as error:
        raise Errors([*map(file.mistake, error.errors()), *unknown_types(file)]) from error
    except SettingsError as error:  # names the field and never its value, which may be a password
        hint = "a section's own variable takes JSON; one key of it is set by AUPSTREAM_SECTION__KEY"
        raise ConfigError(str(error), where="environment (AUPSTREAM_…)", hint=hint) from error
    if wrong := [*unknown_types(file), *contradictions(config, file)]:
        raise Errors([*wrong])
    return config


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError as error:
        hint = "name another with --config, or make one with `aupstream simulate` to start from"
        raise ConfigError("there is no such configuration file", where=str(path), hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"this is no TOML: {error}", where=str(path)) from error


def _resolve(data: dict[str, Any], folder: Path) -> None:
    """Make paths absolute; wrong types are left for the validation to name."""
    for *sections, key in _PATHS:
        table: Any = data
        for section in sections:
            table = table.get(section, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
            table[key] = str(folder / table[key])
    district = data.get("district", {})
    if isinstance(district, dict) and isinstance(district.get("categories"), list):
        district["categories"] = [str(folder / p) if isinstance(p, str) else p for p in district["categories"]]
    data.setdefault("data", str(folder / "data"))
    resolve_keys(data, folder)
    sources = data.get("sources", [])
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict) and isinstance(path := source.get("path"), str) and path != "-":
            source["path"] = path if path.startswith(KAFKA) else str(folder / path)
    listeners = data.get("listeners", [])
    for listener in listeners if isinstance(listeners, list) else []:
        for key in ("certificate", "key", "client_ca"):
            if isinstance(listener, dict) and isinstance(listener.get(key), str):
                listener[key] = str(folder / listener[key])
    rules = data.get("rules", {})
    for key in ("paths", "collections", "pipelines"):
        if isinstance(rules, dict) and isinstance(rules.get(key), list):
            rules[key] = [str(folder / p) if isinstance(p, str) else p for p in rules[key]]


__all__ = ["Config", "Source", "load"]
