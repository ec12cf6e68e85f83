"""The closed vocabularies: why a line is a dead letter, and why one is ignored.

The line between them: a line that by its start tells a fact that we report, and that cannot be read, is *refused* and
becomes a dead letter. A line that tells no such fact is *ignored*, by a reason that says what it was. Both are
counted by reason, so that a format's new wording shows.
"""

from __future__ import annotations

from enum import StrEnum


class Refused(StrEnum):
    """Reasons of dead letters."""

    LINE_TOO_LONG = "line_too_long"  # longer than the source's max_line_bytes
    NO_HEADER = "no_header"  # no syslog header (or no time) where the format must have one
    BAD_TIME = "bad_time"  # a time that does not exist, or no year has that date
    BAD_FIELD = "bad_field"  # the form is right, a value in it is not
    UNKNOWN_FORM = "unknown_form"  # starts like a line that we report, goes on differently
    NO_FIELDS = "no_fields"  # a row of a table before any line that names its columns
    BROKEN_PAYLOAD = "broken_payload"  # JSON, XML or a quoted table that ends early or is malformed


class IgnoredReason(StrEnum):
    """A reason for which lines are ignored. Each folder of formats has an enumeration of its own beside `Ignored`."""


class Ignored(IgnoredReason):
    """Reasons that several formats share, and those of the first formats."""

    BLANK_LINE = "blank_line"
    OTHER_PROGRAM = "other_program"  # the line is of a program that this format is not about
    REPEATED_OTHER = "repeated_other"  # "last message repeated" where that message was no event
    DEBUG = "debug"  # debugging output
    SERVICE_STATE = "service_state"  # start, stop, configuration and listening messages
    HEADER = "header"  # a line that names columns or describes the file
    OTHER_RECORD = "other_record"  # a record of the product about something that is no event of this kind

    SQUID_CACHE_LOG = "squid_cache_log"  # Squid's own messages, not its access log

    DHCP_FAILOVER = "dhcp_failover"
    DHCP_POOL = "dhcp_pool"  # balance, lease file and address conflict housekeeping
    DHCP_DNS = "dhcp_dns"  # dynamic DNS updates
    DHCP_LEASEQUERY = "dhcp_leasequery"
    DHCP_V6 = "dhcp_v6"  # DHCPv6 packets whose lease a line of its own tells
    DHCP_NETWORK = "dhcp_network"  # sockets, checksums
    DHCP_OTHER = "dhcp_other"  # dhcpd's further messages and the site's own log statements

    SSH_HANDSHAKE = "ssh_handshake"  # protocol errors that name nobody
    SSH_KEY_CHECK = "ssh_key_check"  # which key file matched; the verdict has a line of its own
    SSH_NAME_LOOKUP = "ssh_name_lookup"  # reverse mapping
    SSH_OTHER = "ssh_other"
    FILE_TRANSFER = "file_transfer"  # sftp-server and the like
    PAM_CHATTER = "pam_chatter"  # PAM messages that are no result
    CRON_JOB = "cron_job"  # commands that cron runs
    SUDO_OTHER = "sudo_other"
    SU_OTHER = "su_other"
    LOGIN_OTHER = "login_other"
    SESSION_MANAGER = "session_manager"  # systemd-logind repeats what PAM says
    DROPBEAR_OTHER = "dropbear_other"

    RADIUS_SERVER = "radius_server"  # radius.log lines that are not of the class Auth
    RADIUS_OTHER = "radius_other"  # Auth lines that tell no outcome


def vocabulary() -> frozenset[str]:
    """All reasons for which a line may be ignored, of all formats that are imported."""
    return frozenset(str(reason) for enumeration in IgnoredReason.__subclasses__() for reason in enumeration)
