"""sprig: JSON. Numbers that are read become float64, as in Go."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.gofmt import float_text, scalar
from kairos_boot.template.values import Failure, encode, finite

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f"}
_HTML = frozenset("<>&")
_ALWAYS = frozenset("\u2028\u2029")


def read(text: str, *, must: bool = False) -> object:
    """The value of a JSON text; nil if it is none, an error for mustFromJson."""
    import json

    try:
        value: object = json.loads(text, parse_int=float, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        if must:
            raise Failure(f"not valid JSON: {fault}") from None
        return None
    return value


def _no_constant(name: str) -> object:
    raise ValueError(name)


def write(value: object, *, indent: str = "", escape: bool = True) -> str:
    """*value* as JSON, keys in order; *escape* writes <, > and & as codes, too."""
    parts: list[str] = []
    _write(value, parts, limits.Walk(), 0, indent, escape=escape)
    limits.text_fits(sum(map(len, parts)))
    return "".join(parts)


def _write(value: object, parts: list[str], walk: limits.Walk, depth: int, indent: str, *, escape: bool) -> None:
    walk.enter(depth)
    inner, outer = ("\n" + indent * (depth + 1), "\n" + indent * depth) if indent else ("", "")
    if isinstance(value, (list, tuple)):
        parts.append("[")
        for place, item in enumerate(value):
            parts.append(("," if place else "") + inner)
            _write(item, parts, walk, depth + 1, indent, escape=escape)
        parts.append(outer + "]" if value else "]")
    elif isinstance(value, dict):
        parts.append("{")
        for place, key in enumerate(sorted(value, key=encode)):
            parts.append(("," if place else "") + inner + _string(key, escape=escape) + (": " if indent else ":"))
            _write(value[key], parts, walk, depth + 1, indent, escape=escape)
        parts.append(outer + "}" if value else "}")
    else:
        text = _scalar(value, escape=escape)
        walk.left -= len(text) >> 6
        parts.append(text)


def _scalar(value: object, *, escape: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, float):
        return _number(value)
    return (scalar(value) or "") if isinstance(value, int) else _string(str(value), escape=escape)


def _number(value: float) -> str:
    if not finite(value):
        raise Failure(f"json: unsupported value: {float_text(value, 'g', -1)}")
    if value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = float_text(value, "e", -1).partition("e")
        sign, digits = exponent[0], exponent[1:]
        return f"{mantissa}e{sign}{digits.lstrip('0') if sign == '-' else digits}"
    return float_text(value, "f", -1)


def _string(text: str, *, escape: bool) -> str:
    if text.isascii() and text.isalnum():
        return f'"{text}"'
    out = []
    for char in text:
        if char in _SHORT:
            out.append(_SHORT[char])
        elif char < " " or char in _ALWAYS or (escape and char in _HTML):
            out.append(f"\\u{ord(char):04x}")
        elif 0xDC80 <= ord(char) <= 0xDCFF:
            out.append("\\ufffd")
        else:
            out.append(char)
    return f'"{"".join(out)}"'


def _pretty(value: object) -> str:
    return write(value, indent="  ")


def _raw(value: object) -> str:
    return write(value, escape=False)


FUNCTIONS: dict[str, tuple[str, object]] = {
    "fromJson": ("s", read), "mustFromJson": ("s", lambda text: read(text, must=True)), "toJson": ("a", write), "mustToJson": ("a", write),
    "toPrettyJson": ("a", _pretty), "mustToPrettyJson": ("a", _pretty), "toRawJson": ("a", _raw), "mustToRawJson": ("a", _raw),
}  # fmt: skip
