"""Go's Sprintf: verbs, flags, widths, precisions and argument numbers, and what it prints when they do not fit."""

from __future__ import annotations

from kairos_boot.template import limits
from kairos_boot.template.gofmt import float_text, hex_text, nested, sprint_value, syntax
from kairos_boot.template.text import printable, quote
from kairos_boot.template.values import GoObject, cut, type_name

_WIDEST = 1_000_000


class _Verb:
    """One directive: its flags, width (-1: none), precision (-1: none) and letter."""

    __slots__ = ("flags", "letter", "precision", "width")

    def __init__(self) -> None:
        self.flags = ""
        self.width = -1
        self.precision = -1
        self.letter = ""

    def pad(self, text: str, *, zeros: bool = False) -> str:
        """*text* brought to the width, counted in characters."""
        if self.width <= len(text):
            return text
        if "-" in self.flags:
            return text.ljust(self.width)
        if "0" in self.flags and zeros:
            sign = text[:1] if text[:1] in {"+", "-", " "} else ""
            return sign + text[len(sign) :].rjust(self.width - len(sign), "0")
        return text.rjust(self.width)


def sprintf(form: str, *values: object) -> str:
    out: list[str] = []
    total = place = position = 0
    numbered = False
    while position < len(form):
        start = form.find("%", position)
        if start < 0:
            out.append(form[position:])
            break
        out.append(form[position:start])
        position, verb = start + 1, _Verb()
        while position < len(form) and form[position] in "+-# 0":
            verb.flags += form[position]
            position += 1
        fine = True
        numbers: list[int] = [-1, -1]
        for slot in (0, 1):
            if slot:
                if form[position : position + 1] != ".":
                    break
                position += 1
                numbers[1] = 0
            position, place, jumped, ok = _index(form, position, place, len(values))
            numbered, fine = numbered or jumped, fine and ok
            if form[position : position + 1] == "*":
                position += 1
                value = values[place] if place < len(values) else None
                place += 1
                if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _WIDEST and (value >= 0 or not slot):
                    numbers[slot] = value
                else:
                    out.append("%!(BADPREC)" if slot else "%!(BADWIDTH)")
                    numbers[slot] = -1
            else:
                end = position
                while form[end : end + 1].isdecimal() and form[end].isascii():
                    end += 1
                if end > position:
                    number = int(form[position:end][:8])
                    numbers[slot] = number if number <= _WIDEST else -1
                position = end
        verb.width, verb.precision = numbers
        if verb.width < -1:
            verb.width, verb.flags = -verb.width, verb.flags + "-"
        position, place, jumped, ok = _index(form, position, place, len(values))
        numbered, fine = numbered or jumped, fine and ok
        if position >= len(form):
            out.append("%!(NOVERB)")
            break
        verb.letter = form[position]
        position += 1
        if verb.letter == "v":
            verb.flags = verb.flags.replace("+", "")
        if verb.letter == "%":
            out.append("%")
            continue
        if not fine:
            out.append(f"%!{verb.letter}(BADINDEX)")
            continue
        if place >= len(values):
            out.append(f"%!{verb.letter}(MISSING)")
            continue
        out.append(_one(verb, values[place]))
        total += len(out[-1])
        limits.text_fits(total)
        place += 1
    if not numbered and place < len(values):
        rest = ", ".join("<nil>" if v is None else f"{type_name(v)}={sprint_value(v)}" for v in values[place:])
        out.append(f"%!(EXTRA {rest})")
    return "".join(out)


def _index(form: str, position: int, place: int, count: int) -> tuple[int, int, bool, bool]:
    """An argument number `[n]`: the offset behind it, the argument's place, whether there was one, whether it is valid."""
    if form[position : position + 1] != "[":
        return position, place, False, True
    end = form.find("]", position)
    if end < 0:
        return position + 1, place, True, False
    digits = form[position + 1 : end]
    if digits.isdecimal() and digits.isascii() and 1 <= int(digits[:8]) <= count:
        return end + 1, int(digits) - 1, True, True
    return end + 1, place, True, False


def _one(verb: _Verb, value: object) -> str:
    letter = verb.letter
    if letter == "T":
        return verb.pad(type_name(value))
    if value is None:
        return verb.pad("<nil>") if letter == "v" else f"%!{letter}(<nil>)"
    if isinstance(value, GoObject):
        return _text(verb, str(value)) if letter in "vsxXq" else f"%!{letter}({value.type_name}={value})"
    if letter == "v" and "#" in verb.flags:
        return syntax(value)
    if isinstance(value, (list, tuple, dict)):
        if letter == "p":
            return "0xc000000000"
        return nested(value, lambda item: "<nil>" if item is None else _leaf(verb, item))
    return _leaf(verb, value)


