"""The error tree. Every error says what, where, and what to do about it, as fields and not only as prose."""

from __future__ import annotations


class AupstreamError(Exception):
    """Base of all errors that aupstream raises on purpose.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: The place: `file:line`, `topic/partition/offset`, a configuration key, or empty.
        hint: What to do, in the imperative, or empty.
    """

    exit_code = 4

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        place = f"{where}: " if where else ""
        advice = f" ({hint})" if hint else ""
        super().__init__(f"{place}{what}{advice}")


class ConfigError(AupstreamError):
    """A configuration file, an option or an environment variable is wrong: exit code 2."""

    exit_code = 2


class RuleError(AupstreamError):
    """A rule file is wrong: exit code 3."""

    exit_code = 3


class InputError(AupstreamError):
    """Something to be read is missing, unreadable or damaged."""


class ServerError(AupstreamError):
    """Kafka or ClickHouse does not answer or refuses."""


class RetryableError(ServerError):
    """The same call may succeed later, unchanged."""


class SchemaError(AupstreamError):
    """A schema is unknown or not compatible, or a frame or record does not fit the schema it is given for."""


class CorruptBatchError(AupstreamError):
    """The bytes, count, checksum or headers of a batch or record do not agree: it is refused whole."""


class MissingRowsError(AupstreamError):
    """A batch says that it follows a position that was never seen: something before it is missing."""


class StateError(AupstreamError):
    """Saved state cannot be read, or belongs to something else."""


class NewerReleaseError(StateError):
    """Something was written by a newer release: this one must not go on with it, and must not throw it away."""


class Errors(AupstreamError):  # noqa: N818 - it is several
    """Several errors found in one reading, reported together.

    Args:
        errors: At least one error; the exit code is the first one's.
    """

    def __init__(self, errors: list[AupstreamError]) -> None:
        self.errors = errors
        self.exit_code = errors[0].exit_code
        super().__init__("\n".join(str(e) for e in errors))
