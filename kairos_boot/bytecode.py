"""The byte code of the whole program in one file, which a start opens once, instead of looking for each module in directories.

    python3 -ISB bytecode.py DIRECTORY SHOWN

writes DIRECTORY/bytecode from the sources below DIRECTORY, which tracebacks name as if they lay in SHOWN. It begins with Python's
own mark of its byte code: for another Python it counts as none, and the sources count.
"""

from __future__ import annotations

import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER as MARK  # `importlib.util` costs more

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

FILE = "bytecode"
BEGUN = ("__main__", "cli/main", "cli/run_stage", "system/surroundings", "system/lock", "system/journal", "loading/documents", "system/reader", "system/identity",
         "cloudconfig/plain", "stages/ledger", "stages/shelltest")
"""What every stage of a boot imports, itself and by what it imports when it is imported. It lies in the beginning, together: the first stage finds nothing of it in
memory, and a disk is asked a few times for what lies together, and once for each module otherwise."""
HEAD = len(MARK) + 4
"""Bytes before the table: the mark and the length of the table."""


class ByteCode:
    """Finds and loads the modules in the open file *fd*: *table* has path, kind, place and length of each; *begin* is the first's place.

    Its packages have no other modules than those of the file: a part of another version is never taken in.
    """

    def __init__(self, fd: int, table: dict[str, tuple[str, bool, int, int]], begin: int) -> None:
        self._fd, self._table, self._begin = fd, table, begin

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG002
        """The module *name*, if it is in the file."""
        known = self._table.get(name)
        if known is None:
            return None
        make: Any = type(__spec__)
        spec: ModuleSpec = make(name, self, origin=known[0], is_package=known[1])
        spec.has_location, spec.cached = True, FILE  # any name will do: without one Python makes it up for each module
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """As Python makes them."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        _, _, place, length = self._table[module.__name__]
        exec(marshal.loads(os.pread(self._fd, length, self._begin + place)), module.__dict__)  # noqa: S102, S302


def use(directory: str) -> None:
    """Import from the byte code in *directory*, if there is some for this Python. The file stays open: another root does not change what is imported."""
    try:
        fd = os.open(f"{directory}/{FILE}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    if fd < 3:  # the caller closed a standard stream, whose place this must not take
        from fcntl import F_DUPFD_CLOEXEC, fcntl

        fd, low = fcntl(fd, F_DUPFD_CLOEXEC, 3), fd
        os.close(low)
    head = os.pread(fd, HEAD, 0)
    if head[:len(MARK)] != MARK:
        os.close(fd)
        return
    size = int.from_bytes(head[len(MARK):], "little")
    sys.meta_path.insert(0, ByteCode(fd, marshal.loads(os.pread(fd, size, HEAD)), HEAD + size))  # noqa: S302


def write(target: str, sources: Iterable[str], top: str, shown: str, optimize: int = -1) -> None:
    """Write to the directory *target* the byte code of *sources*, which lie below *top* and call themselves below *shown*."""
    table: dict[str, tuple[str, bool, int, int]] = {}
    codes = bytearray()
    paths = sorted(sources)
    early = _early(paths, top)
    for path in sorted(paths, key=lambda path: path not in early):
        inner = path.removeprefix(f"{top}/")
        package, name = os.path.split(inner.removesuffix(".py"))
        origin, is_package = f"{shown}/{inner}", name == "__init__"
        with open(path, "rb") as file:
            code = marshal.dumps(compile(file.read(), origin, "exec", dont_inherit=True, optimize=optimize))
        table[(package if is_package else f"{package}/{name}").replace("/", ".")] = (origin, is_package, len(codes), len(code))
        codes += code
    index = marshal.dumps(table)
    # A package makes it anew on a machine where the program may be starting at this moment.
    with open(f"{target}/{FILE}.new", "wb") as file:
        file.write(MARK + len(index).to_bytes(4, "little") + index + codes)
    os.rename(f"{target}/{FILE}.new", f"{target}/{FILE}")


def _early(paths: list[str], top: str) -> set[str]:
    """Those of *paths* that every stage imports."""
    import ast

    there = set(paths)
    found: set[str] = set()
    todo = [f"{top}/kairos_boot/{name}.py" for name in BEGUN]
    while todo:
        path = todo.pop()
        if path not in there - found:
            continue
        found.add(path)
        with open(path, "rb") as file:
            body = ast.parse(file.read()).body
        for node in body:
            if isinstance(node, ast.ImportFrom) and node.module:
                places = [f"{top}/{name.replace('.', '/')}" for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))]
                todo += [place + end for place in places for end in (".py", "/__init__.py")]
    packages = {f"{folder}/__init__.py" for path in found for folder in (os.path.dirname(path), os.path.dirname(os.path.dirname(path)))}
    return found | packages


if __name__ == "__main__":
    there, said = sys.argv[1:]
    write(there, [f"{folder}/{name}" for folder, _, names in os.walk(there) for name in names if name.endswith(".py")], there, said)
