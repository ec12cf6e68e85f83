"""Released versions of the schemas: `schemas/avro/released/<name>/<n>.avsc`, and an index with their fingerprints.

A released version is never changed. It is what messages on topics and in archives may be written with.
`python -m schemas.releases` freezes the schemas as they stand as the next version, where they changed and are
compatible with all released ones: exit code 0, or 1 with the faults.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from schemas import registry
from schemas.errors import SchemaError

FOLDER = registry.FOLDER / "released"
INDEX = "index.json"


@cache
def versions(name: str, folder: Path = FOLDER) -> Mapping[int, dict[str, Any]]:
    """Released versions of a schema by number, oldest first; empty where none is released.

    Raises:
        SchemaError: a file is no schema, or the numbers have a gap.
    """
    paths = sorted((folder / name).glob("*.avsc"), key=lambda path: int(path.stem))
    if [int(path.stem) for path in paths] != list(range(1, len(paths) + 1)):
        raise SchemaError(
            f"released versions {[path.stem for path in paths]} are not 1, 2, 3 …",
            where=str(folder / name),
            hint="restore the missing files from version control",
        )
    return MappingProxyType({int(path.stem): registry.load(path) for path in paths})


@cache
def by_fingerprint(folder: Path = FOLDER) -> Mapping[int, tuple[str, dict[str, Any]]]:
    """Fingerprint to name and schema, of the schemas as they stand and of all released versions."""
    found: dict[int, tuple[str, dict[str, Any]]] = {}
    for name in registry.NAMES:
        for plain in [*versions(name, folder).values(), registry.schema(name)]:
            found[registry.fingerprint_of(plain)] = (name, plain)
    return MappingProxyType(found)


def index(folder: Path = FOLDER) -> dict[str, list[str]]:
    """Schema name to the fingerprints of its released versions, 16 hexadecimal digits each, from version 1 on."""
    return {
        name: [f"{registry.fingerprint_of(plain):016x}" for plain in versions(name, folder).values()]
        for name in registry.NAMES
    }


def release(folder: Path = FOLDER) -> dict[str, int]:
    """Freeze every schema that differs from its newest released version as the next one.

    Returns:
        Name to number of what was released now.

    Raises:
        SchemaError: one is not compatible with a released version; nothing is released then.
    """
    from schemas import compat  # noqa: PLC0415 - compat reads released versions

    changed = {name: registry.schema(name) for name in registry.NAMES if not _is_newest(name, folder)}
    faults = [
        f"{name}.avsc against released version {number}: {fault}"
        for name, plain in changed.items()
        for number, old in versions(name, folder).items()
        for fault in compat.full(plain, old)
    ]
    if faults:
        raise SchemaError("\n".join(faults), where=str(folder), hint="see python -m schemas.compat")
    done = {}
    for name in changed:
        done[name] = len(versions(name, folder)) + 1
        path = folder / name / f"{done[name]}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((registry.FOLDER / f"{name}.avsc").read_bytes())
    versions.cache_clear()
    by_fingerprint.cache_clear()
    (folder / INDEX).write_text(json.dumps(index(folder), indent=1) + "\n", "utf-8")
    return done


def _is_newest(name: str, folder: Path) -> bool:
    released = versions(name, folder)
    return bool(released) and released[len(released)] == registry.schema(name)


def main() -> int:
    """Release, and say what was."""
    try:
        done = release()
    except SchemaError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name, number in done.items():
        sys.stdout.write(f"{name} {number}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
