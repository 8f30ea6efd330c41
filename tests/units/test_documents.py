"""Manual pages and completions say what the program knows: each verb, flag and key, and no others."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from kairos_boot.cli.main import INTERNAL, VERBS, run
from kairos_boot.cloudconfig import model

TOP = Path(__file__).resolve().parents[2]
MAN = TOP / "packaging/man"
COMPLETIONS = TOP / "packaging/completions"
PUBLIC = [verb for verb in (*VERBS, "list-releases") if verb not in INTERNAL]


def module_of(verb: str) -> ModuleType:
    return importlib.import_module(f"kairos_boot.cli.{verb.replace('-', '_')}")


def flags(verb: str) -> set[str]:
    """The long flags of a verb that are for people."""
    return set(module_of(verb).FLAGS) - hidden(verb)


def hidden(verb: str) -> set[str]:
    """Those that it accepts from units and old scripts."""
    return set(getattr(module_of(verb), "HIDDEN", ()))


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
    assert re.search(rf"^\.(Cm|It Cm) (upgrade )?{verb}\b", page, re.MULTILINE)
    for flag in flags(verb):
        assert f"Fl -{flag}" in page, flag
        for name in ("kairos-boot.bash", "_kairos-boot", "kairos-boot.fish"):
            text = (COMPLETIONS / name).read_text()
            assert f"--{flag}" in text or f"-l {flag} " in text, f"{name}: {flag}"


def test_the_manual_page_and_the_completions_invent_no_flag() -> None:
    known = {flag for verb in PUBLIC for flag in flags(verb)} | {"help", "version"}
    named = set(re.findall(r"Fl -([a-z-]+)", (MAN / "kairos-boot.8").read_text()))
    internal = {flag for verb in PUBLIC for flag in hidden(verb)}
    assert named <= known | internal, named - known
    for name in ("kairos-boot.bash", "_kairos-boot", "kairos-boot.fish"):
        text = (COMPLETIONS / name).read_text()
        offered = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)|(?<!set) -l ([a-z-]+)", text))
        assert {long or fish for long, fish in offered} <= known, name


@pytest.mark.parametrize("verb", PUBLIC)
def test_the_help_tells_each_flag_and_exit_code_and_no_flag_of_a_unit(verb: str) -> None:
    """A flag that only the manual page knows is found by nobody who asks --help."""
    told = module_of(verb).__doc__ or ""
    named = set(re.findall(r"(?<![\w-])--([a-z][a-z-]+)", told))
    assert flags(verb) <= named, flags(verb) - named
    assert not named & hidden(verb)
    assert "\nExit code: 0" in told


@pytest.mark.parametrize("asked", [("upgrade", "list-releases", "--help"), ("upgrade", "list-releases", "--all", "-h"), ("run-stage", "boot", "--help"), ("schema", "-h")])
def test_help_is_given_wherever_it_is_asked_for_and_nothing_else_is_done(asked: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    verb = " ".join(word for word in asked[:2] if word in (*VERBS, "list-releases"))
    assert run(asked) == 0
    assert capsys.readouterr().out.startswith(f"usage: kairos-boot {verb} ")


def test_each_key_of_a_step_is_in_the_manual_page() -> None:
    page = words(MAN / "kairos-boot.yaml.5")
    keys = {model.KEY_NAMES.get(field, field) for field in model.Step.__match_args__ if field not in model.LOADER_FIELDS}
    assert keys - {"name"} <= page, keys - page


@pytest.mark.parametrize(("typed", "offered"), [
    ((), "run-stage"), (("run-",), "run-stage"), (("run-stage", ""), "reconcile"), (("run-stage", "--root", "/", "bo"), "boot"),
    (("plan", "--di"), "--diff"), (("analyze", ""), "blame"),
    (("upgrade", "list-releases", "--"), "--registry"), (("upgrade", "--"), "--exclude-path"), (("bootentry", "--select", "fa"), "fallback"),
])  # fmt: skip
def test_bash_offers_what_fits(typed: tuple[str, ...], offered: str) -> None:
    line = ["kairos-boot", *(typed or ("",))]
    script = '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kairos_boot; printf "%s\\n" "${COMPREPLY[@]}"'
    told = subprocess.run(["bash", "-c", script, COMPLETIONS / "kairos-boot.bash", *line], capture_output=True, text=True, check=True)
    assert offered in told.stdout.split()
    assert told.stderr == ""


def test_bash_offers_of_the_releases_only_what_their_verb_takes() -> None:
    script = '. "$0"; COMP_WORDS=(kairos-boot upgrade list-releases --); COMP_CWORD=3; _kairos_boot; printf "%s\\n" "${COMPREPLY[@]}"'
    told = subprocess.run(["bash", "-c", script, COMPLETIONS / "kairos-boot.bash"], capture_output=True, text=True, check=True).stdout.split()
    assert {word.removeprefix("--") for word in told} == flags("list-releases")
