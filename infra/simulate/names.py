"""Made-up people and places. Any likeness is chance; domains end in `.example` (RFC 2606)."""

from __future__ import annotations

from infra.simulate.draw import Draw


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


DISTRICT = "Example Public Schools"
STAFF_DOMAIN = "example-schools.org"
STUDENT_DOMAIN = "students.example-schools.org"

_FIRST = words(
    "ada ana ben bo cal cleo dan dora eli emma finn gia gus hana ike ines jon june kai kira leo lena max mia nat nora"
    " omar opal paul pia ray rosa sam tess uri vera wes wynn yara zoe"
)
_LAST = words(
    "abel ames arden baker banks birch boone brook cole cooper crane dale dean drake eaton ellis farrow fenn field ford"
    " frost garner glenn grove hale harlow hart hayes holt irwin jarvis keene knox lake lang lowell marsh mercer moss"
    " nash north oakes orton page pike quill rand reed rowan sloan stone tate thorne upton vale wade walsh west yates"
)
_OUTSIDE = words(
    "acorn-books bridgeway cedar-supply dawn-travel elmtree fairview-museum gatehouse hilltop-clinic ironwood juniper"
    " kestrel lakeside-county meadow-sports northern-labs oakridge parents-circle quarry-cafe redstone summit-bus"
    " tallgrass union-press valley-news willow-arts yellowbird zenith-learning"
)


def person(number: int) -> str:
    """Account name of person number `number`: each number another name."""
    first, last = number % len(_FIRST), number // len(_FIRST) % len(_LAST)
    again = number // (len(_FIRST) * len(_LAST))
    return f"{_FIRST[first]}.{_LAST[(last + first) % len(_LAST)]}{again + 1 if again else ''}"


def outside_address(number: int) -> str:
    """Mail address outside the district: each number another one."""
    domain = _OUTSIDE[number % len(_OUTSIDE)]
    return f"{person(number // len(_OUTSIDE))}@{domain}.example"


def outside_addresses(draw: Draw, count: int) -> list[str]:
    """So many different addresses outside the district."""
    return [outside_address(n) for n in draw.sample(20_000, count)]
