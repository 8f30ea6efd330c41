"""Requirements: the stages that something emits are known, with their order in a boot."""

from __future__ import annotations

import pytest

from kairos_boot.cloudconfig.catalog import BOOT_STAGES, STAGES, names, suggest
from kairos_boot.cloudconfig.decode import decode


def test_the_stages_of_a_boot_come_first_and_in_order() -> None:
    assert tuple(stage.name for stage in STAGES)[:len(BOOT_STAGES)] == BOOT_STAGES


def test_names_are_unique() -> None:
    assert len(set(names())) == len(names()) == 3 * len(STAGES)


@pytest.mark.parametrize(("name", "meant"), [
    ("boott", "boot"), ("initramsf", "initramfs"), ("network.befor", "network.before"), ("after_upgrade", "after-upgrade"), ("boot", ""),
    ("mine", ""), ("provider-kairos.bootstrap.before.master/ha", ""), ("Boot", "boot"),
    ("bot", "boot"), ("after-instal", "after-install"), ("s", ""), ("test", ""), ("x.before", ""), ("bot.after", "boot.after"), ("mine.before", ""), ("fs.befor", "fs.before"),
])
def test_a_name_that_is_nearly_known(name: str, meant: str) -> None:
    assert suggest(name) == meant


@pytest.mark.parametrize(("name", "meant"), [("bot", "boot"), ("initramsf", "initramfs"), ("network.befor", "network.before"), ("after-instal", "after-install")])
def test_a_document_is_told_of_a_stage_that_nothing_emits(name: str, meant: str) -> None:
    """A warning of a run, which goes on; an error of validate (X4); steps or none."""
    for document in (decode(f"stages:\n  boot: []\n  {name}:\n  - commands: [a]\n".encode(), "/d.yaml"), decode(f"#cloud-config\nstages:\n  {name}: ".encode(), "/d.yaml")):
        assert not document.broken
        assert name in document.stages
        [problem] = document.problems
        assert (problem.severity, problem.where) == ("warning", f"/d.yaml:3:3: stages.{name}")
        assert problem.hint == f"did you mean {meant!r}?"


def test_a_stage_of_ones_own_is_no_mistake() -> None:
    assert decode(b"stages: {mine: [], kairos-agent.bootstrap: [], provider-kairos.bootstrap.before.master/ha: [], test: []}", "/d.yaml").problems == ()
