"""What people are beside what the roster says: a CSV file of roles that a student information system has no word for.

OneRoster has no nurse, no coach, no purchasing office and no supervisor; rules and routing ask for them. A row is
merged with the person of that account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agents.context.csvfile import read_text, rows
from agents.context.roster import Person, listed
from schemas.errors import ConfigError

COLUMNS = ("account", "roles")
OPTIONAL = ("site", "supervisor")
# Words that rules, routing and permits ask for, and that rosters of known formats give.
ROLES = frozenset(
    "administrator aide association business coach communications counselor director guardian health helpdesk it "
    "office parent personnel principal proctor procurement relative secretary security service staff student "
    "substitute superintendent teacher technician union".split()
)


@dataclass(frozen=True, slots=True)
class RolesFile:
    """A CSV file with the columns `account,roles` and, where wanted, `site` and `supervisor`.

    `account` and `supervisor` may be a OneRoster `sourcedId`, too. Several roles are parted by semicolons; they are
    added to those of the roster, and one with a minus before it is taken away. A building and a supervisor are put in
    the place of the roster's.

    Attributes:
        path: The file.
    """

    path: Path

    def merge(self, people: Sequence[Person], ids: Mapping[str, str], errors: list[ConfigError]) -> list[Person]:
        """The same people with what the file says of them.

        Args:
            people: Of the roster.
            ids: Accounts by other names of them; empty for who is no longer in the roster: such a row is passed over.
            errors: Gets every row that is wrong.

        Raises:
            ConfigError: the file cannot be read.
        """
        known = {person.account: person for person in people}
        first: dict[str, str] = {}
        for where, row in rows(read_text(self.path), str(self.path), COLUMNS, errors, optional=OPTIONAL):
            account, boss = (_account(row[name], known, ids) for name in ("account", "supervisor"))
            if account == "":
                continue
            if account is None or (row["supervisor"] and not boss):
                name = row["account"] if account is None else row["supervisor"]
                hint = "write an account or a sourcedId of the roster"
                errors.append(ConfigError(f"{name!r} is nobody in the roster", where=where, hint=hint))
            elif (other := first.setdefault(account, where)) != where:
                errors.append(ConfigError(f"{account!r} stands at {other} already", where=where, hint="keep one row"))
            else:
                known[account] = _with(known[account], row, boss or "", where, errors)
        return list(known.values())


def _account(name: str, known: Mapping[str, Person], ids: Mapping[str, str]) -> str | None:
    """The account; empty for somebody who is gone; None for nobody."""
    lowered = name.lower()
    found = lowered if lowered in known else ids.get(name, ids.get(lowered))
    return found if found == "" or found in known else None


def _with(person: Person, row: Mapping[str, str], boss: str, where: str, errors: list[ConfigError]) -> Person:
    said = listed(row["roles"])
    less = {role[1:].strip() for role in said if role.startswith("-")}
    roles = tuple(dict.fromkeys(r for r in (*person.roles, *said) if r not in less and not r.startswith("-")))
    if not roles:
        what = f"{person.account!r} has no role left"
        errors.append(ConfigError(what, where=where, hint="such as staff or office"))
    if less - set(person.roles):
        what = f"{person.account!r} has no role {', '.join(sorted(less - set(person.roles)))}"
        errors.append(ConfigError(what, where=where, hint=f"the roster says {', '.join(person.roles)}"))
    if not said and not row["site"] and not boss:
        errors.append(ConfigError(f"nothing is said of {person.account!r}", where=where, hint="fill in `roles`"))
    return replace(person, roles=roles, site=row["site"] or person.site, supervisor=boss or person.supervisor)
