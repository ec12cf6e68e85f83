"""Fields of vendors that have no column of their own: rules find them among an event's details."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.rules.compiled import Compiled
from agents.rules.examples import frame_of
from agents.rules.loader import parse_rules
from schemas.errors import Errors
from schemas.kinds import EventKind

ENTRA = {"product": "azure", "service": "signinlogs"}
OKTA = {"product": "okta", "service": "okta"}
WINDOWS = {"product": "windows", "service": "security"}
DATASETS = {"azure": "entra_signin", "okta": "okta", "windows": "windows_security"}


def _text(source: dict[str, str], selection: dict[str, Any]) -> str:
    detection = {"s": selection, "condition": "s"}
    return json.dumps({"title": "t", "name": "drawn", "level": "low", "logsource": source, "detection": detection})


def _matches(source: dict[str, str], selection: dict[str, Any], *details: str, **columns: Any) -> bool:
    expression = parse_rules(_text(source, selection)).detection("drawn").expression
    assert isinstance(expression, Compiled)
    row = {"event_dataset": DATASETS[source["product"]], "event_details": list(details), **columns}
    return frame_of(EventKind.LOGIN, [row]).filter(expression.exact).height == 1


@pytest.mark.parametrize(
    ("source", "selection", "detail", "others"),
    [
        (ENTRA, {"RiskState": "atRisk"}, "riskState=AtRisk", ("riskState=none", "appId=atRisk")),
        (ENTRA, {"AuthenticationRequirement": ["a*", "b"]}, "authenticationRequirement=abc", ("riskState=abc",)),
        (
            ENTRA,
            {"DeviceDetail.isCompliant": "false"},
            "deviceDetail.isCompliant=false",
            ("deviceDetail.isCompliant=",),
        ),
        (
            ENTRA,
            {"DeviceDetail.isCompliant": False},
            "deviceDetail.isCompliant=false",
            ("deviceDetail.isCompliant=true",),
        ),
        (ENTRA, {"DeviceDetail.trusttype": None}, "deviceDetail.trustType=", ("deviceDetail.trustType=Joined",)),
        (ENTRA, {"DeviceDetail.trusttype": ""}, "deviceDetail.trustType=", ("deviceDetail.trustType=Joined",)),
        (
            OKTA,
            {"debugContext.debugData.behaviors|contains": "POSITIVE"},
            "behaviors={New City=POSITIVE}",
            ("x=POSITIVE",),
        ),
        (OKTA, {"displayMessage|endswith": "app"}, "displayMessage=to app", ("displayMessage=apps",)),
        (WINDOWS, {"KeyLength": 0}, "KeyLength=0", ("KeyLength=10", "KeyLength=")),
        (WINDOWS, {"TargetUserSid|startswith": "S-1-5-21-"}, "TargetUserSid=S-1-5-21-7", ("TargetUserSid=S-1-5-2",)),
    ],
)
def test_a_detail_is_compared_under_its_own_name(
    source: dict[str, str], selection: dict[str, Any], detail: str, others: tuple[str, ...]
) -> None:
    assert _matches(source, selection, "first=1", detail)
    assert not _matches(source, selection, *others)
    assert not _matches(source, selection)


def test_the_account_that_gave_away_credentials_is_the_subject_of_4648_alone() -> None:
    given = {"EventID": 4648, "SubjectUserName": "anna", "TargetUserName": "ben"}
    assert _matches(WINDOWS, given, event_code="4648", user_name="anna", target_user_name="ben")
    assert not _matches(WINDOWS, given, event_code="4648", user_name="ben", target_user_name="anna")
    other = {**given, "EventID": 4624}
    assert _matches(WINDOWS, other, "SubjectUserName=anna", event_code="4624", user_name="ben")
    same = {"EventID": 4648, "SubjectUserName|fieldref": "TargetUserName"}
    assert _matches(WINDOWS, same, event_code="4648", user_name="anna", target_user_name="anna")
    assert not _matches(WINDOWS, same, event_code="4648", user_name="anna", target_user_name="ben")


def test_every_event_of_the_sign_in_log_is_a_sign_in() -> None:
    assert _matches(ENTRA, {"ActivityDetails": "Sign-ins"})
    assert not _matches(ENTRA, {"ActivityDetails": "Add user"})


def test_what_is_no_text_cannot_be_asked_of_a_detail() -> None:
    for selection in ({"KeyLength|gt": 40}, {"TargetServerName|cidr": "10.0.0.0/8"}, {"TicketOptions|re": "0x4"}):
        with pytest.raises(Errors, match="there is no field"):
            parse_rules(_text(WINDOWS, selection))
