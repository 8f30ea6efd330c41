"""A boot whose root is in the initrd: which disk is the node's, what makes it fatal, which steps of the initrd it has (3.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.boot import sequence, uki
from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.boot.image import BootDisk
from kairos_boot.boot.report import FatalError, Report
from kairos_boot.boot.state import BootState, detect
from kairos_boot.errors import KairosError
from kairos_boot.system.udev import Partition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ESP = Partition("/dev/vda1", "vda", "COS_GRUB", "vfat", "aa", "11-22")
OEM = Partition("/dev/vda2", "vda", "COS_OEM", "ext4", "bb", "33")
INSTALLED = {"LoaderDevicePartUUID": "AA", "LoaderEntrySelected": "active+2-1.conf", "LoaderBootCountPath": "\\loader\\entries\\active+2-1.conf"}
LINE = "root=LABEL=COS_UKI rd.immucore.uki"


def boot(text: str = LINE, variables: dict[str, str] = INSTALLED) -> BootState:
    return detect(Cmdline(text), lambda name: variables.get(name, ""))


class Notes:
    """A ledger and a log that remember."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})

    def log(self, priority: int, message: str, **about: str) -> None:
        """Nobody reads it."""


class Machine:
    """A machine with these partitions."""

    def __init__(self, *partitions: Partition, guid: str = "AA") -> None:
        self.all, self.guid = list(partitions), guid
        self.calls: list[tuple[object, ...]] = []

    def wait(self, find: Callable[[list[Partition]], Partition | None], limit: float) -> Partition | None:
        self.calls.append(("wait", limit))
        return find(self.all)

    def partitions(self) -> list[Partition]:
        return self.all

    def attach(self, path: str, *, read_only: bool) -> str:
        self.calls.append(("attach", path, read_only))
        return "/dev/loop3"

    def esp(self) -> str:
        return self.guid


def attach(machine: Machine, path: Path, state: BootState | None = None) -> BootDisk:
    notes = Notes()
    return uki.attach(state or boot(), machine, Report(notes, notes.log, "/dev/null"), 1, str(path))  # type: ignore[arg-type]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "system.squashfs"
    path.write_bytes(b"hsqs")
    return path


def test_the_disk_is_that_of_the_partition_which_the_boot_loader_was_started_from(image: Path) -> None:
    other = Partition("/dev/sda1", "sda", "COS_GRUB", "vfat", "cc", "11-22")
    machine = Machine(other, ESP, OEM)
    assert attach(machine, image) == BootDisk("vda", "", "squashfs", str(image), "/dev/loop3")
    assert machine.calls == [("wait", 1), ("attach", str(image), True)]


def test_an_installation_medium_has_no_disk(image: Path) -> None:
    machine = Machine(ESP, OEM, guid="")
    assert attach(machine, image, boot(variables={})).disk == ""
    assert machine.calls == [("attach", str(image), True)]


def test_a_disk_that_does_not_appear_is_never_another_one(image: Path) -> None:
    with pytest.raises(FatalError, match="PARTUUID=aa, did not appear within 1 s; there are: /dev/vda2"):
        attach(Machine(OEM), image)


def test_of_two_disks_with_one_guid_none_is_taken(image: Path) -> None:
    twin = Partition("/dev/vdb1", "vdb", "COS_GRUB", "vfat", "aa", "11-22")
    with pytest.raises(FatalError, match="several partitions are PARTUUID=aa: /dev/vda1, /dev/vdb1"):
        attach(Machine(ESP, twin), image)


def test_an_initrd_without_a_system_says_so(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="there is no system in this initrd"):
        attach(Machine(ESP), tmp_path / "nothing")


def test_a_kernel_that_refuses_the_image_ends_the_boot_with_its_reason(image: Path) -> None:
    class Refusing(Machine):
        def attach(self, path: str, *, read_only: bool) -> str:
            raise KairosError("no loop device is free", path)

    with pytest.raises(FatalError, match="no loop device is free"):
        attach(Refusing(ESP), image)


@pytest.mark.parametrize(("text", "on", "boots"), [(LINE, True, True), (LINE, False, False), (f"{LINE} rd.immucore.securebootdisabled", False, True),
                                                    (f"{LINE} rd.immucore.securebootdisabled=0", False, False)])
def test_without_secure_boot_it_boots_only_where_the_signed_command_line_says_so(text: str, on: bool, boots: bool) -> None:
    if boots:
        uki.need_secure_boot(Cmdline(text), on=on)
    else:
        with pytest.raises(FatalError, match="Secure Boot is off"):
            uki.need_secure_boot(Cmdline(text), on=on)


def steps(state: BootState) -> list[str]:
    return [step.__name__ for belongs, step in (*sequence.IMAGE, *sequence.ROOT) if belongs(state)]


def test_an_installed_file_has_the_steps_of_every_node_but_those_of_a_state_partition() -> None:
    mine, others = steps(boot()), steps(detect(Cmdline("root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img")))
    assert [step for step in mine if step not in others] == ["attach_the_system", "need_secure_boot", "mount_efi"]
    assert [step for step in others if step not in mine] == ["attach_the_image", "hand_on_to_a_reset", "link_the_extensions"]


def test_an_installation_medium_has_neither_efi_nor_oem_but_its_layout() -> None:
    mine = steps(boot(variables={}))
    assert not {"mount_efi", "mount_oem", "tell_of_failed_boots", "make_the_live_root", "say_that_others_make_the_root"} & set(mine)
    assert mine.index("keep_oem_in_memory") < mine.index("run_rootfs")
    assert "keep_oem_in_memory" not in steps(boot())
    assert {"need_secure_boot", "attach_the_system", "check_the_root", "lay_out_the_root", "write_fstab", "verify_the_mounts"} <= set(mine)


@pytest.mark.parametrize("text", ["rd.immucore.disable", "rd.cos.disable"])
def test_where_the_layout_is_left_to_others_the_root_is_still_ours(text: str) -> None:
    mine = steps(boot(f"{LINE} {text}"))
    assert "attach_the_system" in mine
    assert "lay_out_the_root" not in mine


@pytest.mark.parametrize(("entry", "mode"), [("active+3.conf", "active"), ("active+2-1.conf", "active"), ("passive.conf", "passive"), ("recovery+0-3.conf", "recovery")])
def test_the_counter_in_the_name_of_an_entry_is_no_part_of_its_mode(entry: str, mode: str) -> None:
    state = boot(variables={**INSTALLED, "LoaderEntrySelected": entry})
    assert (state.mode, state.counted, state.image_label, state.partition_label) == (mode, True, "", "")
