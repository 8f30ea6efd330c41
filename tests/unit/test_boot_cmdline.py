"""The kernel command line (D4) and what it says of the boot (immucore's words)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.boot.cmdline import Cmdline, split
from kairos_boot.boot.state import detect, write_sentinels

if TYPE_CHECKING:
    from pathlib import Path

INSTALLED = {"LoaderDevicePartUUID": "aaaa", "LoaderEntrySelected": "passive.conf"}


def test_double_quotes_protect_blanks_as_the_kernel_has_it() -> None:
    assert list(split(' a="b c"  d "e f=g"\n""')) == ["a=b c", "d", "e f=g", ""]


@pytest.mark.parametrize(("text", "image"), [
    ("cos-img/filename=/cOS/active.img", "/cOS/active.img"), ("cos-img/filename=a cos-img/filename=b", "b"),
    ("cos-img/filename=", ""), ("xcos-img/filename=a", ""), ("cos-img/filename=a cos-img/filename=", "a"),
])
def test_the_last_value_wins_and_an_empty_one_is_none(text: str, image: str) -> None:
    assert Cmdline(text).image == image


@pytest.mark.parametrize(("text", "label"), [
    ("rd.cos.oemlabel=A", "A"), ("rd.immucore.oemlabel=B rd.cos.oemlabel=A", "B"), ("rd.cos.oemlabel=A rd.cos.oemlabel=C", "C"),
    ("rd.cos.oemlabel=", "COS_OEM"), ("", "COS_OEM"),
])
def test_the_immucore_spelling_wins_over_the_cos_one(text: str, label: str) -> None:
    assert Cmdline(text).oem_label == label


@pytest.mark.parametrize(("text", "seconds"), [
    ("rd.cos.oemtimeout=100", 100), ("rd.immucore.oemtimeout=200", 200), ("rd.cos.oemtimeout=100 rd.immucore.oemtimeout=200", 200),
    ("rd.cos.oemtimeout=really", 30), ("rd.cos.oemtimeout=", 30), ("rd.cos.oemtimeout=-1", 30), ("", 30), ("rd.immucore.oemtimeout=x rd.cos.oemtimeout=7", 7),
])
def test_a_time_limit_that_is_no_number_is_the_default(text: str, seconds: float) -> None:
    assert Cmdline(text).oem_seconds == seconds


@pytest.mark.parametrize(("text", "overlay"), [
    ("rd.cos.overlay=tmpfs:30%", "tmpfs:30%"), ("rd.immucore.overlay=LABEL=x rd.cos.overlay=y", "LABEL=x"), ("rd.cos.overlay=", "tmpfs:20%"), ("", "tmpfs:20%"),
])
def test_the_overlay_base(text: str, overlay: str) -> None:
    assert Cmdline(text).overlay == overlay


@pytest.mark.parametrize(("text", "consoles"), [
    ("", ["/dev/tty1", "/dev/ttyS0", "/dev/console"]), ("console=ttyS1", ["/dev/ttyS1", "/dev/console"]),
    ("console=tty1 console=ttyS0,115200n8", ["/dev/tty1", "/dev/ttyS0", "/dev/console"]), ("console=console", ["/dev/console"]),
])
def test_a_fatal_message_goes_to_every_console_of_the_command_line(text: str, consoles: list[str]) -> None:
    assert Cmdline(text).consoles == consoles


@pytest.mark.parametrize(("text", "flags"), [
    ("", ("-p",)), ("fsck.mode=skip", ()), ("fsck.mode=force", ("-p", "-f")), ("fsck.repair=yes", ("-y",)), ("fsck.repair=no fsck.mode=force", ("-n", "-f")),
])
def test_file_system_checks(text: str, flags: tuple[str, ...]) -> None:
    assert Cmdline(text).fsck == flags


@pytest.mark.parametrize(("text", "mode"), [("", "ro"), ("rd.cos.debugrw", "rw"), ("rd.immucore.debugrw", "rw"), ("rd.immucore.debug", "ro")])
def test_debug_is_not_debugrw(text: str, mode: str) -> None:
    assert Cmdline(text).root_mode == mode


@pytest.mark.parametrize(("text", "guid"), [
    ("kairos.state=PARTUUID=ABCD-1", "abcd-1"), ("kairos.state=LABEL=x", ""), ("kairos.state=PARTUUID=a kairos.state=PARTUUID=b", "b"), ("", ""),
])
def test_the_boot_loader_names_the_partition_of_the_image(text: str, guid: str) -> None:
    assert Cmdline(text).state_partuuid == guid


@pytest.mark.parametrize(("text", "mode", "sentinels"), [
    ("root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img", "active", ["active_mode"]),
    ("root=LABEL=COS_PASSIVE", "passive", ["passive_mode"]),
    ("root=LABEL=COS_SYSTEM", "recovery", ["recovery_mode"]),
    ("root=LABEL=COS_RECOVERY", "recovery", ["recovery_mode"]),
    ("root=/dev/disk/by-label/COS_ACTIVE", "active", ["active_mode"]),
    ("recovery-mode", "recovery", ["recovery_mode"]),
    ("root=LABEL=COS_SYSTEM kairos.reset", "autoreset", ["autoreset_mode", "recovery_mode"]),
    ("kairos.reset root=LABEL=COS_ACTIVE", "autoreset", ["autoreset_mode", "recovery_mode"]),
    ("root=live:LABEL=COS_LIVE", "live", ["live_mode"]), ("root=live:CDLABEL=COS_LIVE", "live", ["live_mode"]), ("netboot", "live", ["live_mode"]),
    ("root=live:LABEL=COS_RECOVERY", "recovery", ["recovery_mode"]),
    ("root=/dev/sda1", "unknown", ["unknown"]), ("", "unknown", ["unknown"]),
    ("kairos.config_url=http://netboot.example/COS_ACTIVE", "unknown", ["unknown"]),
    ("root=LABEL=COS_ACTIVE x=live:LABEL kairos.resetting", "active", ["active_mode"]),
    ("root=LABEL=COS_PASSIVE root=LABEL=COS_ACTIVE", "active", ["active_mode"]),
    ("kairos.ram root=live:LABEL=COS_LIVE", "active", ["active_mode", "in_ram_mode"]), ("kairos.ram.wipe=yes", "active", ["active_mode", "in_ram_mode"]),
    ("kairos.ramnottreally=1", "unknown", ["unknown"]), ("kairos.ram_experimental=1", "unknown", ["unknown"]),
])
def test_which_boot_this_is(text: str, mode: str, sentinels: list[str]) -> None:
    state = detect(Cmdline(text))
    assert (state.mode, state.sentinels) == (mode, sentinels)


@pytest.mark.parametrize(("text", "reduced"), [
    ("root=LABEL=COS_ACTIVE", False), ("", False), ("root=live:LABEL=COS_LIVE", True), ("root=live:CDLABEL=COS_LIVE", True), ("netboot", True),
    ("rd.cos.disable root=LABEL=COS_ACTIVE", True), ("rd.immucore.disable", True), ("rd.immucore.disabled", True), ("rd.cos.disable=0", False),
    ("root=live:LABEL=COS_RECOVERY", True), ("url=http://netboot/", False), ("kairos.ram", True),
])
def test_whose_root_it_is(text: str, reduced: bool) -> None:
    assert detect(Cmdline(text)).reduced is reduced


@pytest.mark.parametrize(("variables", "mode", "sentinels"), [
    ({}, "live", ["live_mode", "uki_install_mode"]), (INSTALLED, "passive", ["passive_mode", "uki_boot_mode"]),
    ({**INSTALLED, "LoaderEntrySelected": "statereset.conf"}, "autoreset", ["autoreset_mode", "recovery_mode", "uki_boot_mode"]),
    ({**INSTALLED, "LoaderEntrySelected": "active"}, "unknown", ["unknown", "uki_boot_mode"]),
])
def test_a_boot_without_boot_menu_tells_its_state_in_efi_variables(variables: dict[str, str], mode: str, sentinels: list[str]) -> None:
    state = detect(Cmdline("rd.immucore.uki root=LABEL=COS_ACTIVE"), lambda name: variables.get(name, ""))
    assert (state.mode, state.sentinels) == (mode, sentinels)


@pytest.mark.parametrize(("text", "image", "partition"), [
    ("root=LABEL=COS_ACTIVE", "COS_ACTIVE", "COS_STATE"), ("root=LABEL=COS_PASSIVE", "COS_PASSIVE", "COS_STATE"), ("root=LABEL=COS_SYSTEM", "COS_SYSTEM", "COS_RECOVERY"),
    ("kairos.reset", "COS_SYSTEM", "COS_RECOVERY"), ("netboot", "", ""), ("", "", ""),
])
def test_the_labels_of_the_image_and_of_its_partition(text: str, image: str, partition: str) -> None:
    state = detect(Cmdline(text))
    assert (state.image_label, state.partition_label) == (image, partition)


@pytest.mark.parametrize(("label", "told"), [("PASSIVE", ["passive_mode", "upgrade_failure"]), ("ACTIVE", ["active_mode"])])
def test_the_passive_system_that_runs_instead_of_the_active_one_says_so(label: str, told: list[str], tmp_path: Path) -> None:
    write_sentinels(detect(Cmdline(f"root=LABEL=COS_{label} upgrade_failure")), str(tmp_path))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(told, "1")


def test_sentinels_hold_a_one_and_those_of_another_state_go(tmp_path: Path) -> None:
    (tmp_path / "passive_mode").write_text("1")
    (tmp_path / "upgrade_failure").write_text("1")
    write_sentinels(detect(Cmdline("root=LABEL=COS_ACTIVE")), str(tmp_path))
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"active_mode": "1", "upgrade_failure": "1"}
