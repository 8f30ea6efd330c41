"""The configurations of /system/oem as text: valid, named, explained, and cheap to decide."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kairos_boot.cli.main import run
from kairos_boot.cloudconfig.model import Step
from kairos_boot.modules import ORDER
from kairos_boot.stages.shelltest import decided
from kairos_boot.system.host import Host

TOP = Path(__file__).resolve().parents[2]
DEFAULTS = sorted((TOP / "packaging/image/oem").glob("*.yaml"))
STEPS = [(path.name, stage, step) for path in DEFAULTS for stage, steps in yaml.safe_load(path.read_text())["stages"].items() for step in steps]


@pytest.mark.parametrize("path", DEFAULTS, ids=lambda path: path.name)
def test_the_strict_check_has_nothing_to_say(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (run(["validate", str(path)]), *capsys.readouterr()) == (0, "", "")


def test_all_of_them_together_have_one_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert (run(["validate", str(DEFAULTS[0].parent)]), *capsys.readouterr()) == (0, "", "")


def test_each_step_has_a_name_of_its_own_that_needs_no_number() -> None:
    names = [step.get("name") for _, _, step in STEPS]
    assert all(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", DEFAULTS, ids=lambda path: path.name)
def test_each_file_and_each_step_says_why(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    for number, line in enumerate(lines):
        if line.startswith("    - name:") and not lines[number - 1].lstrip().startswith("#"):
            inside = [after for after in lines[number + 1 :] if after.strip()][:8]
            assert any(after.lstrip().startswith("#") for after in inside) or lines[number - 1] == "", line


@pytest.mark.parametrize(("file", "step"), [(name, step) for name, _, step in STEPS if "if" in step and "if_files" not in step],
                         ids=lambda value: value if isinstance(value, str) else value["name"])  # fmt: skip
def test_a_condition_that_every_boot_evaluates_needs_no_shell(file: str, step: dict[str, str]) -> None:
    """Whatever the answer is on this machine: it is read, nothing else."""
    assert decided(step["if"], Host()) is not None


def test_only_keys_are_used_that_can_be_executed() -> None:
    modules = {key for key, _ in ORDER}
    known = {"if", *Step.__match_args__}
    for file, stage, step in STEPS:
        for key in step:
            assert key in known, (file, stage, key)
            if key in modules:
                module = TOP / "kairos_boot/modules" / f"{dict(ORDER)[key]}.py"
                assert module.exists(), f"{file}: {key}"
