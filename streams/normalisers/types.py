"""What a type of log is. Each folder of formats has tables of them (`types*.py`), which `registry` puts together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.kinds import EventKind


@dataclass(frozen=True, slots=True)
class NormaliserType:
    """A type of log, by the name that a source's configuration gives.

    Attributes:
        kind: Kind of its events.
        made_by: Module and class of its normalisers, `module:Class`; imported only where used.
        description: One line, for lists of types.
        needs: What the vendor's product must be set to, one line; empty where its default will do.
        claims: Pattern of bytes, searched in a line (its header included): lines that are this format's and hardly
            any other's. Sorts the messages of one syslog port and speeds up the guess; need not find all. Linear time.
        preamble: Pattern of bytes, matched at a line's start: lines at the head of a file that are the same in every
            file, such as column names; None where the format has none.
        options: Settings of this type alone, with what they mean.
    """

    kind: EventKind
    made_by: str
    description: str
    needs: str = ""
    claims: re.Pattern[bytes] | None = None
    preamble: re.Pattern[bytes] | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def program(names: str) -> re.Pattern[bytes]:
    """Lines whose syslog tag is one of some programs.

    Args:
        names: A pattern of program names, e.g. `sshd|su|sudo`.
    """
    return re.compile(rb"(?:^|[\s/])(?:" + names.encode() + rb")(?:\[[^\]\s]{0,20}\])?:(?:\s|$)" + enveloped(names))


def enveloped(names: str) -> bytes:
    """The alternatives of `program` where no colon ends the tag: RFC 5424 and the journal's JSON.

    Args:
        names: A pattern of program names.
    """
    return (
        rb"|^<\d{1,3}>1 \S+ \S+ (?:\S{0,64}/)?(?:" + names.encode() + rb") "
        rb'|"SYSLOG_IDENTIFIER" ?: ?"(?:' + names.encode() + rb')"'
    )
