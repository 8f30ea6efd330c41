"""Imports point down only (docs/architecture.md): read from the source, so that a lazy import counts, too."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2] / "kairos_boot"
ALWAYS = {"errors", "gunzip", "lazy", "nearest", "records", "shown"}
BELOW = {
    "cli": {"golden", "reports", "providers", "lifecycle", "boot", "node", "stages", "modules", "actions", "loading", "cloudconfig", "template", "system", "facts"},
    "providers": {"system"},
    "reports": {"stages", "cloudconfig"},
    "golden": {"stages", "loading", "cloudconfig", "facts", "system"},
    "lifecycle": {"loading", "node", "boot", "stages", "actions", "cloudconfig", "system"},
    "boot": {"stages", "actions", "cloudconfig", "system", "facts"},
    "node": {"loading", "cloudconfig", "template", "system"},
    "stages": {"modules", "actions", "cloudconfig", "template", "facts", "system"},
    "modules": {"actions", "cloudconfig", "facts"},
    "actions": {"system"},
    "loading": {"cloudconfig", "template"},
    "cloudconfig": {"template"},
    "template": set(),
    "system": set(),
    "facts": {"cloudconfig", "template"},
    "errors": set(),
    "gunzip": set(),
    "lazy": set(),
    "nearest": set(),
    "records": set(),
    "shown": set(),
    "__main__": {"cli"},
    "bytecode": set(),
    "__init__": set(),
}
"""Part of the house -> the parts it may import besides itself and those that `ALWAYS` names. Only modules and cloudconfig, who never reach for the OS, lack `system`."""
MODEL_ONLY = {"modules": {"model", "compose", "nodes"}, "stages": {"model", "problems"}, "reports": {"model", "catalog"}}
"""Parts that know the documents by their model, and what else of them: the text of an entity is YAML, a report names stages."""
TYPES_ONLY = {("system", "loading"), ("system", "cloudconfig"), ("reports", "system")}
"""Arrows that may stand below `if TYPE_CHECKING:` against the direction: a protocol is implemented where it cannot be imported."""


def files() -> list[Path]:
    return sorted(TOP.rglob("*.py"))


def part(path: Path) -> str:
    """The part of the house that a file belongs to."""
    return path.relative_to(TOP).parts[0].removesuffix(".py")


@cache
def imports(path: Path) -> list[tuple[list[str], int, bool]]:
    """What a file imports of ours: the path below kairos_boot, the line, and whether only type checkers see it."""
    tree = ast.parse(path.read_text())
    typed = {id(n) for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) for b in node.body for n in ast.walk(b)}
    found = []
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        line = getattr(node, "lineno", 0)
        found += [(name.split(".")[1:], line, id(node) in typed) for name in names if name.split(".")[0] == "kairos_boot"]
    return found


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(TOP)))
def test_no_import_points_upwards(path: Path) -> None:
    own = part(path)
    assert own in BELOW, f"{own} has no place in the house"
    for name, line, typed in imports(path):
        target = name[0] if name else "__init__"
        if target == own or target in ALWAYS or (target == "__version__") or (typed and (own, target) in TYPES_ONLY):
            continue
        assert target in BELOW[own], f"{path}:{line}: {own} must not import {target}"
        if target == "cloudconfig" and own in MODEL_ONLY:
            assert len(name) > 1, f"{path}:{line}"
            assert name[1] in MODEL_ONLY[own], f"{path}:{line}: {own} must know documents by their model only, not {name[1]}"


@pytest.mark.parametrize("path", sorted((TOP / "modules").glob("*.py")), ids=lambda p: p.name)
def test_modules_never_import_each_other(path: Path) -> None:
    assert [name for name, _, typed in imports(path) if name[0] == "modules" and not typed] == []


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(TOP)))
def test_annotations_cost_nothing_and_no_file_is_long(path: Path) -> None:
    """Every file but an empty one defers its annotations; 400 lines are the end of a file."""
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    if any(not isinstance(n, ast.Expr) for n in tree.body):
        assert "from __future__ import annotations" in text


def test_no_room_is_a_house_of_its_own() -> None:
    """The largest folder is at most a fifth of the program, by lines."""
    lines: dict[str, int] = {}
    for path in files():
        lines[part(path)] = lines.get(part(path), 0) + len(path.read_text().splitlines())
    largest = max(lines, key=lambda name: lines[name])
    assert lines[largest] * 5 <= sum(lines.values()), f"{largest} has {lines[largest]} of {sum(lines.values())} lines"


def module(path: Path) -> tuple[str, ...]:
    """The names of a file's module below kairos_boot."""
    parts = path.relative_to(TOP).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """The sets of modules that reach each other."""
    reached: dict[str, set[str]] = {}
    for name in arrows:
        todo, seen = [name], set[str]()
        while todo:
            for below in arrows[todo.pop()] - seen:
                seen.add(below)
                todo.append(below)
        reached[name] = seen
    return [group for name, group in ((n, {other for other in seen if n in reached[other]}) for n, seen in reached.items()) if name == min(group, default=None)]


def test_no_files_import_each_other() -> None:
    """Not by way of others, and not lazily: what knows each other belongs into one file, or lacks a third below both."""
    modules = {module(path): path for path in files()}
    arrows = {}
    for own, path in modules.items():
        names = [tuple(name) for name, _, typed in imports(path) if not typed]
        found = (next((name[:end] for end in range(len(name), -1, -1) if name[:end] in modules), own) for name in names)
        arrows[".".join(own)] = {".".join(target) for target in found if target != own}
    assert circles(arrows) == []


def test_the_test_sees_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}, "e": {"e"}}) == [{"b", "c"}, {"e"}]


def test_the_test_sees_an_arrow_upwards(tmp_path: Path) -> None:
    """A lazy import inside a function is read as well."""
    bad = tmp_path / "bad.py"
    bad.write_text("def f():\n    from kairos_boot.system.host import Host\n    import kairos_boot.cli.main\n")
    assert [name[0] for name, _, _ in imports(bad)] == ["system", "cli"]


def test_what_tests_and_tools_import_by_a_bare_name_has_one_place() -> None:
    # Their folders stand on one search path: the second of two equal names is never found, whoever runs first.
    found = [p for root in ("tests", "packaging", "benchmarks", "fuzz") for p in (TOP.parent / root).rglob("*.py") if not p.name.startswith("test_")]
    names = [p.stem for p in found if p.stem not in {"conftest", "__init__"}]
    names += {p.parent.name for p in found if p.parent.parent.parent == TOP.parent / "tests"}
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert {*names} & sys.stdlib_module_names == set()
