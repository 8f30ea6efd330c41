"""Go's string literals, both ways: strconv.Quote and strconv.Unquote."""

from __future__ import annotations

from kairos_boot.template.values import decode

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}
_NAMES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 92: "\\\\"}
_HEX = {"x": 2, "u": 4, "U": 8}


def printable(char: str) -> bool:
    """Go's unicode.IsPrint: the space is the only blank that counts."""
    return char == " " or (char.isprintable() and not char.isspace())


def quote(text: str, mark: str = '"', *, ascii_only: bool = False) -> str:
    """*text* as a Go literal between *mark*s."""
    out = [mark]
    for char in text:
        code = ord(char)
        if char == mark:
            out.append("\\" + char)
        elif code in _NAMES:
            out.append(_NAMES[code])
        elif 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif printable(char) and (code < 0x80 or not ascii_only):
            out.append(char)
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    return "".join([*out, mark])


def unquote(literal: str) -> str | None:
    """The value of a quoted literal (`"..."` or `'...'`), None if it is not one."""
    mark, body = literal[0], literal[1:-1]
    out = bytearray()
    i = 0
    while i < len(body):
        char = body[i]
        i += 1
        if char in (mark, "\n"):
            return None
        if char != "\\":
            out += char.encode("utf-8", "surrogateescape")
            continue
        if i >= len(body):
            return None
        kind = body[i]
        i += 1
        if kind in _HEX or kind in "01234567":
            width, base = (_HEX[kind], 16) if kind in _HEX else (3, 8)
            i -= base == 8
            digits = body[i : i + width]
            i += width
            if len(digits) != width or any(d not in "0123456789abcdefABCDEF"[: 8 if base == 8 else 22] for d in digits):
                return None
            code = int(digits, base)
            if kind in "uU":
                if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                    return None
                out += chr(code).encode()
            elif code > 255:
                return None
            else:
                out.append(code)
        elif kind in _ESCAPES and not (kind in "\"'" and kind != mark):
            out.append(_ESCAPES[kind])
        else:
            return None
    return decode(bytes(out))
