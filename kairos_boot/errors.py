"""The one error of the house: a fact, the place it is about, and a remedy."""

from __future__ import annotations

from kairos_boot.shown import one_line


class KairosError(Exception):
    """Something is wrong at *where*; *hint* says what to do about it.

    *where* is `FILE:LINE:COLUMN: path.of.the.value` for documents, a path or a name for anything else.
    """

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Place, fact and remedy in one line; the fact may span lines."""
        text = f"{one_line(self.where)}: {self.message}" if self.where else self.message
        return f"{text}; {self.hint}" if self.hint else text


class Ended(BaseException):
    """The run itself is being ended: a stop, a shutdown, or the time limit of its unit. Nobody goes on after it."""


def reason(error: OSError) -> str:
    """What the kernel said, without the path that the message has anyway."""
    return error.strerror or str(error)


class Explained:
    """`with Explained("it cannot be written", where, hint):` an OSError inside becomes a KairosError: this, and what the kernel said."""

    def __init__(self, message: str, where: str = "", hint: str = "") -> None:
        self._told = message, where, hint

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            message, where, hint = self._told
            raise KairosError(f"{message}: {reason(error)}", where, hint) from error
