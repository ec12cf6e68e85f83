"""Names and words in the district's files that nobody knows: they load, and then permit, excuse or route nothing.

They are warnings only: a word may be the district's own, and somebody may be missing in the roster for a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agents.context.csvfile import read_text, rows
from agents.context.district import District
from agents.context.inventory import COLUMNS, OPTIONAL, Inventory
from agents.context.mac import normalise_mac
from agents.context.permit import Permit
from agents.context.permits import Permits
from agents.context.rosterroles import ROLES
from agents.context.whose import person_of
from agents.rules.loader import rule_files
from agents.rules.positions import Document, read_documents
from agents.settings import RouteSettings
from infra.config_errors import ConfigFile
from infra.run.checks import Check
from schemas.errors import AupstreamError

MOST = 20  # of one file; how many more there are is told
KINDS = frozenset(
    "laptop desktop chromebook tablet phone printer copier scanner server camera display projector thermostat "
    "appliance clock doorbell switch router ap shared cart lab kiosk".split()
)
_ROLE_FIELDS, _KIND_FIELD = ("person_roles", "user_roles"), "source_device_kind"
_PLAIN = frozenset({"contains", "startswith", "endswith", "all", "cased"})  # modifiers that leave a word a word


def permits(book: Permits, inventory: Inventory, now_us: int) -> Iterator[Check]:
    """Permits that are not over, of whom nobody knows or that were granted by one who may not."""
    return _some("permits", _permits(book, inventory, now_us))


def _permits(book: Permits, inventory: Inventory, now_us: int) -> Iterator[Check]:
    district = book.district
    people = list(_names(district))
    for permit in book.permits:
        if permit.end_us <= now_us:
            continue
        if _is_nobody(permit, district, inventory):
            todo = _near(permit.who, people, "name an account or address of the roster, or a device of the inventory")
            yield _doubt("permits", permit.where, f"{permit.who!r} is nobody, and permitted nothing", todo)
        if why := book.refused.get(permit.id, ""):
            todo = "have it granted by who answers for them"
            if person_of(district, permit.granted_by) is None:
                todo = _near(permit.granted_by, people, todo)
            yield _doubt("permits", permit.where, f"the permit counts for nothing: {why}", todo)


def _is_nobody(permit: Permit, district: District, inventory: Inventory) -> bool:
    mac = normalise_mac(permit.who)
    if mac is not None:
        return inventory.present and inventory.device(mac) is None
    listed = permit.who.strip().lower() in district.lists.lists
    return district.roster.present and not listed and person_of(district, permit.who) is None


def inventory(path: Path, district: District, asked: Iterable[str]) -> Iterator[Check]:
    """Kinds of devices that are no word of ours and of no rule, and owners that are nobody.

    Args:
        path: The inventory, which can be read.
        district: Its people.
        asked: Kinds that rules ask for.
    """
    return _some("inventory", _inventory(path, district, KINDS | set(asked)))


def _inventory(path: Path, district: District, kinds: frozenset[str]) -> Iterator[Check]:
    people, seen = list(_names(district)), set[str]()
    for where, row in rows(read_text(path), str(path), COLUMNS, [], optional=OPTIONAL):
        kind, owner = row["kind"].lower(), row["owner"]
        if kind and kind not in kinds and kind not in seen:
            seen.add(kind)  # once: all devices of a kind are meant
            todo = _near(kind, kinds, f"known: {', '.join(sorted(kinds))}; `shared` is for devices of many people")
            yield _doubt("inventory", where, f"{kind!r} is no kind of device that is known", todo)
        if owner and district.roster.present and person_of(district, owner) is None:
            todo = _near(owner, people, "name an account or address of the roster, or nobody")
            yield _doubt("inventory", where, f"the owner {owner!r} is nobody in the roster", todo)


def roles(
    district: District,
    routes: Sequence[RouteSettings],
    duty: Iterable[str],
    documents: Iterable[Document],
    file: ConfigFile,
) -> Iterator[Check]:
    """Roles that routing, the calendar or rules ask for, and nobody has or is known to have.

    Args:
        district: Its people.
        routes: The district's own lines.
        duty: Roles with duty hours of their own.
        documents: Of the rules.
        file: Where routes and calendar stand.
    """
    known = ROLES | {role for person in district.roster.people.values() for role in person.roles}
    named = [
        (role, file.where(("notify", "routes", number, "roles", place)))
        for number, route in enumerate(routes)
        for place, role in enumerate(route.roles)
    ]
    named += [(role.lower(), file.where(("district", "calendar", "duty_by_role", role))) for role in duty]
    named += [(role, where) for role, where in asked_for(documents, _ROLE_FIELDS)]
    found = (
        _doubt("roles", where, f"{role!r} is no role that is known", _near(role, known, "add it in the roster"))
        for role, where in named
        if role not in known
    )
    return _some("roles", found)


def kinds_asked_for(documents: Iterable[Document]) -> set[str]:
    """Kinds of devices that rules ask for."""
    return {kind for kind, _ in asked_for(documents, (_KIND_FIELD,))}


def asked_for(documents: Iterable[Document], fields: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Words that the selections of rules look for in some fields, lower case, and where they stand."""
    for document in documents:
        for name, selection in _selections(document):
            for field, value in selection.items():
                plain, *modifiers = field.split("|")
                if plain not in fields or not _PLAIN.issuperset(modifiers):
                    continue
                for number, word in enumerate(value if isinstance(value, list) else [value]):
                    if isinstance(word, str) and not set(word) & set("*?\\%"):
                        yield word.lower(), document.where("detection", *name, field, number)


def _selections(document: Document) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    detection = document.data.get("detection")
    for name, selection in detection.items() if isinstance(detection, dict) else ():
        for number, one in enumerate(selection if isinstance(selection, list) else [selection]):
            if isinstance(one, dict):
                yield ((name, number) if isinstance(selection, list) else (name,)), one


def documents_of(paths: Iterable[Path]) -> list[Document]:
    """Documents of rule files that can be read; what is wrong with the others is told elsewhere."""
    found: list[Document] = []
    for path in rule_files(paths):
        try:
            found += read_documents(read_text(path), str(path))[0]
        except AupstreamError:
            continue
    return found


def _names(district: District) -> Iterator[str]:
    for person in district.roster.people.values():
        yield person.account
        yield from person.mail


def _near(word: str, known: Iterable[str], otherwise: str) -> str:
    close = get_close_matches(word.strip().lower(), known, n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else otherwise


def _doubt(name: str, where: str, what: str, todo: str) -> Check:
    return Check(name, "warning", f"{where}: {what}", f"{where}: {todo}")


def _some(name: str, found: Iterable[Check]) -> Iterator[Check]:
    """The first of them, and how many there are besides."""
    more = 0
    for number, check in enumerate(found):
        if number < MOST:
            yield check
        else:
            more += 1
    if more:
        yield Check(name, "warning", f"{more} more like these", "correct those, and look again")
