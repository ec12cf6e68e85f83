"""The keys of pseudonyms at a start: read where they are, and made where nothing was ever sealed with others."""

from __future__ import annotations

from collections.abc import Callable

from agents.privacy.keys import ensure, read
from infra.config import Config
from schemas.errors import ConfigError

_SEALED = "SELECT DISTINCT key_id FROM sealed_names"
_LETTERS = "SELECT DISTINCT sealed_with FROM dead_letters WHERE sealed_with != ''"


def look(config: Config) -> None:
    """Before anything is started: whether keys that are here can be used.

    Raises:
        ConfigError: they cannot, or this is another machine than the first and has none.
    """
    if not config.privacy.on:
        return
    path = config.privacy.keys(config.data)
    if path.exists():
        read(path)
    elif config.agents.machine:
        hint = f"copy {path.name} of the first machine: with other keys the same name is two pseudonyms"
        raise ConfigError("the keys of pseudonyms are not here", where=str(path), hint=hint)


def settle(config: Config, execute: Callable[[str], list[tuple[str]]], say: Callable[[str], None]) -> None:
    """Before anything is stored: make keys where there are none, and hold them against what is stored.

    Args:
        config: Where they are.
        execute: Asks ClickHouse.
        say: Told of new keys, and of stored names that these do not open.

    Raises:
        ConfigError: there are none, and names were sealed with some: with new ones the same name were two pseudonyms,
            and whoever brings back the old ones had to choose. Or they cannot be used.
    """
    if not config.privacy.on:
        return
    path, stored = config.privacy.keys(config.data), stored_keys(execute)
    new = not path.exists()
    if new and stored:
        raise missing(str(path), stored)
    keyring = ensure(path)
    if new:
        say(f"made the keys of pseudonyms: {path}; keep a copy, names cannot be read without it")
    lost = [key_id for key_id in stored if keyring.by_id(key_id) is None]
    if lost:
        say(f"names were sealed with keys that are not here ({', '.join(lost)}): they cannot be unmasked")


def stored_keys(execute: Callable[[str], list[tuple[str]]]) -> list[str]:
    """Ids of all keys that something in ClickHouse is sealed with."""
    return sorted({key_id for query in (_SEALED, _LETTERS) for (key_id,) in execute(query)})


def missing(path: str, stored: list[str]) -> ConfigError:
    """That the file is not there, and names are sealed with what was in it."""
    what = f"the keys of pseudonyms are not here, and ClickHouse holds names sealed with {', '.join(stored)}"
    hint = (
        "copy the file back, or name it by privacy.key_file; if it is lost for ever, `aupstream privacy rotate --new` "
        "begins with a new key, and those names stay sealed"
    )
    return ConfigError(what, where=path, hint=hint)
