r"""GRUB's environment block: the few variables by which the system talks to its boot loader.

The block is 1024 bytes: a header line, a line `NAME=value` for each variable, and `#` to the end. GRUB writes into the blocks of the
file in place (`save_env`), so the file always has its full size. In a value `\` and a line end have a `\` before them.
"""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import Explained, KairosError, reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIZE = 1024
HEADER = b"# GRUB Environment Block\n"
_HINT = "remove variables that nobody needs: grub-editenv FILE unset NAME"


def load(path: str) -> dict[str, str]:
    """The variables of the block at *path* in their order; none if there is no such file. KairosError: it is no such block."""
    return {name: value for name, value, _ in _lines(_read(path), path) if name}


def save(path: str, changes: Mapping[str, str | None]) -> None:
    """Set the variables of *changes* in the block at *path*, made if it is not there; None takes one away.

    The new block is in place whole or not at all, and what GRUB will read when this returns; the log says where that could not be
    made sure of. Everything else in the block stays as it is. KairosError: the block is damaged, would be too large, or cannot be written.
    """
    import fcntl

    from kairos_boot.system.atomic import replace_file
    from kairos_boot.system.chase import chase
    from kairos_boot.system.checkpoint import replaced
    from kairos_boot.system.descriptors import Held

    path = os.path.abspath(path)  # what follows starts at the root
    with (Explained("the boot loader's environment cannot be written", path),
          Held(os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as directory, chase("/", path) as place):
        fcntl.flock(directory, fcntl.LOCK_EX)  # who reads it meanwhile would take our variables back
        block = changed(_read(path), changes, path)
        mode = place.status.st_mode & 0o777 if place.status else 0o644
        replaced(place.path, lambda: replace_file(place, block, mode, 0, 0))


def possible(path: str, changes: Mapping[str, str | None]) -> None:
    """KairosError: `save` would refuse *changes* of the block at *path*: it is damaged, cannot be read, or has no room."""
    changed(_read(path), changes, path)


def changed(block: bytes, changes: Mapping[str, str | None], where: str = "") -> bytes:
    """*block* with *changes*; nothing stands for an empty one. KairosError: it is no block, or would be too large."""
    lines = []
    todo = dict(changes)
    for name, _, line in _lines(block, where):
        if not name and not line.startswith(b"#"):
            continue  # somebody's blank line: GRUB takes it for the beginning of the next name, and would not find that variable
        if name not in changes:
            lines.append(line)
        elif todo.get(name) is not None:
            lines.append(_line(name, todo[name] or "", where))
        todo.pop(name, None)  # of a name that stands twice the last one would count: only one stays
    lines += [_line(name, value, where) for name, value in todo.items() if value is not None]
    text = HEADER + b"".join(lines)
    if len(text) > SIZE:
        raise KairosError(f"the boot loader's environment has room for {SIZE} bytes, and {len(text)} are wanted", where, _HINT)
    return text.ljust(SIZE, b"#")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", opener=_opened) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise KairosError("the boot loader's environment is no file", path)
            return file.read(SIZE * 64)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise KairosError(f"the boot loader's environment cannot be read: {reason(error)}", path) from error


def _opened(path: str, flags: int) -> int:
    """What stands there may be a pipe, which nobody waits for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _lines(block: bytes, where: str) -> Iterator[tuple[str, str, bytes]]:
    """Name, value and text of each line behind the header, as GRUB reads them; a comment has no name. What is cut off does not count."""
    if not block:
        return
    if not block.startswith(HEADER):
        raise KairosError("this is no environment block of GRUB", where, "make a new one: grub-editenv FILE create")
    at = len(HEADER)
    while at < len(block):
        end = at
        while end < len(block) and block[end] != 0x0A:
            end += 2 if block[end] == 0x5C else 1
        if end >= len(block):
            return  # the filling, or a line without its end
        line = block[at:end + 1]
        name, eq, value = line[:-1].partition(b"=")
        if line.startswith(b"#") or not eq:
            yield "", "", line
        else:
            yield name.decode("utf-8", "surrogateescape"), _plain(value), line
        at = end + 1


def _plain(value: bytes) -> str:
    plain = bytearray()
    escaped = False
    for byte in value:
        if byte == 0x5C and not escaped:
            escaped = True
        else:
            plain.append(byte)
            escaped = False
    return plain.decode("utf-8", "surrogateescape")


def _line(name: str, value: str, where: str) -> bytes:
    if not name or name.startswith("#") or any(char in name for char in "=\n\\\0"):
        raise KairosError(f"not a name of a boot loader's variable: {name!r}", where)
    if "\0" in value:
        raise KairosError(f"a boot loader's variable holds no NUL character: {name}", where)
    text = value.replace("\\", "\\\\").replace("\n", "\\\n")
    return f"{name}={text}\n".encode("utf-8", "surrogateescape")
