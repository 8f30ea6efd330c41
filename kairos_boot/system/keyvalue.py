"""Files of `NAME=value` lines, the one reader of them: os-release(5), environment files, the layout's variables.

Quotes, escapes and comments are a shell's; what a shell would run is text here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Line = tuple[str, str, str, str]

_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}


def values(text: str) -> dict[str, str]:
    """The variables of *text*, the last of a name wins."""
    return {name: value for name, value, _, fault in lines(text) if name and not fault}


def lines(text: str, known: Mapping[str, str] | None = None) -> Iterator[Line]:
    """Name, value, source and fault of each assignment; of any other line name and value are empty. The sources add up to *text*.

    With *known* the rules are those of the dotenv libraries: `$NAME` is an earlier value, else one of *known*, and in double
    quotes a backslash protects every character but `n`, `r` and `t`, which stand for control characters then.
    """
    found: dict[str, str] = {}

    def variable(name: str) -> str:
        return found.get(name, (known or {}).get(name, ""))

    position = 0
    while position < len(text):
        end = text.find("\n", position) + 1 or len(text)
        line = text[position:end]
        left, equals, _ = line.partition("=")
        name, bare = left.strip().removeprefix("export ").strip(), line.strip()
        if not bare or bare[0] == "#":
            yield "", "", line, ""
        elif not equals or not name.isascii() or not name.replace(".", "_").isidentifier():
            yield "", "", line, f"not NAME=value: {bare!r}"
        else:
            value, closed = _value(text, position + len(left) + 1, None if known is None else variable)
            if closed:
                end = closed
                found[name] = value
                yield name, value, text[position:end], ""
            else:
                yield name, "", line, "a quote is never closed"
        position = end


def _value(text: str, position: int, variable: Callable[[str], str] | None) -> tuple[str, int]:
    """The value that starts at *position*, and where its last line ends, quotes may span lines; 0 if one is never closed."""
    while text[position:position + 1] in (" ", "\t"):
        position += 1
    value, kept, quoted = "", 0, ""  # value[:kept] is what ends in no unquoted blank
    while position < len(text) and (quoted or text[position] != "\n"):
        char, follows = text[position], text[position + 1:position + 2]
        if char == quoted or (not quoted and char in "'\""):
            quoted = "" if quoted else char
            kept = len(value)
        elif char == "\\" and quoted != "'" and follows:
            position += 1
            if quoted and variable:
                value += _CONTROLS.get(follows, follows)
            elif follows != "\n":
                value += char + follows if quoted and follows not in '"\\$`' else follows
            kept = len(value)
        elif char == "$" and quoted != "'" and variable:
            name, position = _name(text, position + 1)
            value += variable(name) if name else char
            kept = len(value)
            continue
        elif char == "#" and not quoted and text[position - 1] in " \t":
            position = text.find("\n", position) % (len(text) + 1)
            break
        else:
            value += char
            kept = len(value) if quoted or char not in " \t\r" else kept
        position += 1
    return value[:kept], 0 if quoted else min(position + 1, len(text))


def _name(text: str, at: int) -> tuple[str, int]:
    """The name behind a `$`, plain or in braces, and where the text goes on."""
    if text[at:at + 1] == "{":
        close = text.find("}", at)
        return (text[at + 1:close], close + 1) if close > 0 else ("", at)
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at:end], end
