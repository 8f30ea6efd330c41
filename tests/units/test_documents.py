"""Manual pages and completions say what the program knows: each verb, flag and key, and no others."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kairos_boot.cli.main import INTERNAL, VERBS
from kairos_boot.cloudconfig import model

TOP = Path(__file__).resolve().parents[2]
MAN = TOP / "packaging/man"
COMPLETIONS = TOP / "packaging/completions"
PUBLIC = [verb for verb in VERBS if verb not in INTERNAL]


def flags(verb: str) -> set[str]:
    """The long flags that a verb accepts."""
    module = importlib.import_module(f"kairos_boot.cli.{verb.replace('-', '_')}")
    if hasattr(module, "FLAGS"):
        return set(module.FLAGS)
    given = re.search(r"parse\(words, (\{.*?\})", inspect.getsource(module))
    return set(ast.literal_eval(given[1])) if given else set()


def words(path: Path) -> set[str]:
    return set(re.findall(r"[\w.-]+", path.read_text()))


@pytest.mark.parametrize("page", sorted(MAN.glob("*.[58]")), ids=lambda path: path.name)
def test_a_manual_page_is_well_formed(page: Path) -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    checked = subprocess.run(["groff", "-mdoc", "-ww", "-z", page], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("verb", PUBLIC)
def test_a_verb_and_its_flags_are_in_the_manual_page_and_the_completions(verb: str) -> None:
    page = (MAN / "kairos-boot.8").read_text()
    assert f".Cm {verb}" in page
    for flag in flags(verb):
        assert f"Fl -{flag}" in page, flag
        for name in ("kairos-boot.bash", "_kairos-boot", "kairos-boot.fish"):
            text = (COMPLETIONS / name).read_text()
            assert f"--{flag}" in text or f"-l {flag} " in text, f"{name}: {flag}"


def test_the_manual_page_and_the_completions_invent_no_flag() -> None:
    known = {flag for verb in (*VERBS, "list-releases") for flag in flags(verb)} | {"help", "version"}
    named = set(re.findall(r"Fl -([a-z-]+)", (MAN / "kairos-boot.8").read_text()))
    named |= set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", (COMPLETIONS / "kairos-boot.bash").read_text()))
    assert named <= known, named - known


def test_each_key_of_a_step_is_in_the_manual_page() -> None:
    page = words(MAN / "kairos-boot.yaml.5")
    keys = {model.KEY_NAMES.get(field, field) for field in model.Step.__match_args__ if field not in model.LOADER_FIELDS}
    assert keys - {"name"} <= page, keys - page


@pytest.mark.parametrize(("typed", "offered"), [
    ((), "run-stage"), (("run-",), "run-stage"), (("run-stage", ""), "reconcile"), (("run-stage", "--root", "/", "bo"), "boot"),
    (("plan", "--di"), "--diff"), (("analyze", ""), "blame"),
])  # fmt: skip
def test_bash_offers_what_fits(typed: tuple[str, ...], offered: str) -> None:
    line = ["kairos-boot", *(typed or ("",))]
    script = '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kairos_boot; printf "%s\\n" "${COMPREPLY[@]}"'
    told = subprocess.run(["bash", "-c", script, COMPLETIONS / "kairos-boot.bash", *line], capture_output=True, text=True, check=True)
    assert offered in told.stdout.split()
    assert told.stderr == ""
