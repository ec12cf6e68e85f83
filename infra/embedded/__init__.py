"""Apache Kafka and ClickHouse for one machine, under one data folder: no system Java, Docker or Maven."""

from infra.embedded.endpoints import ANALYST, DATABASE, USER, Endpoints, Layout, read_endpoints
from infra.embedded.errors import (
    AlreadyRunningError,
    DiskFullError,
    EmbeddedError,
    FolderError,
    JarDownloadError,
    JarMismatchError,
    PortTakenError,
    SelfTestError,
    StartError,
)
from infra.embedded.servers import EmbeddedServers, Health

__all__ = [
    "ANALYST",
    "DATABASE",
    "USER",
    "AlreadyRunningError",
    "DiskFullError",
    "EmbeddedError",
    "EmbeddedServers",
    "Endpoints",
    "FolderError",
    "Health",
    "JarDownloadError",
    "JarMismatchError",
    "Layout",
    "PortTakenError",
    "SelfTestError",
    "StartError",
    "read_endpoints",
]
