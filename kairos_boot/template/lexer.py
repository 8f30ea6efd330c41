"""Template text into tokens. A token is (kind, value, position); a fault is a token of kind `error`, the last one."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.text import printable, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    Token = tuple[str, str, int]

BLANK = " \t\r\n"
KEYWORDS = frozenset(("block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"))
_TERMINATORS = BLANK + ".,|:()"


def tokens(text: str) -> list[Token]:
    """All tokens of *text*, the last of kind `eof` or `error`."""
    out: list[Token] = []
    position = 0
    trim = False
    while True:
        start = position
        if trim:
            while start < len(text) and text[start] in BLANK:
                start += 1
        opening = text.find("{{", start)
        if opening < 0:
            if start < len(text):
                out.append(("text", text[start:], start))
            out.append(("eof", "", len(text)))
            return out
        left_trim = text[opening + 2 : opening + 3] == "-" and text[opening + 3 : opening + 4] in BLANK and opening + 3 < len(text)
        end = opening
        if left_trim:
            while end > start and text[end - 1] in BLANK:
                end -= 1
        if end > start:
            out.append(("text", text[start:end], start))
        inside = opening + (4 if left_trim else 2)
        if text.startswith("/*", inside):
            closing = text.find("*/", inside + 2)
            if closing < 0:
                out.append(("error", "unclosed comment", inside))
                return out
            length = _right(text, closing + 2)
            if not length:
                out.append(("error", "comment ends before closing delimiter", inside))
                return out
            position, trim = closing + 2 + length, length > 2
            continue
        out.append(("{{", "{{", opening))
        position = _action(text, inside, out)
        if position < 0:
            return out
        trim = text[position - 3] == "-" and text[position - 4] in BLANK


def _right(text: str, position: int) -> int:
    """Length of the closing delimiter at *position* with its trim mark, 0 if there is none."""
    if text.startswith("}}", position):
        return 2
    return 4 if text[position : position + 1] in BLANK and text.startswith("-}}", position + 1) else 0


def _action(text: str, position: int, out: list[Token]) -> int:
    """Append the tokens of one action; the offset behind it, or -1 after a fault."""
    depth = 0
    while True:
        if len(out) > limits.STEPS:
            out.append(("error", "the template has too many parts", position))
            return -1
        if length := _right(text, position):
            if depth:
                out.append(("error", "unclosed left paren", position))
                return -1
            out.append(("}}", "}}", position))
            return position + length
        if position >= len(text):
            out.append(("error", "unclosed action", position))
            return -1
        char = text[position]
        end = position + 1
        fault = ""
        if char in BLANK:
            while end < len(text) and text[end] in BLANK and not _right(text, end):
                end += 1
            kind = "space"
        elif char == "(":
            kind = char
            depth += 1
        elif char == ")":
            kind = char
            depth -= 1
            fault = "unexpected right paren" if depth < 0 else ""
        elif char in "=|":
            kind = char
        elif char == ":":
            kind, end = ":=", end + 1
            fault = "" if text[position + 1 : end] == "=" else "expected :="
        else:
            kind, end, fault = _operand(text, position)
        out.append(("error", fault, position) if fault else (kind, text[position:end], position))
        if fault:
            return -1
        position = end


def _operand(text: str, position: int) -> tuple[str, int, str]:
    """The operand at *position*: its kind, end and fault."""
    char = text[position]
    if char in "\"'":
        end = position + 1
        while end < len(text) and text[end] not in (char, "\n"):
            end += 2 if text[end] == "\\" and text[end + 1 : end + 2] != "\n" else 1
        if end >= len(text) or text[end] != char:
            return "", end, "unterminated quoted string" if char == '"' else "unterminated character constant"
        return "string" if char == '"' else "char", end + 1, ""
    if char == "`":
        end = text.find("`", position + 1)
        return "raw", end + 1, "" if end > 0 else "unterminated raw quoted string"
    after = text[position + 1 : position + 2]
    if char in "+-" or char.isdecimal() or (char == "." and after.isdecimal() and after.isascii()):
        end = _number(text, position)
        tail = text[end : end + 1]
        if _word(tail) or end == position or text[position:end] in {"+", "-"}:
            return "", end, f"bad number syntax: {quote(text[position : end + len(tail)])}"
        return "number", end, ""
    if char in ".$" or _word(char):
        end = position + 1
        while end < len(text) and _word(text[end]):
            end += 1
        value = text[position:end]
        fault = ""
        if end < len(text) and text[end] not in _TERMINATORS and not text.startswith("}}", end):
            fault = "bad character " + _unicode(text[end])
        if char in ".$":
            return ("var" if char == "$" else "." if value == "." else "field"), end, fault
        kind = "keyword" if value in KEYWORDS else "bool" if value in {"true", "false"} else "nil" if value == "nil" else "ident"
        return kind, end, fault
    if char.isascii() and printable(char):
        return "other", position + 1, ""
    return "", position + 1, f"unrecognized character in action: {_unicode(char)}"


def _word(char: str) -> bool:
    return char == "_" or char.isalpha() or char.isdecimal()


def _unicode(char: str) -> str:
    return f"U+{ord(char):04X}" + (f" '{char}'" if printable(char) else "")


def _number(text: str, position: int) -> int:
    """The end of what may be a number; what it is worth is decided by the parser."""
    end = position + (text[position] in "+-")
    digits = "0123456789_"
    if text[end : end + 1] == "0" and text[end + 1 : end + 2] in tuple("xXoObB"):
        digits = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}[text[end + 1].lower()]
        end += 2
    end = _run(text, end, digits)
    if text[end : end + 1] == ".":
        end = _run(text, end + 1, digits)
    exponent = "eE" if len(digits) == 11 else "pP" if len(digits) == 23 else ""
    if text[end : end + 1] and text[end] in exponent:
        end += 1
        end += text[end : end + 1] in ("+", "-")
        end = _run(text, end, "0123456789_")
    return end


def _run(text: str, end: int, digits: str) -> int:
    while end < len(text) and text[end] in digits:
        end += 1
    return end
