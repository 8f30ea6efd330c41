"""The error of a text that cannot be rendered."""

from __future__ import annotations

from kairos_boot.errors import KairosError


class TemplateError(KairosError):
    """A text cannot be parsed or executed.

    *message* is the whole reason in Go's form, `template: template:2:7: executing "template" at <...>: ...`; *reason* is
    its last part alone. *line* counts from 1 inside the text, *column* in bytes from 0 as Go counts it (-1: not known);
    *function* names the function that failed or is not defined, if it was one. *unread*: it cannot even be parsed.
    """

    def __init__(self, message: str, hint: str = "", *, reason: str = "", line: int = 0, column: int = -1, function: str = "",
                 unread: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason or message
        self.line = line
        self.column = column
        self.function = function
        self.unread = unread

    def discreet(self) -> str:
        """Place and kind of the error without a word of the text, which may be a secret (C5)."""
        place = f"line {self.line}" + (f", column {self.column + 1}" if self.column >= 0 else "")
        if self.unread:
            return f"the template calls an unknown function, {place}" if self.function else f"the template cannot be read, {place}"
        return f"the template fails in {self.function}, {place}" if self.function else f"the template fails, {place}"
