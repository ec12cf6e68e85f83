"""Only the pinned jars are run."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import pytest

from infra.embedded import DiskFullError, EmbeddedServers, FolderError, JarDownloadError, JarMismatchError, jars
from infra.embedded.jars import Jar
from tests.embedded.servers_fixture import jar_cache

CONTENT = b"a jar"
PINNED = Jar("org.example:thing:1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / PINNED.name).write_bytes(CONTENT)
    return tmp_path


def test_the_lock_names_every_jar_of_kafka_once() -> None:
    locked = jars.read_lock()
    assert len(locked) == 46
    assert len({jar.name for jar in locked}) == 46
    assert {"org.apache.kafka:kafka_2.13:4.1.1", "org.slf4j:slf4j-simple:1.7.36"} <= {jar.coordinate for jar in locked}
    assert {jar.coordinate.rpartition(":")[2] for jar in locked if ":kafka-clients:" in jar.coordinate} == {"4.1.1"}


def test_a_damaged_lock_line_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "jars.lock"
    lock.write_text("# fine\norg.example:thing 00 1\n")
    with pytest.raises(FolderError, match=r"jars.lock:2"):
        jars.read_lock(lock)


def test_a_verified_jar_is_not_read_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jars.ensure(cache, print, [PINNED]) == (cache / "jars" / PINNED.name,)
    monkeypatch.setattr(jars, "sha256_of", lambda path: pytest.fail(f"read {path}"))
    jars.ensure(cache, print, [PINNED])


@pytest.mark.parametrize("keep_times", [True, False])
def test_a_changed_jar_is_refused_by_name(cache: Path, *, keep_times: bool) -> None:
    jars.ensure(cache, print, [PINNED])
    path = cache / "jars" / PINNED.name
    before = path.stat()
    path.write_bytes(b"a jer")
    if keep_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(JarMismatchError, match=r"thing-1\.0\.jar is not the pinned one") as caught:
        jars.ensure(cache, print, [PINNED])
    assert caught.value.where == str(path)


def test_a_stamp_for_another_checksum_is_worth_nothing(cache: Path) -> None:
    jars.ensure(cache, print, [PINNED])
    other = Jar(PINNED.coordinate, "0" * 64, PINNED.size_bytes)
    with pytest.raises(JarMismatchError):
        jars.ensure(cache, print, [other])


def test_a_damaged_stamp_file_costs_a_verification_only(cache: Path) -> None:
    (cache / "jars" / "verified.json").write_text("[")
    jars.ensure(cache, print, [PINNED])
    assert PINNED.name in json.loads((cache / "jars" / "verified.json").read_text())


def test_no_network_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(JarDownloadError, match=r"cannot be reached.*thing.*Check the network"):
        jars.ensure(tmp_path, print, [PINNED])
    assert not list((tmp_path / "jars").glob("*.jar"))


def test_a_wrong_download_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(jar: Jar, staging: Path) -> Path:
        staging.mkdir(parents=True, exist_ok=True)
        path = staging / jar.name
        path.write_bytes(b"something else")
        return path

    monkeypatch.setattr(jars, "_resolve", fetched)
    with pytest.raises(JarMismatchError, match=r"thing-1\.0\.jar came from the repository"):
        jars.ensure(tmp_path, print, [PINNED])
    assert not list(tmp_path.rglob("*.jar"))


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(jar: Jar, staging: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(staging / jar.name))

    monkeypatch.setattr(jars, "_resolve", full)
    with pytest.raises(DiskFullError, match="Make room"):
        jars.ensure(tmp_path, print, [PINNED])


@pytest.mark.servers
def test_up_refuses_a_corrupted_jar_and_leaves_nothing_running(tmp_path: Path) -> None:
    jars.ensure(jar_cache(), print)
    cache = tmp_path / "cache" / "jars"
    cache.mkdir(parents=True)
    for path in (jar_cache() / "jars").glob("*.jar"):
        (cache / path.name).symlink_to(path)
    damaged = cache / "kafka-server-4.1.1.jar"
    content = bytearray(damaged.read_bytes())
    content[1000] ^= 1
    damaged.unlink()
    damaged.write_bytes(content)
    servers = EmbeddedServers(tmp_path / "data", cache=tmp_path / "cache", say=print)
    with pytest.raises(JarMismatchError, match=r"kafka-server-4\.1\.1\.jar"):
        servers.start()
    assert servers.pids == {}
