"""What pySigma complains of, in the words of a rule's author, and without a log of its own on the terminal."""

from __future__ import annotations

import re
from typing import Any

from sigma import policy
from sigma.modifiers import modifier_mapping
from sigma.policy.regex_engine import RE2RegexEngine

from agents.rules.positions import Path

# Where pySigma's complaints belong, by the name of its exception class.
ERROR_PATHS: dict[str, Path] = {
    "SigmaIdentifierError": ("id",),
    "SigmaNameError": ("name",),
    "SigmaTaxonomyError": ("taxonomy",),
    "SigmaRelatedError": ("related",),
    "SigmaLevelError": ("level",),
    "SigmaStatusError": ("status",),
    "SigmaTagError": ("tags",),
    "SigmaDateError": ("date",),
    "SigmaModifiedError": ("modified",),
    "SigmaFieldsError": ("fields",),
    "SigmaFalsePositivesError": ("falsepositives",),
    "SigmaAuthorError": ("author",),
    "SigmaDescriptionError": ("description",),
    "SigmaReferencesError": ("references",),
    "SigmaTitleError": ("title",),
    "SigmaScopeError": ("scope",),
    "SigmaLicenseError": ("license",),
    "SigmaLogsourceError": ("logsource",),
    "SigmaDetectionError": ("detection",),
    "SigmaConditionError": ("detection", "condition"),
}

_NAMES = {modifier.__name__: word for word, modifier in reversed(modifier_mapping.items())}
_LONGEST = 300  # characters
_MODIFIER = re.compile(r"Modifier (\w+) incompatible to value type of '(.*)'", re.DOTALL)
_PARSER = re.compile(r"Expected .*, found (.+?)\s+\(at char (\d+)\)", re.DOTALL)
_EXPRESSION = re.compile(r"(Regular expression '.*' is invalid: )b'(.*)'", re.DOTALL)
_TYPE = re.compile(r"Unsupported type: <class '(\w+)'>")
_TYPES = {"dict": "a mapping", "list": "a list", "tuple": "a list"}


def in_words(error: Exception) -> str:
    """A complaint on one line, without the document that pySigma prints after it."""
    said = " ".join(str(error).split())
    if found := _MODIFIER.match(said):
        value = "null" if "SigmaNull object" in found[2] else repr(found[2])
        return f"{_NAMES.get(found[1], found[1])} does not take the value {value}"[:_LONGEST]
    if found := _PARSER.match(said):
        what = "it ends too early" if found[1] == "end of text" else f"{found[1]} is not expected there"
        return f"the condition cannot be read at its character {int(found[2]) + 1}: {what}"
    if found := _EXPRESSION.match(said):
        return f"{found[1]}{found[2]}"[:_LONGEST]
    if found := _TYPE.match(said):
        return f"{_TYPES.get(found[1], found[1])} is no value"
    if said.startswith("The pipe syntax in Sigma conditions"):
        return "a condition with | is not Sigma's any more: write a correlation over the rule"
    return said[:_LONGEST]


class _Quiet(RE2RegexEngine):
    """The engine that pySigma tries expressions with: RE2 would write what it refuses to standard error as well."""

    def compile(self, pattern: str, flags: int = 0) -> Any:
        """See `RegexEngine`."""
        options = self._re2.Options()
        options.log_errors = False
        for flag, letter in ((re.IGNORECASE, "i"), (re.MULTILINE, "m"), (re.DOTALL, "s")):
            pattern = f"(?{letter}){pattern}" if flags & flag else pattern
        return self._re2.compile(pattern, options)


policy.default_policy.regex_engine = _Quiet()
