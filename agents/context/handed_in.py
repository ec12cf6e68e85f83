"""Who handed a mail in: somebody who logged in, somebody outside, or nobody knows.

An envelope sender is what the client says, and anybody may say anything. Where the log tells more, that counts: a
login, the direction, the client of a server of the district's own. What a log does not tell stays as it is.
"""

from __future__ import annotations

import polars as pl

from agents.context.district import District
from agents.context.maillogins import mail_login

PERSON = "person"  # of `sender_kind`, as `District.sender_kind` says it
OUTSIDE = "outside"  # of `sender_kind`: an address of the district in mail that came from outside
RELAYED = "relayed"  # of `sender_kind`: a person's address, by what a service said that logged in to send the message
INBOUND = "inbound"
# Their client is who handed the message in to a server of the district's own. A gateway before a mail service in the
# cloud has that service as its client, and tells the direction instead.
SERVERS = ("exchange_smtp", "exim", "fortimail", "postfix", "sendmail")
BY_RECIPIENT = ("fortimail",)  # their direction says where a message goes: what colleagues write is inbound, too
LOCAL_USERS = ("exim", "postfix", "sendmail")  # who called them on the machine itself has a name, but no method
NO_LOGINS = ("authentication_failed", "released")  # who lets a message out of quarantine has not sent it
# Services that hand in what the district's people send by them. Servers look a client's name up both ways.
SERVICES = ("google.com", "googlemail.com", "mimecast.com", "office365.us", "outlook.com", "pphosted.com")


def logins(frame: pl.DataFrame, district: District) -> pl.Series:
    """Name that the client of each message logged in with, as logged; null for none, and for a login of nobody's."""
    local = _is(frame, "event_dataset", LOCAL_USERS) & _text(frame, "login_method").is_null()
    name = _text(frame, "user_name")
    said = (name != "") & ~local & ~_is(frame, "event_action", NO_LOGINS)
    names = frame.select(login=pl.when(said).then(name)).to_series()
    nobodys = [one for one in names.drop_nulls().unique().to_list() if not mail_login(district, one)]
    return names.to_frame().select(pl.when(~pl.col("login").is_in(nobodys)).then("login")).to_series()


def from_outside(frame: pl.DataFrame, district: District, login: pl.Series) -> pl.Series:
    """Whether it is known that each message was handed in outside of the district, and without a login; never null.

    Args:
        frame: The messages.
        district: Its networks.
        login: What `logins` says of them.
    """
    stated = _is(frame, "email_direction", (INBOUND,)) & ~_is(frame, "event_dataset", BY_RECIPIENT)
    host = "." + _text(frame, "source_domain").str.to_lowercase()
    service = pl.any_horizontal(host.str.ends_with("." + name) for name in SERVICES).fill_null(value=False)
    client = _is(frame, "event_dataset", SERVERS) & ~service & _text(frame, "source_ip").is_not_null()
    known = frame.select(stated=stated, client=client, address=_text(frame, "source_ip"))
    away = pl.Series([False] * frame.height, dtype=pl.Boolean)
    if district.own_index and known["client"].any():
        away = known["client"] & district.own_index.names_of(known["address"]).is_null()
    return (known["stated"] | away) & login.is_null()


def _text(frame: pl.DataFrame, column: str) -> pl.Expr:
    """A column; null where the frame has not got it."""
    return pl.col(column) if column in frame.columns else pl.lit(None, dtype=pl.String)


def _is(frame: pl.DataFrame, column: str, values: tuple[str, ...]) -> pl.Expr:
    return _text(frame, column).is_in(list(values)).fill_null(value=False)
