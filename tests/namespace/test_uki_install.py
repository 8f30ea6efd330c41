"""An installation of a node that is one signed file, for real, on loop devices: its disk, its menu, its stages, and what is refused before anything changes (5.8).

The kernel of the machine that tests may have no FAT: the ESP is an ext4 file system here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and loop devices")]

MACHINE = """
from install_node import *
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.installing import Asked, install, plan_of
from kairos_boot.lifecycle.uki_installing import UkiInstallation
from kairos_boot.lifecycle.uki_install import PLACES
from kairos_boot.records import replace
from kairos_boot.system import efi
from tests.unit.esp_node import program, signature_list, word_of
FIRMWARE = "/sys/firmware/efi/efivars"
class OnExt4(UkiInstallation):
    def _layout(self, *how):
        found = super()._layout(*how)
        return replace(found, places=tuple(replace(p, fstype="ext4") if p.name == "efi" else p for p in found.places))
class UkiMachine(InstallNode):
    def __init__(self, size=800, medium=True, secure=False):
        super().__init__(home, size, files=dict.fromkeys(FILES))
        mounts.mount("tmpfs", "/sys/firmware", "tmpfs")
        os.makedirs(FIRMWARE)
        for name in ("uki_install_mode", "live_mode"):
            self.write(f"/run/cos/{name}", "1")
        self.write("/run/rootfsbase/x", "")
        if medium:
            mounts.mount("tmpfs", "/run/rootfsbase", "tmpfs")
            for name, content in {"EFI/kairos/norole.efi": program("one"), "EFI/BOOT/BOOTX64.EFI": program("loader"), "loader/entries/norole.conf": "title Our node\\nefi /EFI/kairos/norole.efi\\n"}.items():
                self.write(f"/run/rootfsbase/{name}", content)
        if secure:
            self.write(f"{FIRMWARE}/SecureBoot-{efi.GLOBAL}", efi.KEPT + b"\\1")
    def asked(self, text, **asked):
        path = f"{self.home}/config.yaml"
        self.write(path, text)
        config = self.collector().given(path, self.cmdline)
        self.take(config)
        return self, config, Asked(self.own[0], **asked), OnExt4
    def install(self, text, **asked):
        return install(*self.asked(text, **asked))
    def written(self):
        return os.stat(f"{home}/disk0").st_blocks, open(f"{home}/disk0", "rb").read(1 << 20)
    def esp(self):
        return self.look(self.own[0], 1, lambda p: {os.path.relpath(f"{d}/{n}", p): open(f"{d}/{n}", "rb").read() for d, _, names in os.walk(p) for n in names})
"""
STAGES = ("kairos-uki-install.pre", "before-install", "after-install", "kairos-uki-install.after")
TEXT = "#cloud-config\nusers: [{name: kairos, groups: [admin]}]\ninstall: {partitions: {oem: {size: 16}}}\n"


def test_an_empty_disk_becomes_a_node(unshared: Callable[..., Any]) -> None:
    """5.8, 7.4: ESP, COS_OEM, COS_PERSISTENT; each role has a program and an entry with three tries; nothing is the default but what is sorted first."""
    told = unshared(f"""{MACHINE}
node = UkiMachine()
try:
    outcome = node.install({TEXT!r})
    esp = node.esp()
    words = {{name: word_of(content) for name, content in esp.items() if name.endswith((".efi", ".EFI"))}}
    texts = {{name: content.decode() for name, content in esp.items() if name.startswith("loader/")}}
    table = node.table(node.own[0])
    oem = node.look(node.own[0], 2, lambda p: {{n: read(f"{{p}}/{{n}}") for n in os.listdir(p) if n != "lost+found"}})
    event = node.look(node.own[0], 3, lambda p: read(p + "/.kairos-state"))
    left = [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")]
    chosen = efi.text("LoaderEntryOneShot")
    tell([list(outcome.failures), table, words, texts, oem, event, left, chosen])
finally:
    node.close()
""")
    failures, table, words, texts, oem, event, left, chosen = told
    assert failures == []
    assert table == [[1, "efi", "COS_GRUB", "ext4"], [2, "oem", "COS_OEM", "ext4"], [3, "persistent", "COS_PERSISTENT", "ext4"]]
    assert words == {"EFI/BOOT/BOOTX64.EFI": "loader", "EFI/systemd/systemd-bootx64.efi": "loader", **{f"EFI/kairos/{role}.efi": "one" for role in ("active", "passive", "recovery")}}
    assert texts == {
        "loader/entries/active+3.conf": "title Our node\nefi /EFI/kairos/active.efi\nsort-key 0001\n",
        "loader/entries/passive+3.conf": "title Our node (fallback)\nefi /EFI/kairos/passive.efi\nsort-key 0002\n",
        "loader/entries/recovery+3.conf": "title Our node recovery\nefi /EFI/kairos/recovery.efi\nsort-key 0003\n",
        "loader/loader.conf": "timeout 3\neditor no\nconsole-mode keep\n"}
    assert oem == {"90_custom.yaml": TEXT}
    assert "first-install" in event
    assert left == []
    assert chosen == "active.conf"


def test_the_stages_come_in_their_order_and_see_the_partitions(unshared: Callable[..., Any]) -> None:
    """The ESP is there until the last stage is done; the configuration is, from before the systems are written."""
    stages = "".join(f"  {stage}: [{{commands: ['echo {stage} $(ls /run/cos/oem/90_custom.yaml /run/cos/efi/EFI/BOOT 2>/dev/null | grep -c -e custom -e BOOTX64) >> HOME/order']}}]\n" for stage in STAGES)
    told = unshared(f"""{MACHINE}
node = UkiMachine()
try:
    outcome = node.install(({TEXT!r} + "stages:\\n" + {stages!r}).replace("HOME", home))
    tell([list(outcome.failures), read(f"{{home}}/order"), [line for line in node.lines if line.endswith(" hook")]])
finally:
    node.close()
""")
    failures, order, said = told
    assert failures == []
    assert order.splitlines() == [f"{stage} {count}" for stage, count in zip(STAGES, (0, 0, 1, 2), strict=True)]
    assert said == [f"5 Running {stage} hook" for stage in STAGES]


def test_a_plan_says_it_and_touches_nothing(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{MACHINE}
node = UkiMachine()
try:
    before = node.written()
    plan = plan_of(*node.asked({TEXT!r}))
    tell([[phase["phase"] for phase in plan], str(plan), node.written() == before, os.path.exists("/run/cos/efi")])
finally:
    node.close()
""")
    names, text, same, mounted = told
    assert names == ["pre", "partition", "mount", "before-install", "permission", "configuration", "active", "passive", "recovery", "menu", "after-install", "record", "boot-loader",
                     "select", "after", "unmount"]
    assert "COS_OEM and COS_PERSISTENT are not encrypted" in text
    assert same
    assert not mounted


