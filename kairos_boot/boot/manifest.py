"""The list of a directory's entries as the image had them, in a file that is either whole or does not count."""

from __future__ import annotations

import os

from kairos_boot.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.boot.entries import Entry

_FIRST = "kairos-boot manifest 1"


@record
class Manifest:
    """*identity* names the image that the entries are of."""

    identity: str = ""
    entries: Mapping[str, Entry] = NOTHING


def read(path: str) -> Manifest | None:
    """The manifest in *path*; None if there is none or it is damaged."""
    try:
        with open(path, encoding="ascii") as file:
            lines = file.read().split("\n")
        if lines[0] != _FIRST or lines[-2:] != [f"end {len(lines) - 4}", ""]:
            return None
        entries: dict[str, Entry] = {}
        for line in lines[2:-2]:
            name, kind, mode, user, group, device, content, attributes = line.split(" ")
            entries[_plain(name)] = (kind, int(mode, 8), int(user), int(group), int(device), _plain(content), attributes)
        return Manifest(_plain(lines[1]), entries)
    except (OSError, ValueError, IndexError):
        return None


def write(path: str, content: Manifest) -> None:
    """Replace *path*; durable when its file system is synchronised next."""
    lines = [_FIRST, _quoted(content.identity)]
    for name, (kind, mode, user, group, device, text, attributes) in sorted(content.entries.items()):
        lines.append(f"{_quoted(name)} {kind} {mode:o} {user} {group} {device} {_quoted(text)} {attributes}")
    lines.append(f"end {len(content.entries)}\n")
    draft = f"{path}.draft"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write("\n".join(lines))
    os.rename(draft, path)


def _quoted(text: str) -> str:
    """Without blanks, line ends and anything that is not ASCII."""
    if text.isascii() and text.isprintable() and " " not in text and "%" not in text:
        return text
    return "".join(chr(byte) if 0x20 < byte < 0x7F and byte != 0x25 else f"%{byte:02x}" for byte in os.fsencode(text))


def _plain(text: str) -> str:
    if "%" not in text:
        return text
    first, *rest = text.split("%")
    return os.fsdecode(first.encode() + b"".join(bytes([int(part[:2], 16)]) + part[2:].encode() for part in rest))
