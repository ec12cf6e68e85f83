"""A roster out of OneRoster CSV, versions 1.1 and 1.2: a folder or a ZIP of `users.csv`, `orgs.csv` and so on.

Read are users, orgs, enrollments, classes and, of 1.2, roles; demographics are never opened, names never kept. A user's
account is `username`. Who is guardian of a student is said by `agentSourcedIds`. OneRoster knows no supervisors: a
building's principal is the supervisor of its other staff. A wrong file is refused whole, with every row that is wrong.

Facts: 1EdTech, "OneRoster 1.1 and 1.2 CSV binding": files, columns, vocabularies of roles and status.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from agents.context.csvfile import MAX_BYTES, raise_all, read_text, rows
from agents.context.roster import PRINCIPAL, STUDENT, Person, Roster, check
from schemas.errors import ConfigError

FILES: Mapping[str, tuple[str, ...]] = {
    "users": ("sourcedId", "username"),
    "orgs": ("sourcedId", "name"),
    "classes": ("sourcedId",),
    "enrollments": ("sourcedId", "classSourcedId", "userSourcedId"),
}
ROLES_FILE = ("userSourcedId", "role")
FAMILY = frozenset({"guardian", "parent", "relative"})
_GONE = "tobedeleted"
_ADMINISTRATORS = frozenset({"siteadministrator", "schooladministrator", "principal"})

Row = tuple[str, dict[str, str]]


def is_oneroster(path: Path) -> bool:
    """True for a folder or a ZIP file, which OneRoster comes as."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def read_oneroster(path: Path) -> Roster:
    """Read a folder or ZIP of OneRoster CSV.

    Raises:
        ConfigError: it cannot be read.
        Errors: of `ConfigError`, every row of every file that is wrong.
    """
    errors: list[ConfigError] = []
    texts = _texts(path)
    tables: dict[str, list[Row]] = {}
    for name, columns in FILES.items():
        where = f"{path}/{name}.csv"
        if name not in texts:
            errors.append(ConfigError("file is missing", where=where, hint="OneRoster needs it; see its manifest"))
            continue
        tables[name] = _table(texts[name], where, columns, errors)
    if "roles" in texts:
        tables["roles"] = _table(texts["roles"], f"{path}/roles.csv", ROLES_FILE, errors)
    people, places = _people(tables, errors) if len(tables) >= len(FILES) else ([], [])
    check(people, places, errors)
    raise_all(errors)
    return Roster.of(_supervised(people))


def _texts(path: Path) -> dict[str, str]:
    """Content of the CSV files by lower-case stem."""
    if path.is_dir():
        wanted = {*FILES, "roles"}
        return {p.stem.lower(): read_text(p) for p in sorted(path.glob("*.csv")) if p.stem.lower() in wanted}
    found: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as packed:
            for info in packed.infolist():
                stem = Path(info.filename).stem.lower()
                if stem not in {*FILES, "roles"} or not info.filename.lower().endswith(".csv"):
                    continue
                if info.file_size > MAX_BYTES:
                    where = f"{path}/{info.filename}"
                    raise ConfigError(f"file has more than {MAX_BYTES} bytes", where=where, hint="split or thin it out")
                found[stem] = packed.read(info).decode("utf-8-sig")
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, RuntimeError, NotImplementedError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path), hint="it must be a ZIP of CSV UTF-8") from error
    return found


def _table(text: str, where: str, columns: tuple[str, ...], errors: list[ConfigError]) -> list[Row]:
    """Rows whose columns are spelled in lower case, without those that are to be deleted."""
    lowered = tuple(column.lower() for column in columns)
    return [
        (place, row)
        for place, row in rows(text, where, lowered, errors, optional=None)
        if row.get("status", "").lower() != _GONE
    ]


def _people(tables: Mapping[str, list[Row]], errors: list[ConfigError]) -> tuple[list[Person], list[str]]:
    orgs = {row["sourcedid"]: row["name"] for _, row in tables["orgs"]}
    schools = {row["sourcedid"] for _, row in tables["orgs"] if row.get("type", "school").lower() == "school"}
    classes = {row["sourcedid"] for _, row in tables["classes"]}
    users = {row["sourcedid"]: row for _, row in tables["users"]}
    enrolled = _enrolled(tables["enrollments"], classes, users, errors)
    roles = _roles(tables.get("roles", []), users, errors)
    people: list[Person] = []
    places: list[str] = []
    for where, row in tables["users"]:
        user = row["sourcedid"]
        given = tuple(dict.fromkeys([*roles.get(user, ()), *_split(row.get("role", ""))]))
        account = row["username"].strip().lower().partition("@")[0].rpartition("\\")[2]
        if not given:
            hint = "give it in users.csv (1.1) or roles.csv (1.2)"
            errors.append(ConfigError(f"user {user!r} has no role", where=where, hint=hint))
        if given and set(given) <= FAMILY:
            continue  # they have no account of the district's to break its policy with
        if not account:
            errors.append(ConfigError(f"user {user!r} has no username", where=where, hint="fill it in"))
        at = [org for org in _listed(row.get("primaryorgsourcedid", ""), row.get("orgsourcedids", "")) if org]
        unknown = [org for org in at if org not in orgs]
        errors += [ConfigError(f"there is no org {o!r}", where=where, hint="see orgs.csv") for o in unknown]
        site = next((orgs[org] for org in at if org in schools), next((orgs[o] for o in at if o in orgs), ""))
        guardians = [users[a].get("email", "").lower() for a in _listed(row.get("agentsourcedids", "")) if a in users]
        people.append(
            Person(
                account,
                tuple("principal" if role in _ADMINISTRATORS else role for role in given),
                tuple(address for address in [row.get("email", "").strip().lower()] if address),
                site,
                classes=frozenset(enrolled.get(user, ())),
                guardians=tuple(address for address in guardians if address),
                active=row.get("enableduser", "true").lower() != "false",
            )
        )
        places.append(where)
    return people, places


def _enrolled(
    listed: list[Row], classes: set[str], users: Mapping[str, object], errors: list[ConfigError]
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for where, row in listed:
        for what, name, known in (("class", row["classsourcedid"], classes), ("user", row["usersourcedid"], users)):
            if name not in known:
                hint = f"see {'classes' if what == 'class' else 'users'}.csv"
                errors.append(ConfigError(f"there is no {what} {name!r}", where=where, hint=hint))
        found.setdefault(row["usersourcedid"], []).append(row["classsourcedid"])
    return found


def _roles(listed: list[Row], users: Mapping[str, object], errors: list[ConfigError]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for where, row in listed:
        if row["usersourcedid"] not in users:
            what = f"there is no user {row['usersourcedid']!r}"
            errors.append(ConfigError(what, where=where, hint="see users.csv"))
        found.setdefault(row["usersourcedid"], []).extend(_split(row["role"]))
    return found


def _supervised(people: list[Person]) -> Iterator[Person]:
    """Staff of a building report to its principal, where it has one."""
    principals = Roster.of(people).principals
    for person in people:
        bosses = principals.get(person.site, ())
        staff = not {STUDENT, PRINCIPAL} & set(person.roles)
        yield replace(person, supervisor=bosses[0]) if staff and bosses else person


def _split(text: str) -> list[str]:
    return [part.strip().lower() for part in text.replace(";", ",").split(",") if part.strip()]


def _listed(*texts: str) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
