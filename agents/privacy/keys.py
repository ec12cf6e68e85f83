"""The keys of pseudonyms: one file outside the data folder, which only its owner can read.

One line a key: id, 64 hexadecimal digits, when it was made. The last one makes new pseudonyms; the others are kept,
because what an older one made can only be read with it. A lost file cannot be made again: names stay sealed for ever.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from schemas.errors import ConfigError
from schemas.sealing import Sealer

_LINE = re.compile(r"([0-9a-f]{4}) ([0-9a-f]{64}) (\S+)")
_HEAD = "# Keys of aupstream's pseudonyms, the newest last. Keep this file secret, and keep a copy of it.\n"


class KeysMissingError(ConfigError):
    """There is no file of keys."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        secret: 256 random bits.
        made: When, ISO 8601 in UTC.
    """

    secret: bytes
    made: str = ""

    @property
    def id(self) -> str:
        """4 hexadecimal digits that follow from the secret, so that a line that was changed shows."""
        return self.derived(b"id")[:2].hex()

    def derived(self, purpose: bytes) -> bytes:
        """A key of 256 bits for one purpose: keys of different purposes say nothing of each other."""
        return _derived(self.secret, purpose)


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys of a file, the newest last. At least one."""

    keys: tuple[Key, ...]

    @property
    def newest(self) -> Key:
        """The one that new pseudonyms are made with."""
        return self.keys[-1]

    def sealer(self, key_id: str = "") -> Sealer | None:
        """What seals lines with the newest key, or opens those sealed with a key; None: that key is not here."""
        key = self.by_id(key_id) if key_id else self.newest
        return None if key is None else Sealer(key.id, key.derived(b"dead letters"))

    def by_id(self, key_id: str) -> Key | None:
        """The key of an id."""
        return next((key for key in self.keys if key.id == key_id), None)


@lru_cache(maxsize=256)
def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, b"aupstream 1 " + purpose, "sha256")


def read(path: Path) -> Keyring:
    """Read a key file.

    Raises:
        KeysMissingError: it is missing.
        ConfigError: others may read it, or a line is wrong.
    """
    where = str(path)
    try:
        text, mode = path.read_text("ascii"), path.stat().st_mode & 0o777
    except FileNotFoundError as error:
        hint = "bring back your copy of it, or set privacy.key_file; `aupstream run` and `up` make one where none was"
        raise KeysMissingError("there is no file with the keys of pseudonyms", where=where, hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the keys of pseudonyms cannot be read: {error}", where=where) from error
    if mode & 0o077:
        raise ConfigError(f"others may use the keys of pseudonyms (mode {mode:04o})", where=where, hint="chmod 600")
    keys = [_key(line, f"{where}:{n}") for n, line in enumerate(text.splitlines(), 1) if line and line[0] != "#"]
    if not keys:
        raise ConfigError("the file holds no key", where=where, hint="bring back your copy of it")
    return Keyring(tuple(keys))


def ensure(path: Path) -> Keyring:
    """Read a key file; made with one key and mode 0600 where there is none.

    Raises:
        ConfigError: as `read`, or it cannot be made.
    """
    if not path.exists():
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = _write(path, [_new(())])
            # Another process may make one at the same moment: the first one stands.
            with contextlib.suppress(FileExistsError):
                os.link(part, path)
            part.unlink()
        except OSError as error:
            hint = "set privacy.key_file to a place that can be written, outside the data folder"
            raise ConfigError(f"no keys can be made: {error.strerror}", where=str(path), hint=hint) from error
    return read(path)


def rotate(path: Path) -> Keyring:
    """Add a key, which makes pseudonyms from now on; all older ones are kept.

    Raises:
        ConfigError: as `read`, or the file cannot be written.
    """
    keys = read(path).keys
    made = Keyring((*keys, _new(keys)))
    try:
        os.replace(_write(path, made.keys), path)
    except OSError as error:
        raise ConfigError(f"the key cannot be added: {error.strerror}", where=str(path)) from error
    return made


def _key(line: str, where: str) -> Key:
    found = _LINE.fullmatch(line.strip())
    key = None if found is None else Key(bytes.fromhex(found[2]), found[3])
    if found is None or key is None or key.id != found[1]:
        raise ConfigError("this line is no key", where=where, hint="bring back your copy of the file")
    return key


def _new(others: tuple[Key, ...]) -> Key:
    """A key whose id no other has."""
    while True:
        key = Key(secrets.token_bytes(32), datetime.now(UTC).isoformat(timespec="seconds"))
        if all(key.id != other.id for other in others):
            return key


def _write(path: Path, keys: list[Key] | tuple[Key, ...]) -> Path:
    """A file beside `path`, 0600 from its first byte on."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(_HEAD)
        file.writelines(f"{key.id} {key.secret.hex()} {key.made}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    return part
