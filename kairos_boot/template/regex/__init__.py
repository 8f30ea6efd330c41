"""Go's regular expressions (RE2 syntax): the one engine for templates and for conditions.

    parse.py  text into a tree      compile.py  a tree into a program      run.py  a program over a text
    classes.py  sets of characters

Python's `re` is not used: its time can be exponential in the text, which a boot cannot afford, and its syntax differs. A search
takes time linear in the text, and gives up with an error where that is still too long.
"""

from __future__ import annotations

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.template.regex.compile import Program

_GO = "error parsing regexp: "


class ExpressionError(KairosError):
    """A text is no regular expression of Go."""


def check(expression: str) -> Program:
    """Compile *expression*. ExpressionError: it is none."""
    from kairos_boot.template.regex.compile import compile_expression
    from kairos_boot.template.values import Failure

    try:
        return compile_expression(expression)
    except Failure as fault:
        raise ExpressionError("no regular expression: " + fault.reason.removeprefix(_GO), hint=fault.hint) from None


def search(expression: str, text: str) -> bool:
    """Whether *expression* is found anywhere in *text*. ExpressionError: it is none. KairosError: it takes too long."""
    from kairos_boot.template.regex.run import Search
    from kairos_boot.template.values import Failure

    program = check(expression)
    try:
        return bool(Search(program, text).match(0))
    except Failure as fault:
        raise KairosError(f"too much work: {fault.hint}", hint="write it shorter") from None
