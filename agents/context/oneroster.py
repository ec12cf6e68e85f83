"""A roster out of OneRoster CSV, versions 1.1 and 1.2: a folder or a ZIP of `users.csv`, `orgs.csv` and so on.

Read are users, orgs, enrollments, classes and, of 1.2, roles; demographics are never opened, names never kept. A user's
account is `username`. Who is guardian of a student is said by `agentSourcedIds`. Its roles are put in our words: an
administrator of the district answers for everybody (`director`), one of systems is `it`. In 1.1 an `administrator` is
all that a head may be: those of a building without a principal are its principals. OneRoster knows no supervisors: a
building's principal is the supervisor of its other staff. What else people are, a file of roles says
(`rosterroles.py`). A wrong file is refused whole, with every row that is wrong.

Facts: 1EdTech, "OneRoster 1.1 and 1.2 CSV binding": files, columns, vocabularies of roles and status.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agents.context.csvfile import MAX_BYTES, raise_all, read_text, rows
from agents.context.roster import PRINCIPAL, STUDENT, Person, Roster, Supplement, check
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
ADMINISTRATOR, DIRECTOR = "administrator", "director"
_OUR_WORDS = {
    "siteadministrator": PRINCIPAL, "schooladministrator": PRINCIPAL, "districtadministrator": DIRECTOR,
    "systemadministrator": "it",
}  # fmt: skip

Row = tuple[str, dict[str, str]]


def is_oneroster(path: Path) -> bool:
    """True for a folder or a ZIP file, which OneRoster comes as."""
    return path.is_dir() or path.suffix.lower() == ".zip"


def read_oneroster(path: Path, more: Supplement | None = None) -> Roster:
    """Read a folder or ZIP of OneRoster CSV.

    Args:
        path: The folder or ZIP.
        more: What else is known of these people.

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
    if more is not None:
        users = texts.get("users", "")
        people = more.merge(people, _ids(_table(users, f"{path}/users.csv", FILES["users"], [], all_=True)), errors)
    people = list(_supervised(people))
    check(people, places, errors)
    raise_all(errors)
    return Roster.of(people)


def _ids(users: list[Row]) -> dict[str, str]:
    """Accounts by `sourcedId`; of who is to be deleted, or has no account, it is empty, and theirs stand for nobody."""
    found: dict[str, str] = {}
    for _, row in users:
        account = _account(row)
        gone = row.get("status", "").lower() == _GONE
        found[row["sourcedid"]] = "" if gone else account
        if gone:
            found[account] = ""
    return found


def _account(row: Mapping[str, str]) -> str:
    return row["username"].strip().lower().partition("@")[0].rpartition("\\")[2]


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


def _table(
    text: str, where: str, columns: tuple[str, ...], errors: list[ConfigError], *, all_: bool = False
) -> list[Row]:
    """Rows whose columns are spelled in lower case, without those that are to be deleted unless all are wanted."""
    lowered = tuple(column.lower() for column in columns)
    return [
        (place, row)
        for place, row in rows(text, where, lowered, errors, optional=None)
        if all_ or row.get("status", "").lower() != _GONE
    ]


def _people(tables: Mapping[str, list[Row]], errors: list[ConfigError]) -> tuple[list[Person], list[str]]:
    orgs = {row["sourcedid"]: row["name"] for _, row in tables["orgs"]}
    schools = {row["sourcedid"] for _, row in tables["orgs"] if row.get("type", "school").lower() == "school"}
    classes = {row["sourcedid"] for _, row in tables["classes"]}
    users = {row["sourcedid"]: row for _, row in tables["users"]}
    enrolled = _enrolled(tables["enrollments"], classes, users, errors)
    roles = _roles(tables.get("roles", []), users, errors)
    offices = _offices(tables.get("roles", []))
    people: list[Person] = []
    places: list[str] = []
    for where, row in tables["users"]:
        user = row["sourcedid"]
        given = tuple(dict.fromkeys([*roles.get(user, ()), *_split(row.get("role", ""))]))
        account = _account(row)
        if not given:
            hint = "give it in users.csv (1.1) or roles.csv (1.2)"
            errors.append(ConfigError(f"user {user!r} has no role", where=where, hint=hint))
        if given and set(given) <= FAMILY:
            continue  # they have no account of the district's to break its policy with
        if not account:
            errors.append(ConfigError(f"user {user!r} has no username", where=where, hint="fill it in"))
        at = _listed(row.get("primaryorgsourcedid", ""), row.get("orgsourcedids", ""), *offices.get(user, ()))
        unknown = [org for org in at if org not in orgs]
        errors += [ConfigError(f"there is no org {o!r}", where=where, hint="see orgs.csv") for o in unknown]
        site = next((orgs[org] for org in at if org in schools), next((orgs[o] for o in at if o in orgs), ""))
        guardians = [users[a].get("email", "").lower() for a in _listed(row.get("agentsourcedids", "")) if a in users]
        people.append(
            Person(
                account,
                _roles_of(given, building=bool(schools & set(at)) or not at),
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


def _offices(listed: list[Row]) -> dict[str, list[str]]:
    """Orgs in which users have their roles (1.2)."""
    found: dict[str, list[str]] = {}
    for _, row in listed:
        found.setdefault(row["usersourcedid"], []).append(row.get("orgsourcedid", ""))
    return found


def _roles_of(given: Sequence[str], *, building: bool) -> tuple[str, ...]:
    """Roles in our words; an administrator of no building is one of the district."""
    ours = [_OUR_WORDS.get(role, role) for role in given]
    return tuple(dict.fromkeys([*ours, *([DIRECTOR] if ADMINISTRATOR in ours and not building else [])]))


def _supervised(people: list[Person]) -> Iterator[Person]:
    """Administrators of a building without a principal are its principals; its other staff report to the first."""
    named = Roster.of(people).principals
    headed = [
        replace(p, roles=(PRINCIPAL, *p.roles))
        if ADMINISTRATOR in p.roles and DIRECTOR not in p.roles and p.site and p.site not in named
        else p
        for p in people
    ]
    principals = Roster.of(headed).principals
    for person in headed:
        bosses = principals.get(person.site, ())
        staff = not {STUDENT, PRINCIPAL, DIRECTOR} & set(person.roles) and not person.supervisor
        yield replace(person, supervisor=bosses[0]) if staff and bosses else person


def _split(text: str) -> list[str]:
    return [part.strip().lower() for part in text.replace(";", ",").split(",") if part.strip()]


def _listed(*texts: str) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]
