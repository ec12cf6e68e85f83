"""The jars of Apache Kafka: fetched by pinned coordinate, refused unless their SHA-256 is the one in ``jars.lock``.

Jars are fetched by jgo (pure Python, no Maven and no system Java needed) into a staging folder, verified there and
only then moved into ``<cache>/jars``; so a download that is cut off never looks like a jar. Every start verifies every
jar. The first time that means reading it; later a stamp (size, modification and change time) of the verified file is
enough, because any write to the file changes it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.embedded.errors import DiskFullError, EmbeddedError, FolderError, JarDownloadError, JarMismatchError

LOCK_FILE: Final = Path(__file__).with_name("jars.lock")
_PARALLEL_DOWNLOADS: Final = 4
_TIMEOUT_SEC: Final = 30


@dataclass(frozen=True)
class Jar:
    """One line of the lock file."""

    coordinate: str
    sha256: str
    size_bytes: int

    @property
    def name(self) -> str:
        """File name, ``artifact-version.jar``."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(path: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """The jars of the lock file, in its order. Raises `FolderError` naming the line that cannot be read."""
    jars = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 3 or fields[0].count(":") != 2 or len(fields[1]) != 64 or not fields[2].isdigit():
            raise FolderError(
                "the line is not 'group:artifact:version sha256 size'",
                where=f"{path}:{number}",
                todo="Restore the file from the repository.",
            )
        jars.append(Jar(fields[0], fields[1], int(fields[2])))
    return tuple(jars)


def ensure(cache: Path, say: Callable[[str], None], jars: Iterable[Jar] | None = None) -> tuple[Path, ...]:
    """Paths of all jars, each verified; missing ones are fetched first, with progress through ``say``.

    Blocks for as long as the download takes (44 MB the first time), later for milliseconds. Raises `JarMismatchError`,
    `JarDownloadError` or `DiskFullError`; none of them leaves an unverified jar in ``<cache>/jars``.
    """
    wanted = tuple(read_lock() if jars is None else jars)
    folder = cache / "jars"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stamps = _read_stamps(folder)
        for jar in wanted:
            if (folder / jar.name).exists():
                _check_stored(folder / jar.name, jar, stamps)
        missing = [jar for jar in wanted if not (folder / jar.name).exists()]
        if missing:
            _Download(cache, say, missing).run()
            for jar in missing:
                stamps[jar.name] = _stamp(folder / jar.name, jar)
        _write_stamps(folder, stamps)
    except OSError as error:
        raise _disk_error(error, folder) from error
    return tuple(folder / jar.name for jar in wanted)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stamp(path: Path, jar: Jar) -> list[int | str]:
    status = path.stat()
    # The change time cannot be set by a program, unlike the modification time.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, jar.sha256]


def _check_stored(path: Path, jar: Jar, stamps: dict[str, list[int | str]]) -> None:
    if stamps.get(jar.name) == _stamp(path, jar):
        return
    found = sha256_of(path)
    if found != jar.sha256:
        raise JarMismatchError(
            f"the jar {jar.name} is not the pinned one: its SHA-256 is {found}, expected {jar.sha256}",
            where=str(path),
            todo="Nothing was started. Delete this file to fetch it again; if it comes back different, do not use it.",
        )
    stamps[jar.name] = _stamp(path, jar)


def _read_stamps(folder: Path) -> dict[str, list[int | str]]:
    """The stamps of verified jars. A file that cannot be read only costs a full verification."""
    try:
        return {str(name): list(stamp) for name, stamp in json.loads((folder / "verified.json").read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_stamps(folder: Path, stamps: dict[str, list[int | str]]) -> None:
    if stamps == _read_stamps(folder):
        return
    part = folder / f"verified.{os.getpid()}.part"
    part.write_text(json.dumps(stamps))
    os.replace(part, folder / "verified.json")


def _disk_error(error: OSError, folder: Path) -> EmbeddedError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            "the disk is full", where=str(folder), todo="Make room (the jars need 44 MB), then start again."
        )
    return FolderError(f"the jar cache cannot be used: {error}", where=str(folder), todo="Choose another cache folder.")


class _Download:
    """Fetches jars a few at a time into a staging folder of its own and moves the verified ones into the cache."""

    def __init__(self, cache: Path, say: Callable[[str], None], jars: list[Jar]) -> None:
        self._staging = cache / f"staging-{os.getpid()}"
        self._folder = cache / "jars"
        self._say = say
        self._jars = jars
        self._lock = threading.Lock()
        self._done = 0
        self._done_bytes = 0
        self._next_word = 0

    def run(self) -> None:
        total = sum(jar.size_bytes for jar in self._jars)
        self._say(f"fetching {len(self._jars)} jars of Apache Kafka, {total / 1e6:.1f} MB, into {self._folder}")
        # jgo warns about its own checksum; ours decides, and says more.
        logging.getLogger("jgo").setLevel(logging.ERROR)
        try:
            with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
                futures = [pool.submit(self._fetch, jar) for jar in self._jars]
                try:
                    for future in futures:
                        future.result()
                finally:
                    pool.shutdown(cancel_futures=True)
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _fetch(self, jar: Jar) -> None:
        path = _resolve(jar, self._staging)
        found = sha256_of(path)
        if found != jar.sha256:
            raise JarMismatchError(
                f"the jar {jar.name} came from the repository with SHA-256 {found}, expected {jar.sha256}",
                where=jar.coordinate,
                todo="Nothing was stored. Try again; if it stays different, do not use that repository.",
            )
        os.replace(path, self._folder / jar.name)
        self._count(jar)

    def _count(self, jar: Jar) -> None:
        with self._lock:
            self._done += 1
            self._done_bytes += jar.size_bytes
            total = sum(each.size_bytes for each in self._jars)
            percent = 100 * self._done_bytes // total
            if percent >= self._next_word or self._done == len(self._jars):
                self._next_word = percent + 10
                self._say(f"fetched {self._done} of {len(self._jars)} jars ({percent} %)")


def _resolve(jar: Jar, staging: Path) -> Path:
    """Fetch one jar with jgo, by coordinate, without looking at what it depends on: the lock file is complete."""
    # jgo is imported here because it pulls in requests and rich, which a start with a full cache does not need.
    import truststore  # noqa: PLC0415

    # Schools often look into TLS with an authority of their own, which the system trusts and a bundled list does not.
    # Before requests is imported: it makes a context of its own at once.
    truststore.inject_into_ssl()
    import jgo.maven  # noqa: PLC0415
    import requests  # noqa: PLC0415

    context = jgo.maven.MavenContext(repo_cache=staging, local_repos=[], timeout=_TIMEOUT_SEC)
    group, artifact, version = jar.coordinate.split(":")
    try:
        return context.project(group, artifact).at_version(version).artifact().resolve()
    except requests.RequestException as error:
        reason = "the Maven repository cannot be reached" if _is_offline(error) else "the download broke off"
        raise JarDownloadError(
            f"{reason}: {error}",
            where=jar.coordinate,
            todo="Check the network (or the proxy variables) and start again; jars that came through are kept.",
        ) from error
    except RuntimeError as error:
        raise JarDownloadError(
            f"the Maven repository does not give this jar: {error}",
            where=jar.coordinate,
            todo="Start again later, or copy the jar into the cache folder by hand.",
        ) from error


def _is_offline(error: Exception) -> bool:
    import requests  # noqa: PLC0415

    return isinstance(error, requests.ConnectionError | requests.Timeout)
