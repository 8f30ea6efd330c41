"""Requirements: the stages that something emits are known, with their order in a boot."""

from __future__ import annotations

import pytest

from kairos_boot.stages.catalog import BOOT_STAGES, STAGES, find, names, suggest


def test_the_stages_of_a_boot_come_first_and_in_order() -> None:
    assert tuple(stage.name for stage in STAGES)[:len(BOOT_STAGES)] == BOOT_STAGES


def test_names_are_unique() -> None:
    assert len(set(names())) == len(names()) == 3 * len(STAGES)


def test_a_substage_belongs_to_its_stage() -> None:
    for name, stage in (("boot.before", "boot"), ("kairos-install.pre.after", "kairos-install.pre"), ("rootfs", "rootfs")):
        found = find(name)
        assert found is not None
        assert found.name == stage
    assert find("boot.befor") is None


@pytest.mark.parametrize(("name", "meant"), [
    ("boott", "boot"), ("initramsf", "initramfs"), ("network.befor", "network.before"), ("after_upgrade", "after-upgrade"), ("boot", ""),
    ("mine", ""), ("provider-kairos.bootstrap.before.master/ha", ""), ("Boot", "boot"),
])
def test_a_name_that_is_nearly_known(name: str, meant: str) -> None:
    assert suggest(name) == meant
