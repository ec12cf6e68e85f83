"""A roster out of an export of a directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.build import roster_of
from agents.context.ldif import parse_ldif
from agents.settings import DistrictSettings
from schemas.errors import Errors

EXPORT = """\
version: 1
# made by ldifde

dn: CN=Head\\, Helen,OU=Staff,DC=school,DC=example
objectClass: top
objectClass: user
sAMAccountName: HHead
mail: Helen.Head@school.example
title: Principal
physicalDeliveryOfficeName: north

dn:: Q049QmVuIEJhc3MsT1U9VGVhY2hlcnMsREM9c2Nob29sLERDPWV4YW1wbGU=
objectClass: inetOrgPerson
uid: ben
proxyAddresses: SMTP:ben@school.example
proxyAddresses: smtp:b.bass@school.example
proxyAddresses: x500:/o=x
manager: cn=head\\, helen,OU=Staff,
 DC=school,DC=example
userAccountControl: 514
l:: bm9ydGg=

dn: CN=Kid,DC=school,DC=example
objectClass: user
sAMAccountName: kid
employeeType: Student
memberOf: CN=Chess Club,OU=Groups,DC=school,DC=example

dn: CN=LT-1,DC=school,DC=example
objectClass: user
objectClass: computer
sAMAccountName: LT-1$
"""


def test_people_of_a_directory() -> None:
    people = parse_ldif(EXPORT, "people.ldif").people
    assert list(people) == ["hhead", "ben", "kid"]
    head, ben, kid = people.values()
    assert (head.roles, head.mail, head.site, head.active) == (
        ("principal", "staff"), ("helen.head@school.example",), "north", True,
    )  # fmt: skip
    assert (ben.roles, ben.supervisor, ben.site, ben.active) == (("teacher",), "hhead", "north", False)
    assert ben.mail == ("ben@school.example", "b.bass@school.example")
    assert kid.roles == ("student",)


def test_the_configuration_may_name_such_a_file(tmp_path: Path) -> None:
    path = tmp_path / "people.ldif"
    path.write_text(EXPORT)
    assert set(roster_of(DistrictSettings(roster=path)).people) == {"hhead", "ben", "kid"}


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("bm9ydGg=", "bm9?", 21, "is no base64"),
        ("uid: ben", "uid ben", 14, "is no line of LDIF"),
        ("uid: ben", "givenName: ben", 12, "has no account"),
        ("OU=Staff,\n", "OU=Nowhere,\n", 12, "the manager of 'ben' is not in it"),
        ("employeeType: Student", "employeeID: 7", 23, "'kid' has no role"),
        ("sAMAccountName: kid", "sAMAccountName: BEN", 23, "stands at people.ldif:12 already"),
        ("uid: ben", "changetype: delete\nuid: ben", 14, "this changes an entry"),
    ],
)
def test_a_wrong_entry_refuses_the_file_and_names_the_line(old: str, new: str, line: int, says: str) -> None:
    assert old in EXPORT
    with pytest.raises(Errors) as raised:
        parse_ldif(EXPORT.replace(old, new), "people.ldif")
    assert any(says in str(e) and e.where == f"people.ldif:{line}" for e in raised.value.errors), str(raised.value)


def test_a_file_without_people_is_refused() -> None:
    with pytest.raises(Errors, match="there is nobody in it"):
        parse_ldif("dn: DC=example\nobjectClass: domain\n", "people.ldif")
