"""A roster out of a directory: LDIF (RFC 2849) as `ldifde`, `ldapsearch` and `slapcat` export it.

Of Active Directory and of inetOrgPerson: the account is `sAMAccountName`, else `uid`; addresses `mail` and the `smtp:`
ones of `proxyAddresses`; the building `physicalDeliveryOfficeName`, else `l`; the supervisor `manager`. Roles are those
of `employeeType`, else of `title`, and the names of groups (`memberOf`) and units (`OU` in the name) that are a role.
Who is disabled (bit 2 of `userAccountControl`) has left. Computers, groups and contacts are passed over; neither a
person's name nor a password is kept.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agents.context.csvfile import raise_all, read_text
from agents.context.roster import PRINCIPAL, SERVICE, STUDENT, Person, Roster, Supplement, check
from schemas.errors import ConfigError

DISABLED = 2  # userAccountControl: ACCOUNTDISABLE
_PEOPLE = frozenset({"user", "inetorgperson", "person", "organizationalperson", "posixaccount"})
_NOT_PEOPLE = frozenset({"computer", "group", "contact", "organizationalunit"})
# What directories call a role, in the words that rules and routing know. Any other word of `employeeType` is kept.
_ROLES = {
    "student": STUDENT, "pupil": STUDENT, "teacher": "teacher", "faculty": "teacher", "principal": PRINCIPAL,
    "headteacher": PRINCIPAL, "superintendent": "superintendent", "it": "it", "technology": "it",
    "security": "security", "counselor": "counselor", "counsellor": "counselor", "nurse": "health",
    "health": "health", "coach": "coach", "substitute": "substitute", "secretary": "secretary",
    "staff": "staff", "employee": "staff", "service account": SERVICE, "service": SERVICE,
}  # fmt: skip
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]*)(?:;[^:]*)?:(:| ?)\s*(.*)", re.DOTALL)
_PART = re.compile(r"(?:^|(?<!\\),)\s*(CN|OU)\s*=\s*((?:\\.|[^,\\])*)", re.IGNORECASE)
Entry = Mapping[str, Sequence[str]]  # attribute in lower case


def is_ldif(path: Path) -> bool:
    """True for a file called `*.ldif` or `*.ldf`."""
    return path.suffix.lower() in (".ldif", ".ldf")


def read_ldif(path: Path, more: Supplement | None = None) -> Roster:
    """Read an export of a directory.

    Args:
        path: The file.
        more: What else is known of these people.

    Raises:
        ConfigError: the file cannot be read.
        Errors: of `ConfigError`, every entry that is wrong; nothing is taken from such a file.
    """
    return parse_ldif(read_text(path), str(path), more)


def parse_ldif(text: str, file: str, more: Supplement | None = None) -> Roster:
    """`read_ldif` from a text; `file` is its name in errors."""
    errors: list[ConfigError] = []
    entries = list(_entries(text, file, errors))
    accounts = {e["dn"][0].lower(): _account(e) for _, e in entries if "dn" in e}
    people: list[Person] = []
    places: list[str] = []
    for where, entry in entries:
        classes = {c.lower() for c in entry.get("objectclass", ())}
        if classes & _NOT_PEOPLE or not classes & _PEOPLE:
            continue
        person = _person(entry, accounts, where, errors)
        if person is not None:
            people.append(person)
            places.append(where)
    people = people if more is None else more.merge(people, {}, errors)
    check(people, places, errors)
    if not people and not errors:
        hint = "export users with objectClass, sAMAccountName or uid, employeeType or title, and manager"
        errors.append(ConfigError("there is nobody in it", where=file, hint=hint))
    raise_all(errors)
    return Roster.of(people)


def _entries(text: str, file: str, errors: list[ConfigError]) -> Iterator[tuple[str, Entry]]:
    """Entries with the line that each begins on; those that change something are refused."""
    entry: dict[str, list[str]] = {}
    start = 1
    for number, line in _unfolded(text):
        where = f"{file}:{number}"
        if not line.strip():
            if entry:
                yield f"{file}:{start}", entry
            entry = {}
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            errors.append(
                ConfigError(f"{line[:80]!r} is no line of LDIF", where=where, hint="write `attribute: value`")
            )
            continue
        name, sign, value = match[1].lower(), match[2], match[3]
        if not entry:
            start = number
            if name == "version":
                continue
        if name == "changetype":
            hint = "export entries, without changes"
            errors.append(ConfigError("this changes an entry", where=where, hint=hint))
        entry.setdefault(name, []).append(_decoded(value, where, errors) if sign == ":" else value.strip())
    if entry:
        yield f"{file}:{start}", entry


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers: one that begins with a space goes on with the line before; comments are left out."""
    held: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(" ") and held is not None and held[1]:
            held = held[0], held[1] + line[1:]
            continue
        if held is not None and not held[1].startswith("#"):
            yield held
        held = number, line
    if held is not None and not held[1].startswith("#"):
        yield held


def _decoded(value: str, where: str, errors: list[ConfigError]) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
    except binascii.Error:
        errors.append(ConfigError("what stands after :: is no base64", where=where, hint="export it again"))
        return ""


def _account(entry: Entry) -> str:
    return next((v[0].lower() for n in ("samaccountname", "uid") if (v := entry.get(n))), "")


def _person(entry: Entry, accounts: Mapping[str, str], where: str, errors: list[ConfigError]) -> Person | None:
    account = _account(entry)
    if not account:
        hint = "export sAMAccountName or uid"
        errors.append(ConfigError("somebody has no account", where=where, hint=hint))
        return None
    roles = _roles(entry)
    if not roles:
        hint = "fill in employeeType or title, or export memberOf"
        errors.append(ConfigError(f"{account!r} has no role", where=where, hint=hint))
    boss = next(iter(entry.get("manager", ())), "")
    supervisor = accounts.get(boss.lower(), "")
    if boss and not supervisor:
        hint = "export whom people report to as well"
        errors.append(ConfigError(f"the manager of {account!r} is not in it: {boss}", where=where, hint=hint))
    other = (v[5:] for v in entry.get("proxyaddresses", ()) if v.lower().startswith("smtp:"))
    mail = tuple(dict.fromkeys(a.lower() for a in (*entry.get("mail", ()), *other) if a.count("@") == 1))
    site = next((v[0] for n in ("physicaldeliveryofficename", "l") if (v := entry.get(n))), "")
    control = next(iter(entry.get("useraccountcontrol", ())), "0")
    active = not (control.isdigit() and int(control) & DISABLED)
    return Person(account, roles, mail, site, supervisor, active=active)


def _roles(entry: Entry) -> tuple[str, ...]:
    kind = [v.lower() for v in entry.get("employeetype", ())]
    said = [_ROLES.get(v, v) for v in kind] or [_ROLES[v] for t in entry.get("title", ()) if (v := t.lower()) in _ROLES]
    named = [*entry.get("memberof", ()), *entry.get("dn", ())]
    parts = (m[2].strip().lower() for dn in named for m in _PART.finditer(dn))
    groups = [_ROLES[one] for part in parts for one in (part, part.removesuffix("s")) if one in _ROLES]
    return tuple(dict.fromkeys([*said, *groups]))