def _leaf(verb: _Verb, value: object) -> str:
    letter = verb.letter
    if value is None:
        return verb.pad("<nil>") if letter == "v" else f"%!{letter}(<nil>)"
    if isinstance(value, str) and letter in "vsqxX":
        return _text(verb, value)
    if isinstance(value, bool):
        if letter in "vt":
            return verb.pad(sprint_value(value))
    elif isinstance(value, int) and letter in "vdboOxXcqU":
        return _integer(verb, value)
    elif isinstance(value, float) and letter in "vbgGxXfFeE":
        return _float(verb, value)
    elif isinstance(value, GoObject):
        return _text(verb, str(value))
    verb.letter = "v"
    shown = _leaf(verb, value)
    verb.letter = letter
    return f"%!{letter}({type_name(value)}={shown})"


def _text(verb: _Verb, value: str) -> str:
    if verb.precision >= 0 and verb.letter not in "xX":
        value = value[: verb.precision]
    if verb.letter == "q":
        if "#" in verb.flags and "`" not in value and all(printable(c) or c == "\t" for c in value):
            return verb.pad(f"`{value}`")
        return verb.pad(quote(value, ascii_only="+" in verb.flags), zeros=True)
    if verb.letter in "xX":
        if verb.precision >= 0:
            value = cut(value, 0, verb.precision)
        digits = hex_text(value, upper=verb.letter == "X")
        prefix = "0" + verb.letter if "#" in verb.flags and digits else ""
        if " " in verb.flags:
            pairs = [prefix + digits[i : i + 2] for i in range(0, len(digits), 2)]
            return verb.pad(" ".join(pairs), zeros=True)
        return verb.pad(prefix + digits, zeros=True)
    return verb.pad(value, zeros=True)


def _integer(verb: _Verb, value: int) -> str:
    letter = verb.letter
    if letter == "c":
        return verb.pad(_rune(value))
    if letter == "q":
        return verb.pad(quote(_rune(value), "'", ascii_only="+" in verb.flags))
    if letter == "U":
        text = f"U+{value & 0xFFFFFFFFFFFFFFFF:04X}"
        if "#" in verb.flags and value <= 0x10FFFF and printable(_rune(value)):
            text += f" '{_rune(value)}'"
        return verb.pad(text)
    base = {"b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(letter, "d")
    digits = format(abs(value), base)
    if verb.precision >= 0:
        digits = "" if verb.precision == 0 and value == 0 else digits.rjust(verb.precision, "0")
    sign = "-" if value < 0 else "+" if "+" in verb.flags else " " if " " in verb.flags else ""
    prefix = "0o" if letter == "O" else ""
    if "#" in verb.flags:
        prefix = {"b": "0b", "o": "" if digits.startswith("0") else "0", "x": "0x", "X": "0X"}.get(letter, prefix)
    if "0" in verb.flags and "-" not in verb.flags and verb.precision < 0:
        digits = digits.rjust(verb.width - len(sign), "0")
    return verb.pad(sign + prefix + digits)


def _rune(value: int) -> str:
    return chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"


def _float(verb: _Verb, value: float) -> str:
    letter = verb.letter
    if letter in "xX":
        text = _hex_float(value)
        text = text.upper() if letter == "X" else text
    elif letter == "b":
        mantissa, exponent = _binary(value)
        text = f"{mantissa}p{exponent:+d}"
    else:
        shape = "g" if letter == "v" else "f" if letter == "F" else letter
        precision = verb.precision if verb.precision >= 0 or letter in "vgG" else 6
        text = float_text(value, shape, precision)
    if not text.startswith(("+", "-")):
        text = "+" + text
    finite = text[1:] not in {"Inf", "NaN", "INF", "NAN"}
    if text[0] == "+" and "+" not in verb.flags:
        text = (" " if " " in verb.flags else "") + text[1:] if finite or "Inf" not in text else text
    return verb.pad(text, zeros=finite)


def _binary(value: float) -> tuple[int, int]:
    from math import frexp

    fraction, exponent = frexp(value)
    return (int(fraction * (1 << 53)), exponent - 53) if value else (0, -1074)


def _hex_float(value: float) -> str:
    text = value.hex()
    if "p" not in text:
        return text
    mantissa, _, exponent = text.partition("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    number = int(exponent)
    return f"{mantissa}p{'-' if number < 0 else '+'}{abs(number):02d}"

