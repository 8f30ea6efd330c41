"""Every program that tests and image scripts start is installed by `make packages`, or by a Debian that has only git and make."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NEEDED

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ("tests", "packaging", "benchmarks", "fuzz", ".ci")
STARTERS = {"run", "Popen", "check_call", "check_output", "call"}
PATHS = "/usr/sbin:/usr/bin:/sbin:/bin"
OF_A_FRESH_MACHINE = {"git", "make"}
MENTIONED = {"kairos-boot", "kairos-agent", "ukify", "swtpm"}
"""Ours, what is used only where it is, and what a target of its own installs (`make crypts`)."""
ELSEWHERE = ("grub2-",)
"""How the names of programs begin on other distributions, that are known here by another one."""
INSIDE = ("tests/container", "tests/vm/facts.py", "tests/integration/docs_nodes.py")
"""What runs in a container, on a node, or stands for one of its programs."""


def files() -> Iterator[Path]:
    """Every script and module that runs on this machine."""
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*")):
            name = str(path.relative_to(TOP))
            if path.is_file() and not name.startswith(INSIDE) and (path.suffix == ".py" or path.read_bytes()[:20].startswith(b"#!/usr/bin/python3")):
                yield path


def first(node: ast.expr) -> str:
    """The text that is the first word of a command."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return first(node.elts[0]) if node.elts else ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def commands(path: Path) -> Iterator[tuple[str, int]]:
    """The programs that a file starts by name, and its lines: by `run` of the image scripts, by subprocess, by a list that it makes first."""
    tree = ast.parse(path.read_bytes())
    lists = {target.id: first(node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, (ast.List, ast.Tuple))
             for target in node.targets if isinstance(target, ast.Name)}  # fmt: skip
    common = {name.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "common" for name in node.names}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function, argument = node.func, node.args[0]
        ours = "run" in common and isinstance(function, ast.Name) and function.id == "run"
        theirs = isinstance(function, ast.Attribute) and function.attr in STARTERS and isinstance(function.value, ast.Name) and function.value.id == "subprocess"
        isolated = isinstance(function, ast.Attribute) and function.attr in ("run", "start") and "tests/integration" in str(path)  # has this machine's programs
        which = isinstance(function, ast.Attribute) and function.attr == "which"
        if not (ours or theirs or isolated or which):
            continue
        if isinstance(argument, ast.List) and isinstance(argument.elts[0], ast.Starred) and isinstance(argument.elts[0].value, ast.Name):
            argument = argument.elts[0].value
        name = lists.get(argument.id, "") if isinstance(argument, ast.Name) else first(argument)
        if re.fullmatch(r"[a-z][\w.+-]*", name) and name not in MENTIONED and not name.startswith(ELSEWHERE):
            yield name, node.lineno
    for text in (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)):
        for name in re.findall(r"\b(?:unshare|exec|nsenter|losetup|mksquashfs|mkfs\.\w+|ip link|openssl)\b", text) if "\n" in text else ():
            yield {"ip link": "ip", "exec": "sh"}.get(name, name), 0


def needed() -> dict[str, str]:
    """Each program, and one place that starts it."""
    found = {name: "tests/conftest.py" for names in NEEDED.values() for name in names}
    for path in files():
        found.update({name: f"{path.relative_to(TOP)}:{line}" for name, line in commands(path)})
    return found


def listed() -> set[str]:
    """The packages of the Makefile."""
    text = (TOP / "Makefile").read_text().partition("PACKAGES := ")[2].replace("\\\n", " ")
    return set(text.partition("\n")[0].split())


def installed() -> tuple[dict[str, set[str]], set[str]]:
    """What each package on this machine depends on, alternatives included, and which ones every Debian has."""
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Package}|${Essential}|${Priority}|${Pre-Depends},${Depends}\n"], capture_output=True, text=True, check=True).stdout
    depends, essential = {}, set()
    for line in said.splitlines():
        name, always, priority, needs = line.split("|", 3)
        depends[name] = set(re.findall(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)", needs))
        if always == "yes" or priority == "required":
            essential.add(name)
    return depends, essential


@pytest.mark.slow
def test_every_program_comes_with_a_package_of_the_list() -> None:
    """The kind of fault that a machine shows which has more than a fresh one."""
    if not shutil.which("dpkg-query"):
        pytest.skip("not a Debian")
    depends, reached = installed()
    reached |= OF_A_FRESH_MACHINE
    new = listed()
    while new:
        reached |= new
        new = {name for package in new for name in depends.get(package, ()) if name in depends} - reached
    wrong = {}
    for name, place in needed().items():
        path = shutil.which(name, path=PATHS)
        if not path:
            wrong[name] = f"{place}: not installed"
            continue
        paths = {path, os.path.realpath(path), path.removeprefix("/usr"), "/usr" + path.removeprefix("/usr"), os.path.realpath(path).removeprefix("/usr")}
        said = subprocess.run(["dpkg-query", "-S", *paths], capture_output=True, text=True, check=False).stdout
        packages = {owner.split(":")[0].strip() for line in said.splitlines() for owner in line.rpartition(": ")[0].split(",")}
        if not packages & reached:
            wrong[name] = f"{place}: {', '.join(sorted(packages)) or 'of no package'}"
    assert wrong == {}


def test_the_look_for_programs_finds_them() -> None:
    """In each form of starting one."""
    found = needed()
    assert {"mksquashfs", "losetup", "mke2fs", "systemd-analyze", "mmdebstrap", "qemu-img", "openssl", "git", "mkfs.fat", "pgrep"} <= set(found)
