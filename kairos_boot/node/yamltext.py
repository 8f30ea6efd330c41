"""Settings as YAML text again: plain scalars as they were written, so that `0644` stays `0644` and `1.10` stays `1.10` (F2)."""

from __future__ import annotations

from kairos_boot.cloudconfig.nodes import MAPPING, SEQUENCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.node.settings import Setting

SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./+@")
ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
LIKE_VALUES = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"))


def dump(setting: Setting, indent: int = 4) -> str:
    """The text of *setting*, keys of maps sorted, with a newline at its end."""
    if setting.kind is MAPPING and setting.value:
        return "".join(_map(setting, "", " " * indent))
    if setting.kind is SEQUENCE and setting.value:
        return "".join(_list(setting, "", " " * indent))
    return _flat(setting, "") + "\n"


def _map(setting: Setting, margin: str, step: str) -> Iterator[str]:
    for key in sorted(setting.value):
        yield from _entry(f"{margin}{quoted(key)}:", setting.value[key], margin, step)


def _list(setting: Setting, margin: str, step: str) -> Iterator[str]:
    for item in setting.value:
        if item.kind is MAPPING and item.value:
            lines = list(_map(item, margin + "  ", step))
            yield f"{margin}- {lines[0][len(margin) + 2:]}"
            yield from lines[1:]
        else:
            yield from _entry(f"{margin}-", item, margin, step)


def _entry(head: str, item: Setting, margin: str, step: str) -> Iterator[str]:
    if item.kind in (MAPPING, SEQUENCE) and item.value:
        yield head + "\n"
        yield from (_map if item.kind is MAPPING else _list)(item, margin + step, step)
    else:
        yield f"{head} {_flat(item, margin + step)}\n"


def _flat(item: Setting, margin: str) -> str:
    if item.kind in (MAPPING, SEQUENCE):
        return "{}" if item.kind is MAPPING else "[]"
    text: str = item.value
    if item.plain:
        return text if "\n" not in text else quoted(text)
    return block(text, margin) if "\n" in text else quoted(text)


def quoted(text: str) -> str:
    """*text* as a scalar that is read as exactly this text: bare where that is safe, else in double quotes."""
    if text and text[0] not in "-.+0123456789" and text.lower() not in LIKE_VALUES and SAFE.issuperset(text):
        return text
    return '"' + "".join(ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(letter: str) -> str:
    number = ord(letter)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def block(text: str, margin: str) -> str:
    """*text* of several lines as a literal block, in quotes where a block could not keep it."""
    lines = text.split("\n")
    if not margin or lines[0][:1] in ("", " ", "\t") or not all(c.isprintable() or c == "\t" for line in lines for c in line):
        return quoted(text)
    ending = text[len(text.rstrip("\n")):]
    sign = "|-" if not ending else "|" if len(ending) == 1 else "|+"
    kept = lines if not ending else lines[:-1]
    return sign + "".join("\n" + (margin + line if line else "") for line in kept)
