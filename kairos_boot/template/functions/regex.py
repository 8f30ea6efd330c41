"""sprig: regular expressions in Go's syntax."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.regex.compile import compile_expression
from kairos_boot.template.regex.run import Search
from kairos_boot.template.values import Failure, Strings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.template.regex.compile import Program


def _match(expression: str, text: str) -> bool:
    return bool(Search(compile_expression(expression), text).match(0))


def _match_or_not(expression: str, text: str) -> bool:
    """False for what is no expression, too."""
    try:
        program = compile_expression(expression)
    except Failure:
        return False
    return bool(Search(program, text).match(0))


def _find(expression: str, text: str) -> str:
    slots = Search(compile_expression(expression), text).match(0)
    return text[slots[0] : slots[1]] if slots else ""


def _find_all(expression: str, text: str, count: int) -> Strings:
    found = Search(compile_expression(expression), text).all(count) if count else []
    limits.list_fits(len(found))
    return Strings(text[slots[0] : slots[1]] for slots in found)


def _replace(expression: str, text: str, replacement: str, *, literal: bool) -> str:
    program = compile_expression(expression)
    out: list[str] = []
    place = total = 0
    for slots in Search(program, text).all():
        out += (text[place : slots[0]], replacement if literal else _expand(replacement, program, slots, text))
        total += len(out[-1])
        limits.text_fits(total)
        place = slots[1]
    return "".join(out) + text[place:]


def _expand(template: str, program: Program, slots: tuple[int, ...], text: str) -> str:
    """*template* with `$1`, `${1}` and `$name` replaced by groups; an unknown one is empty, `$$` is a dollar."""
    out: list[str] = []
    place = 0
    while (dollar := template.find("$", place)) >= 0:
        out.append(template[place:dollar])
        place = dollar + 1
        if template.startswith("$", place):
            out.append("$")
            place += 1
            continue
        braced = template.startswith("{", place)
        end = begin = place + braced
        while end < len(template) and (template[end].isalnum() or template[end] == "_"):
            end += 1
        name = template[begin:end]
        if not name or (braced and not template.startswith("}", end)):
            out.append("$")
            continue
        place = end + braced
        number = int(name) if name.isdecimal() and len(name) < 5 else program.names.index(name) if name in program.names else -1
        if 0 <= number < len(program.names) and slots[2 * number] >= 0:
            out.append(text[slots[2 * number] : slots[2 * number + 1]])
    return "".join(out) + template[place:]


def _replace_all(expression: str, text: str, replacement: str) -> str:
    return _replace(expression, text, replacement, literal=False)


def _replace_literal(expression: str, text: str, replacement: str) -> str:
    return _replace(expression, text, replacement, literal=True)


def _split(expression: str, text: str, count: int) -> Strings:
    program = compile_expression(expression)
    if count == 0:
        return Strings()
    if expression and not text:
        return Strings([""])
    pieces: list[object] = []
    begin = end = 0
    for slots in Search(program, text).all(count):
        if len(pieces) == count - 1 and count > 0:
            break
        end = slots[0]
        if slots[1] != 0:
            pieces.append(text[begin:end])
        begin = slots[1]
    if end != len(text):
        pieces.append(text[begin:])
    limits.list_fits(len(pieces))
    return Strings(pieces)


def quote_meta(text: str) -> str:
    return "".join("\\" + c if c in "\\.+*?()|[]{}^$" else c for c in text)


def _compiled(code: Callable[..., object]) -> Callable[..., object]:
    """The function whose error names the expression, as the variants without `must` do."""

    def call(expression: str, *values: object) -> object:
        try:
            return code(expression, *values)
        except Failure as fault:
            if fault.reason.startswith("error parsing"):
                raise Failure(f"regexp: Compile(`{expression}`): {fault.reason}", fault.hint) from None
            raise

    return call


FUNCTIONS = {
    "regexMatch": ("ss", _match_or_not), "mustRegexMatch": ("ss", _match), "regexFind": ("ss", _compiled(_find)),
    "mustRegexFind": ("ss", _find), "regexFindAll": ("ssi", _compiled(_find_all)), "mustRegexFindAll": ("ssi", _find_all),
    "regexReplaceAll": ("sss", _compiled(_replace_all)), "mustRegexReplaceAll": ("sss", _replace_all),
    "regexReplaceAllLiteral": ("sss", _compiled(_replace_literal)), "mustRegexReplaceAllLiteral": ("sss", _replace_literal),
    "regexSplit": ("ssi", _compiled(_split)), "mustRegexSplit": ("ssi", _split), "regexQuoteMeta": ("s", quote_meta),
}  # fmt: skip
