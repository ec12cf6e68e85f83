"""Why lines of mail servers and mail services are ignored."""

from __future__ import annotations

from streams.normalisers.reasons import IgnoredReason


class ServicesIgnored(IgnoredReason):
    """Reasons of the formats of mail servers and services other than Postfix."""

    MAIL_CONNECTION = "mail_connection"  # a client or server came, went, or could not be reached, outside any message
    MAIL_TLS = "mail_tls"  # set-up and verification of an encrypted connection
    MAIL_FILTER = "mail_filter"  # what a filter or rule did or said of a message other than refusing it
    MAIL_QUEUE = "mail_queue"  # queue runs and retry times, which say nothing new of a message
    MAIL_PROTOCOL = "mail_protocol"  # a client that does not keep to SMTP
    MAIL_WARNING = "mail_warning"  # the server about itself, its tables and its look-ups
    MAIL_UNATTACHED = "mail_unattached"  # about a message of which no line is open, without a fact for a column
    MAIL_HEADERS = "mail_headers"  # headers of a refused message, in Exim's reject log
    MAIL_PIECE = "mail_piece"  # a piece of a line that was too long for syslog
    MAIL_STEP = "mail_step"  # a record of a message on its way within the service, which tells no fate of a recipient
    MAIL_READING = "mail_reading"  # what a reader did with a message in his mailbox
    SMTP_DIALOGUE = "smtp_dialogue"  # a step of an SMTP session that decides nothing