@pytest.mark.parametrize(("wrong", "said"), [
    ("unsigned", "it is not signed"), ("damaged", "it is no EFI program"), ("no medium", "the medium that this machine was booted from is not there"), ("no loader", "there is no boot loader for the new node"),
    ("small disk", "the layout does not fit in the target disk"), ("prepared", "always made anew"), ("installed", "runs from its node's disk"),
    ("bios", "started by UEFI alone"), ("no users", "No users found"), ("in use", "has mounted partitions"), ("other loader", "it is not signed")])
def test_what_cannot_be_done_is_refused_before_anything_changes(unshared: Callable[..., Any], wrong: str, said: str) -> None:
    told = unshared(f"""{MACHINE}
wrong = {wrong!r}
node = UkiMachine(300 if wrong == "small disk" else 800, medium=wrong != "no medium", secure=wrong in ("unsigned", "other loader"))
try:
    text, asked = {TEXT!r}, {{}}
    if wrong == "other loader":  # the firmware knows the program by its hash
        from kairos_boot.system import authenticode
        known = authenticode.digest(authenticode.read("/run/rootfsbase/EFI/kairos/norole.efi"), "sha256")
        node.write(f"{{FIRMWARE}}/db-{{efi.SECURITY}}", efi.KEPT + signature_list(efi.SHA256, [known]))
    if wrong == "damaged":
        node.write("/run/rootfsbase/EFI/kairos/norole.efi", "x")
    if wrong == "no loader":
        os.remove("/run/rootfsbase/EFI/BOOT/BOOTX64.EFI")
    if wrong == "installed":
        os.rename("/run/cos/uki_install_mode", "/run/cos/uki_boot_mode")
    if wrong == "no users":
        text = "#cloud-config\\ninstall: {{auto: true}}\\n"
    if wrong == "in use":
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", node.own[0]], check=True)
        os.mkdir("/run/used")
        mounts.mount(node.own[0], "/run/used", "ext4", ("ro",))
    more = {{"prepared": "no-format: true", "bios": "firmware: bios"}}.get(wrong)
    if more:
        text = text.replace("partitions:", more + ", partitions:")
    before = node.written()
    found = []
    for act in (lambda: plan_of(*node.asked(text)), lambda: node.install(text)):
        try:
            act()
            found.append("done")
        except KairosError as error:
            found.append(error.message)
    tell([found, node.written() == before, [line for line in node.lines if line.endswith(" hook")]])
finally:
    node.close()
""")
    found, same, hooks = told
    assert all(said in each for each in found), found
    assert same
    assert hooks == []


def test_with_secure_boot_what_the_firmware_knows_is_installed(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{MACHINE}
node = UkiMachine(secure=True)
try:
    from kairos_boot.system import authenticode
    known = [authenticode.digest(authenticode.read(f"/run/rootfsbase/EFI/{{name}}"), "sha256") for name in ("kairos/norole.efi", "BOOT/BOOTX64.EFI")]
    node.write(f"{{FIRMWARE}}/db-{{efi.SECURITY}}", efi.KEPT + signature_list(efi.SHA256, known))
    tell([list(node.install({TEXT!r}).failures), sorted(node.esp())[0]])
finally:
    node.close()
""")
    assert told == [[], "EFI/BOOT/BOOTX64.EFI"]


def test_a_file_is_a_source_too_and_its_boot_loader_is_the_mediums(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{MACHINE}
node = UkiMachine()
try:
    node.write(f"{{home}}/other.efi", program("two"))
    node.install({TEXT!r}, source=f"file:{{home}}/other.efi")
    esp = node.esp()
    tell([word_of(esp["EFI/kairos/active.efi"]), word_of(esp["EFI/BOOT/BOOTX64.EFI"])])
finally:
    node.close()
""")
    assert told == ["two", "loader"]


def test_an_installation_that_is_cut_off_before_its_end_leaves_a_disk_that_nothing_starts(unshared: Callable[..., Any]) -> None:
    told = unshared(f"""{MACHINE}
node = UkiMachine()
try:
    try:
        node.install("strict: true\\n".join(({TEXT!r}[:14], {TEXT!r}[14:])) + "stages: {{{{after-install: [{{{{commands: ['exit 3']}}}}]}}}}\\n".replace("{{{{", "{{").replace("}}}}", "}}"))
        said = "done"
    except KairosError as error:
        said = str(error)
    left = [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")]
    tell([said, sorted(name for name in node.esp() if "BOOT" in name or "systemd" in name), left])
finally:
    node.close()
""")
    said, programs, left = told
    assert "until then the disk is no node" in said
    assert programs == []
    assert left == []
