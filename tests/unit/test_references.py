"""Comments and pages cite what stands in this repository, and nothing else (docs/decisions.md)."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
ROOTS = ("kairos_boot", "units", "dracut", "packaging", "tests", "docs", "fuzz", "benchmarks")
SUFFIXES = {".py", ".md", ".service", ".timer", ".target", ".conf", ".sh", ".yaml", ".cfg", ".in", ".txt", ".1", ".5", ".8", ""}
ELSEWHERE = re.compile(r"(?<![\w/.-])(?:\.\./)*(?:shared/)?(?:spec|design|faults)/[a-z]")
"""Papers that were never part of the repository."""
PAGE = re.compile(r"(?<![\w/.-])docs/[\w/.-]*\w\.md\b")
LINK = re.compile(r"\]\(([^)#\s:]+\.md)(?:#[^)]*)?\)")
NUMBER = re.compile(r"(?<![\w+./-])[A-H][1-9]\d?(?![\w+:/]|\.\w)")
"""A decision where prose cites one: `(C12)`, `A1-A6`."""
ONLY_SAMPLES = {"tests/unit/test_references.py"}


def files() -> list[Path]:
    """The texts of the repository that people read."""
    found = [p for root in ROOTS for p in sorted((TOP / root).rglob("*")) if p.is_file() and p.suffix in SUFFIXES and "__pycache__" not in p.parts]
    found += [TOP / name for name in ("README.md", "NEWS.md", "Makefile", "pyproject.toml")]
    return [p for p in found if str(p.relative_to(TOP)) not in ONLY_SAMPLES]


def decisions() -> set[str]:
    """The numbers that docs/decisions.md has in bold."""
    return set(re.findall(r"^\*\*([A-H]\d+)\b", (TOP / "docs/decisions.md").read_text(), re.MULTILINE))


def prose(path: Path, text: str) -> str:
    """What a file says to people: comments and strings that stand alone, lines of comment, pages."""
    if path.suffix == ".md":
        return text
    if path.suffix != ".py":
        return "\n".join(line for line in text.splitlines() if line.lstrip().startswith("#"))
    said, before = [], tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and before in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}):
            said.append(token.string)
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            before = token.type
    return "\n".join(said)


def slips(path: Path, text: str, known: set[str]) -> list[str]:
    """What *text* cites and nobody finds."""
    found = ELSEWHERE.findall(text)
    found += [page for page in PAGE.findall(text) if not (TOP / page).is_file()]
    found += [page for page in LINK.findall(text) if path.suffix == ".md" and not (path.parent / page).is_file()]
    return found + [number for number in NUMBER.findall(prose(path, text)) if number not in known]


@pytest.mark.parametrize("root", [*ROOTS, ""])
def test_what_is_cited_is_here(root: str) -> None:
    known = decisions()
    assert len(known) > 60
    wrong = {}
    for path in files():
        if path.relative_to(TOP).parts[0] == root or (not root and path.parent == TOP):
            found = slips(path, path.read_text(encoding="utf-8", errors="replace"), known)
            if found:
                wrong[str(path.relative_to(TOP))] = found
    assert not wrong


@pytest.mark.parametrize("text", ['"""What (spec/engine.md 3)."""\n', "# (../shared/faults/review.md)\n", '"""A page (docs/nowhere.md)."""\n', "x = 1  # atomic (C1, C99)\n", '"""A rule (N3, B77)."""\n'])
def test_the_test_sees_a_citation_of_nothing(text: str) -> None:
    assert slips(TOP / "x.py", text, {"C1"})


def test_what_is_no_citation_stays() -> None:
    assert slips(TOP / "x.py", '"""Encodings gz+b64, GZ+B64, and A1 (C1): defaults/x, docs/decisions.md."""\nB64 = "B77"\n', {"A1", "C1"}) == []


def test_every_decision_stands_once() -> None:
    text = (TOP / "docs/decisions.md").read_text()
    numbers = re.findall(r"^\*\*([A-H]\d+)\b", text, re.MULTILINE)
    assert sorted(set(numbers)) == sorted(numbers)
