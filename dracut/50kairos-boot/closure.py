"""Find what the program needs of Python in an initrd, and put it there.

    python3 -ISB closure.py INITDIR

Imports the program and everything that its modules import anywhere, as a run in the initrd would; writes byte code that is never
checked against a source (there is none in an initrd, and builders rewrite time stamps) and has no docstrings to INITDIR, that of the
program in one file; prints the shared libraries, which are for dracut to copy with what they need in turn.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import py_compile
import sys

PROGRAM = "/usr/lib/kairos-boot"
NOT_HERE = frozenset(("pyroute2", "pystemd", "systemd", "asyncio", "ssl", "_ssl", "_hashlib", "sqlite3", "lxml", "tarfile", "bz2", "lzma", "_decimal"))
"""Left out: they bring tens of megabytes, and nothing in an initrd needs them (hashlib and decimal have their own implementations,
and archives are unpacked in the node or in its own root)."""
FIRST = ("__init__", "bytecode")
"""What finds the one file with the program's byte code, and so cannot be in it alone."""
ROOTS = ("__init__", "__main__", "cli/initrd", "cli/run_stage", "cli/status", "cli/logs")
"""Where the program begins there. Nodes fail in the initrd, too: what happened can be told and packed there."""
BEHIND = ("cli/assess",)
"""What only a run behind the switch to the root imports: a boot is judged in its last stage."""
BY_NAME = ("modules/", "template/functions/", "actions/datasource_")
"""What is imported by a name that is made when it runs: every key of a step may stand in the stage rootfs."""
WHOLE = ("yaml", "_yaml", "pyudev")
"""Packages of which every file is taken: they import at moments that no trial run meets."""
ENCODINGS = ("utf_8", "ascii", "latin_1", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "idna", "punycode", "unicode_escape", "raw_unicode_escape")


def imports(path: str) -> set[str]:
    """The modules that a source imports when it runs, functions included."""
    with open(path, encoding="utf-8") as file:
        todo = list(ast.parse(file.read()).body)
    names = set()
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            todo.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        todo.extend(ast.iter_child_nodes(node))
    return names


def sources() -> list[str]:
    """The program's files that what runs in an initrd may import, now or ever."""
    top = f"{PROGRAM}/kairos_boot/"
    there = {f"{folder}/{name}" for folder, _, names in os.walk(top.rstrip("/")) for name in names if name.endswith(".py")}
    there -= {f"{top}{name}.py" for name in BEHIND}
    todo = [path for path in there if path.removeprefix(top).startswith(BY_NAME) or path.removeprefix(top).removesuffix(".py") in ROOTS]
    found: set[str] = set()
    while todo:
        path = todo.pop()
        if path in there - found:
            found.add(path)
            for name in imports(path):
                parts = name.split(".")
                parents = [f"{PROGRAM}/{'/'.join(parts[:length])}" for length in range(1, len(parts) + 1)]
                todo += [parent + end for parent in parents for end in (".py", "/__init__.py")]
    return sorted(found)


def load(name: str) -> None:
    """Import *name* if there is such a module (the last part may be a function)."""
    if name.partition(".")[0] not in NOT_HERE:
        try:
            __import__(name)
        except ImportError as error:
            if error.name in ("yaml", "pyudev", "blkid"):
                sys.stderr.write(f"closure.py: {name}: {error}\n")


def landmark(path: str, initdir: str) -> None:
    """The interpreter finds its library by os.py, and by nothing else: that one keeps its source."""
    os.makedirs(os.path.dirname(initdir + path), exist_ok=True)
    with open(path, "rb") as source, open(initdir + path, "wb") as copy:
        copy.write(source.read())
    compiled = initdir + importlib.util.cache_from_source(path)
    py_compile.compile(path, compiled, path, doraise=True, optimize=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def main(initdir: str) -> None:
    """Import, compile, print."""
    major, minor = sys.version_info[:2]
    sys.path += [PROGRAM, "/usr/lib/python3/dist-packages", f"/usr/local/lib/python{major}.{minor}/dist-packages"]
    for name in NOT_HERE:
        sys.modules[name] = None  # type: ignore[assignment]  # whatever can do without them does
    mine = sources()
    before = {"ast", "_ast", "py_compile", "closure"} - {n for path in mine for n in imports(path)}
    for path in mine:
        for name in sorted(imports(path)):
            if not name.startswith("kairos_boot"):
                load(name)
    for name in ENCODINGS:
        __import__(f"encodings.{name}")
    pyudev = sys.modules.get("pyudev")
    if pyudev:
        pyudev.Context()  # its library is opened only now
    files = {f"{PROGRAM}/kairos_boot/{name}.py" for name in FIRST}
    for name, module in list(sys.modules.items()):
        path = getattr(getattr(module, "__spec__", None), "origin", None)
        if name not in before and path and path.startswith("/"):
            files.add(path)
            top = name.partition(".")[0]
            if top in WHOLE:
                files |= {f"{folder}/{file}" for folder, _, found in os.walk(os.path.dirname(path)) for file in found if file.endswith(".py")}
    with open("/proc/self/maps", encoding="utf-8") as maps:
        libraries = {line.split(None, 5)[5].strip() for line in maps if ".so" in line}
    for path in sorted(files):
        if path.endswith(".py"):
            target = f"{initdir}{path}c"
            os.makedirs(os.path.dirname(target), exist_ok=True)
            py_compile.compile(path, target, path, doraise=True, optimize=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    from kairos_boot import bytecode

    bytecode.write(f"{initdir}{PROGRAM}", mine, PROGRAM, PROGRAM, optimize=2)
    landmark(os.__file__, initdir)
    for library in sorted(libraries | {path for path in files if ".so" in path}):
        print(library)
        folder = os.path.dirname(library)
        for name in os.listdir(folder) if folder.startswith(("/usr/lib/x86", "/usr/lib/aarch", "/lib")) else ():
            if os.path.islink(f"{folder}/{name}") and os.path.realpath(f"{folder}/{name}") == library and ".so." in name:
                print(f"{folder}/{name}")  # the name that dlopen asks for


if __name__ == "__main__":
    main(sys.argv[1])
