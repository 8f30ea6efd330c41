"""The template language of string values: Go's text/template with the sprig functions (docs/reference/templates.md).

This file is all that a text without `{{` costs; the lexer, the parser and the function families are imported by the
texts that need them.
"""

from __future__ import annotations

from kairos_boot.template.errors import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["TemplateError", "check", "render"]


def render(
    text: str,
    data: Mapping[str, object],
    *,
    strict: bool = False,
    functions: Mapping[str, Callable[..., object]] | None = None,
    missing: list[tuple[str, int]] | None = None,
) -> str:
    """Return *text* with its actions replaced, *data* being the dot; raise TemplateError.

    A float in *data* is a Go float64 and prints as one (2097152.0 as 2.097152e+06), an int is an int. A key that is not
    there prints `<no value>`; with *strict* it is an error, and the top of *data* is a struct instead of a map (the host
    name's facts, docs/reference/templates.md). *functions* adds functions, any arguments, to those of the language.
    *missing* gets the source and the line of what was printed though it is not there (B15), each source once.
    """
    if "{{" not in text:
        return text
    from kairos_boot.template.interpreter import execute

    return execute(text, data, strict=strict, extra=functions or {}, missing=missing)


def check(text: str) -> None:
    """Parse *text* only; raise TemplateError. Unknown functions and written expressions that are none are found here, wrong arguments are not."""
    if "{{" in text:
        from kairos_boot.template.parser import parse

        parse(text, checking=True)
