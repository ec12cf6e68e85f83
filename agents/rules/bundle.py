"""All files that a rule set is read from, as one value: what is announced to workers, on whatever machine they are."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from agents.rules.loader import POLICY_FOLDER, load_rules
from agents.rules.model import RuleSet
from agents.rules.positions import read_documents
from agents.rules.reading import Beside
from agents.rules.shadow import in_shadow
from schemas.errors import RuleError, StateError

LAYOUT = 1
MAX_BYTES = 64_000_000  # of all files together
_KINDS = (".yml", ".yaml", ".txt", ".csv")  # rules, examples and pipelines, lists, expected keys
_NAMED = ("known-list", "expect")  # under `aupstream`: files that a rule names


@dataclass(frozen=True, slots=True)
class RuleSources:
    """Where rules are read from.

    Attributes:
        paths: Files and folders; none: the rules that come with aupstream.
        beside: Collections and pipelines.
        shadow: Ids of rules that record and notify nobody.
    """

    paths: tuple[Path, ...] = ()
    beside: Beside = field(default_factory=Beside)
    shadow: tuple[str, ...] = ()

    def load(self) -> RuleSet:
        """The rules.

        Raises:
            Errors: everything that is wrong with them.
        """
        return in_shadow(load_rules(self.paths or (POLICY_FOLDER,), self.beside), self.shadow)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rule files, packed.

    Attributes:
        version: 12 hexadecimal digits of a hash of what the files say and how they are called below the paths that were
            given; not of where those are, nor of when they were written.
        data: Compressed MessagePack.
    """

    version: str
    data: bytes


def pack_rules(sources: RuleSources) -> Bundle:
    """Read all files that rules are made of. The rules should have been loaded before: nothing is checked here.

    Raises:
        RuleError: a file cannot be read, or all of them are too large.
    """
    roots = {
        "rules": sources.paths or (POLICY_FOLDER,),
        "collections": sources.beside.collections,
        "pipelines": sources.beside.pipelines,
    }
    files: dict[str, bytes] = {}
    said: list[tuple[str, str, str]] = []
    for use, paths in roots.items():
        for number, root in enumerate(paths):
            for path, name in _files(root.absolute()):
                content = files[path.as_posix()] = _content(path)
                said.append((f"{use}{number}", name, blake2b(content, digest_size=16).hexdigest()))
                if sum(map(len, files.values())) > MAX_BYTES:
                    raise RuleError(f"the rules have more than {MAX_BYTES} bytes", where=str(root), hint="name less")
    plain = {
        "v": LAYOUT,
        "roots": {use: [path.absolute().as_posix() for path in paths] for use, paths in roots.items()},
        "shadow": sorted(sources.shadow),
        "files": files,
    }
    content = msgspec.json.encode([LAYOUT, sorted(said), plain["shadow"]])
    version = blake2b(content, digest_size=6, person=b"aup-rules").hexdigest()
    return Bundle(version, zlib.compress(msgspec.msgpack.encode(plain), 9))


def unpack_rules(data: bytes, folder: Path) -> RuleSources:
    """Write the files of a bundle below a folder, and say where they are.

    Raises:
        StateError: it is no bundle, or one of a newer release.
    """
    try:
        unpacker = zlib.decompressobj()
        plain = msgspec.msgpack.decode(unpacker.decompress(data, 4 * MAX_BYTES))
    except (zlib.error, msgspec.DecodeError) as error:
        raise StateError(f"announced rules cannot be read: {error}", hint="announce them again") from error
    if not isinstance(plain, dict) or plain.get("v") != LAYOUT:
        raise StateError("announced rules have another layout", hint="run the release that announced them")
    for name, content in plain["files"].items():
        path = _below(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return _sources(plain, folder)


def _sources(plain: dict[str, Any], folder: Path) -> RuleSources:
    rules, collections, pipelines = (
        tuple(_below(folder, name) for name in plain["roots"][use]) for use in ("rules", "collections", "pipelines")
    )
    return RuleSources(rules, Beside(collections, pipelines), tuple(plain["shadow"]))


def _below(folder: Path, name: str) -> Path:
    """Where a file of a bundle is put: what is on the topic must not write anywhere else."""
    parts = PurePosixPath(name).parts
    if ".." in parts:
        raise StateError(f"announced rules have a file {name!r}", hint="see who may write to the topic of rules")
    return folder.joinpath(*(part for part in parts if part != "/"))


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """Files below a root (or the root itself) and those that rules in them name, each with a name below the root."""
    if not root.is_dir():
        yield root, root.name
        yield from _named(root, root.parent)
        return
    for path in sorted(p for p in root.rglob("*") if p.suffix in _KINDS and p.is_file()):
        yield path, path.relative_to(root).as_posix()
        yield from _named(path, root)


def _named(file: Path, root: Path) -> Iterable[tuple[Path, str]]:
    content = _content(file)
    if file.suffix not in (".yml", ".yaml") or not any(key.encode() in content for key in _NAMED):
        return
    for document in read_documents(content.decode("utf-8-sig", "replace"), str(file))[0]:
        own = document.data.get("aupstream")
        names = [own[key] for key in _NAMED if isinstance(own.get(key), str)] if isinstance(own, dict) else []
        for name in names:
            path = Path(_normal(file.parent / name))
            if path.is_file():
                yield path, path.relative_to(root).as_posix() if path.is_relative_to(root) else name


def _normal(path: Path) -> str:
    """A path without `..`, links left as they are."""
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return str(Path(*parts))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RuleError(f"file cannot be read: {error.strerror}", where=str(path), hint="check permissions") from error
