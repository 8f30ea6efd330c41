"""An installation for real, on loop devices: partitions, images, configuration, hooks, boot code, and what it refuses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.namespace.initrds import HALF, initrd

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts and loop devices")]

PRELUDE = "from install_node import *\nfrom kairos_boot.errors import KairosError\n"
REFUSED = """
try:
    node.install(text, **more)
    said = "it was installed"
except KairosError as error:
    said = f"{type(error).__name__}: {error}"
"""


def test_an_empty_disk_becomes_a_node(unshared: Callable[..., Any]) -> None:
    """TGT-3: the order on BIOS; the images are the source under their labels; the boot code leads to the core."""
    told = unshared(PRELUDE + """
node = InstallNode(home, 700)
disk = node.own[0]
outcome = node.install()
tree = {}
for name, number in (("active", 4), ("passive", 4), ("recovery", 3)):
    tree[name] = node.inside(disk, number, f"cOS/{name}.img", lambda p: (read(p + "/boot/vmlinuz"), os.path.isdir(p + "/usr/local"), os.path.isdir(p + "/tmp")))
labels = {name: node.look(disk, number, lambda p, n=name: probe(f"{p}/cOS/{n}.img").label) for name, number in (("active", 4), ("passive", 4), ("recovery", 3))}
state = node.look(disk, 4, lambda p: {n: read(f"{p}/{n}") for n in ("grub2/grub.cfg", "grubmenu", "grubenv", "grub_oem_env")} | {"all": sorted(os.listdir(p))})
sums = node.look(disk, 4, lambda p: read(f"{p}/cOS/active.img.sha256").split()[0] == digest(f"{p}/cOS/active.img"))
oem = node.look(disk, 2, lambda p: {n: (read(f"{p}/{n}"), oct(os.stat(f"{p}/{n}").st_mode & 0o777)) for n in os.listdir(p) if n != "lost+found"})
persistent = node.look(disk, 5, lambda p: read(f"{p}/.kairos-state"))
with open(disk, "rb") as file:
    sector = file.read(512)
    file.seek(1 << 20)
    core = file.read(1200)
from kairos_boot.system import grub
mounted = [m.target for m in mounts.mounted() if "/run/cos" in m.target]
table, wanted = node.table(disk), read(f"{home}/config.yaml")
node.close()
tell([outcome.failures, table, tree, labels, state, sums, oem, wanted, persistent, grub.core_of(sector), sector[510:] == b"\\x55\\xaa", core[:4].decode(), mounted])
""")
    failures, table, tree, labels, state, sums, oem, wanted, persistent, core, signature, first, mounted = told
    assert failures == []
    assert table == [[1, "bios", "", ""], [2, "oem", "COS_OEM", "ext4"], [3, "recovery", "COS_RECOVERY", "ext4"], [4, "state", "COS_STATE", "ext4"],
                     [5, "persistent", "COS_PERSISTENT", "ext4"]]
    assert all(found == ["kernel", True, True] for found in tree.values())
    assert labels == {"active": "COS_ACTIVE", "passive": "COS_PASSIVE", "recovery": "COS_SYSTEM"}
    assert "--id fallback" in state["grub2/grub.cfg"]
    assert "remoterecovery" in state["grubmenu"]
    assert "default_menu_entry=Our node" in state["grub_oem_env"]
    assert len(state["grubenv"]) == 1024
    assert sums
    assert oem["90_custom.yaml"] == [wanted, "0o640"]
    assert len(oem["grubenv"][0]) == 1024
    assert 'first-install: "20' in persistent or "first-install: 20" in persistent
    assert (core, signature, first, mounted) == (1 << 20, True, "core", [])


def test_another_disk_with_the_same_labels_is_untouched(unshared: Callable[..., Any]) -> None:
    """The second disk is a node, too: every label and every name in the table is there twice (G5)."""
    told = unshared(PRELUDE + """
node = InstallNode(home, 700, 700)
node.install(disk=node.own[1])
before = digest(node.own[1])
node.install()
again = digest(node.own[1])
tables = [node.table(disk) for disk in node.own]
first = digest(node.own[0])
node.install()  # over itself
tell([before == again, tables[0] == tables[1], first != digest(node.own[0]), before == digest(node.own[1])])
node.close()
""")
    assert told == [True, True, True, True]


def test_hooks_run_in_order_where_they_should_and_leave_what_they_write(unshared: Callable[..., Any]) -> None:
    told = unshared(PRELUDE + """
node = InstallNode(home, 700)
stages = ("kairos-install.pre.before", "kairos-install.pre", "before-install", "after-install", "kairos-install.after")
text = "".join(f"  {stage}: [{{commands: ['echo {stage} $(ls /run/cos/oem 2>/dev/null | grep -c custom) >> {home}/order']}}]\\n" for stage in stages)
text += "  after-install-chroot: [{if_files: {all: [/oem/90_custom.yaml]}, files: [{path: /marked, content: x}, {path: /usr/local/kept}, {path: /oem/chroot, content: y}]}]\\n"
outcome = node.install(f"{USER}install:\\n{SMALL}stages:\\n{text}")
disk = node.own[0]
inside = [node.inside(disk, n, f"cOS/{i}.img", lambda p: read(p + "/marked")) for i, n in (("active", 4), ("passive", 4), ("recovery", 3))]
tell([list(outcome.failures), read(f"{home}/order"), inside, node.look(disk, 5, lambda p: os.path.exists(p + "/kept")), node.look(disk, 2, lambda p: read(p + "/chroot")),
      [line for line in node.lines if "hook" in line]])
node.close()
""")
    failures, order, inside, kept, chroot, said = told
    assert failures == []
    assert order.splitlines() == ["kairos-install.pre.before 0", "kairos-install.pre 0", "before-install 0", "after-install 1", "kairos-install.after 0"]
    assert inside == ["x", "x", "x"]
    assert kept
    assert chroot == "y"
    assert "5 Running after-install hook" in said


@pytest.mark.parametrize(("strict", "ends"), [("", False), ("strict: true\n", True)])
def test_a_failing_hook_is_told_of_and_with_strict_ends_it(unshared: Callable[..., Any], strict: str, ends: bool) -> None:
    told = unshared(PRELUDE + f"""
node = InstallNode(home, 700)
text = USER + {strict!r} + "install:\\n" + SMALL + "stages: {{before-install: [{{commands: ['exit 3']}}]}}\\n"
try:
    said = list(node.install(text).failures)
except KairosError as error:
    said = f"{{type(error).__name__}} {{error}}"
with open(node.own[0], "rb") as file:
    bootable = bool(file.read(440).strip(bytes(1)))
left = [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")]
tell([said, bootable, left])
node.close()
""")
    said, bootable, left = told
    assert left == []
    assert bootable is not ends
    if ends:
        assert said.startswith("Broken stage before-install failed: ")
        assert "until then the disk is no node" in said
    else:
        assert len(said) == 1
        assert "exit status 3" in said[0]


def test_a_step_can_forbid_the_installation(unshared: Callable[..., Any]) -> None:
    told = unshared(PRELUDE + """
node = InstallNode(home, 700)
text = f"{USER}install:\\n{SMALL}stages: {{before-install: [{{commands: ['echo wrong rack > /run/cos/fail_installation']}}]}}\\n"
more = {}
""" + REFUSED + """
with open(node.own[0], "rb") as file:
    bootable = bool(file.read(440).strip(bytes(1)))
tell([said, bootable])
node.close()
""")
    assert "Installation failed: wrong rack" in told[0]
    assert told[1] is False


def test_a_plan_runs_no_script_that_names_the_disk(unshared: Callable[..., Any]) -> None:
    told = unshared(PRELUDE + """
from kairos_boot.lifecycle.installing import plan_of
node = InstallNode(home)
node.write(f"{home}/which", f"#!/bin/sh\\ntouch {home}/ran\\necho /dev/null\\n")
os.chmod(f"{home}/which", 0o755)
node.write(f"{home}/config.yaml", USER)
try:
    said = str(plan_of(node, node.collector().given(f"{home}/config.yaml", ""), Asked(f"script://{home}/which", f"dir:{home}/tree", firmware="bios")))
except KairosError as error:
    said = str(error)
tell([said, os.path.exists(f"{home}/ran")])
""")
    assert "a plan runs none" in told[0]
    assert told[1] is False


def test_a_script_that_names_the_disk_runs_once_in_an_installation(unshared: Callable[..., Any]) -> None:
    """It may do more than to look, and its answer may be another one the next time: what was checked is what is written to."""
    told = unshared(PRELUDE + """
node = InstallNode(home, 700, 700)
node.write(f"{home}/which", f"#!/bin/sh\\necho x >>{home}/ran\\n[ $(wc -l <{home}/ran) -gt 1 ] && echo {node.own[1]} || echo {node.own[0]}\\n")
os.chmod(f"{home}/which", 0o755)
other = digest(node.own[1])
failures = list(node.install(disk=f"script://{home}/which").failures)
tell([failures, read(f"{home}/ran"), len(node.table(node.own[0])), other == digest(node.own[1])])
node.close()
""")
    assert told == [[], "x\n", 5, True]


@pytest.mark.parametrize(("firmware", "boot", "said"), [
    ("bios", "ext4", "no partition for the boot loader of BIOS"), ("efi", "ext4", "no partition for the boot loader of UEFI"),
    ("efi", "ext2, bootable: true", "no partition for the boot loader of UEFI"), ("bios", "fat16, bootable: true", "no partition for the boot loader of BIOS"),
    ("both", "ext2, bootable: true", "no partition for the boot loader of UEFI")])
def test_a_prepared_disk_without_a_place_for_its_boot_loader_is_refused_before_a_source_is_fetched(
        unshared: Callable[..., Any], firmware: str, boot: str, said: str) -> None:
    """The plan says the same; where a step may still make one, it is looked for behind that step."""
    told = unshared(PRELUDE + f"""
from kairos_boot.lifecycle import installing
node = InstallNode(home, 700)
disk = node.own[0]
parts = [("boot", "X", 16, {boot!r}), ("oem", "COS_OEM", 16, "ext4"), ("recovery", "COS_RECOVERY", 100, "ext4"), ("state", "COS_STATE", 120, "ext4"), ("persistent", "COS_PERSISTENT", 0, "ext4")]
layout = ", ".join(f"{{{{fsLabel: {{label}}, pLabel: {{name}}, size: {{size}}, filesystem: {{fs}}}}}}" for name, label, size, fs in parts)
steps = f"stages:\\n  kairos-install.pre:\\n  - layout:\\n      device: {{{{path: {{disk}}, init_disk: true}}}}\\n      add_partitions: [{{layout}}]\\n"
text = f"{{USER}}install:\\n  no-format: true\\n  system: {{{{size: 24}}}}\\n"
def run(**asked):
    try:
        return list(node.install(**asked).failures)
    except KairosError as error:
        return str(error)
behind = run(text=text + steps, firmware={firmware!r})
before = digest(disk)
node.write(f"{{home}}/archive", "would be refused when it is unpacked")
early = run(text=text, firmware={firmware!r}, source=f"ocifile:{{home}}/archive")
try:
    planned = str(installing.plan_of(node, node.collector().given(f"{{home}}/config.yaml", ""), Asked(disk, f"dir:{{home}}/tree", firmware={firmware!r})))
except KairosError as error:
    planned = str(error)
tell([behind, early, planned, before == digest(disk)])
node.close()
""")
    for text in told[:3]:
        assert said in text
    assert told[3] is True


@pytest.mark.parametrize(("files", "text", "more", "said"), [
    ({"boot/initrd": None}, "", {}, "lacks /boot/initrd"),
    ({"boot/initrd": "no archive"}, "", {}, "it cannot be read as an initrd"),
    ({"boot/initrd": initrd(names=("init", "usr/bin/python3"))}, "", {}, "none that starts a node: it lacks usr/bin/kairos-boot"),
    ({"boot/initrd": initrd(names=HALF[:2])}, "", {}, "it lacks usr/lib/systemd/system/kairos-boot-initrd.service"),
    ({"sbin/init": None}, "", {}, "lacks /sbin/init"),
    ({"usr/share/kairos-boot/grub/core.img": None}, "", {}, "no boot loader for BIOS"),
    ({"usr/share/kairos-boot/grub/bootx64.efi": None}, "", {"firmware": "efi"}, "no boot loader for UEFI"),
    ({}, "  partitions: {persistent: {size: 30000}}\n", {}, "does not fit in the target disk"),
    ({}, "  extra-partitions: [{name: data, size: 5000}]\n", {}, "does not fit in the target disk"),
    ({}, "  reboot: true\n  poweroff: true\n", {}, "not both"),
    ({}, "#cloud-config\ninstall: {device: x}\n", {}, "No users found in any stage that are part of the 'admin' group"),
    ({}, "  cloud-init: [/nowhere.yaml]\n", {}, "no such file"),
])
def test_what_cannot_be_done_is_refused_before_anything_is_written(unshared: Callable[..., Any], files: dict[str, None], text: str, more: dict[str, str], said: str) -> None:
    told = unshared(PRELUDE + f"""
files, text, more = {files!r}, {text!r}, {more!r}
node = InstallNode(home, 700, files=files)
before = digest(node.own[0])
if "partitions:" in text:
    text = USER + "install:\\n" + text
""" + REFUSED + """
tell([said, before == digest(node.own[0])])
node.close()
""")
    assert said in told[0]
    assert told[1] is True, "nothing was written"


@pytest.mark.parametrize(("files", "damage", "said"), [
    ({"boot/initrd": None}, "", "lacks /boot/initrd"),
    ({"usr/share/kairos-boot/grub/core.img": None}, "", "no boot loader for BIOS"),
    ({}, "with open(image, 'r+b') as file: file.seek(1024 + 56); file.write(bytes(2))", "the image is damaged"),
    ({}, "node.write(image + '.sha256', '0' * 64)", "the image is damaged"),
    ({}, "node.write(image, 'text')", "the image is damaged"),
])
def test_an_image_file_is_looked_into_before_the_disk_is_erased(unshared: Callable[..., Any], files: dict[str, None], damage: str, said: str) -> None:
    """G1: what is refused of a tree is refused of an image with the same in it."""
    told = unshared(PRELUDE + f"""
from kairos_boot.actions.image_file import BuildImage
node = InstallNode(home, 700, files={files!r})
image = f"{{home}}/image"
BuildImage(f"{{home}}/tree", image, "COS_ACTIVE", 24 << 20).apply(node.host)
os.unlink(image + ".sha256")
{damage}
before, text, more = digest(node.own[0]), "", {{"source": f"file:{{image}}"}}
""" + REFUSED + """
left = [m.target for m in mounts.mounted() if m.target.startswith("/run/kairos-boot")]
tell([said, before == digest(node.own[0]), left])
node.close()
""")
    assert said in told[0]
    assert told[1:] == [True, []]


def test_an_image_file_gets_the_directories_that_are_asked_for_and_keeps_its_size(unshared: Callable[..., Any]) -> None:
    """What cannot be had of a file is said, and nothing is left out without a word."""
    failures, made, size, said = unshared(PRELUDE + """
from kairos_boot.actions.image_file import BuildImage
node = InstallNode(home, 700)
image = f"{home}/image"
BuildImage(f"{home}/tree", image, "COS_ACTIVE", 24 << 20).apply(node.host)
outcome = node.install("  extra-dirs-rootfs: [/data/one]\\n", source=f"file:{image}")
disk = node.own[0]
made = [node.inside(disk, n, f"cOS/{i}.img", lambda p: os.path.isdir(p + "/data/one")) for i, n in (("active", 4), ("passive", 4), ("recovery", 3))]
tell([outcome.failures, made, node.look(disk, 4, lambda p: os.path.getsize(p + "/cOS/active.img")), [line for line in node.lines if "system.size" in line]])
node.close()
""")
    assert failures == []
    assert made == [True, True, True]
    assert size == 24 << 20
    assert said == ["4 install.system.size: an image file keeps its size; only an image that is made of a tree can have another one"]


def test_a_disk_in_use_is_refused(unshared: Callable[..., Any]) -> None:
    told = unshared(PRELUDE + """
node = InstallNode(home, 700)
node.install()
disk = node.own[0]
os.makedirs(f"{home}/busy")
mounts.mount(partitions.node_of(disk, 2), f"{home}/busy", "ext4")
before, text, more = digest(disk), "", {}
""" + REFUSED + """
tell([said, before == digest(disk)])
node.close()
""")
    assert "has mounted partitions, please unmount them before installing" in told[0]
    assert told[1] is True


def test_partitions_that_a_step_prepares_are_used_and_not_formatted(unshared: Callable[..., Any]) -> None:
    """PRT-1 to 4: no device is named; the disk with a COS_STATE wins over the larger one, which stays as it is."""
    told = unshared(PRELUDE + """
node = InstallNode(home, 900, 700)
small = node.own[1]
before = digest(node.own[0])
parts = [("bios", "COS_GRUB", 64, "ext2, bootable: true"), ("oem", "COS_OEM", 16, "ext4"), ("recovery", "COS_RECOVERY", 100, "ext4"), ("state", "COS_STATE", 120, "ext4"), ("persistent", "COS_PERSISTENT", 0, "ext4")]
layout = ", ".join(f"{{fsLabel: {label}, pLabel: {name}, size: {size}, filesystem: {fs}}}" for name, label, size, fs in parts)
text = f"{USER}install:\\n  no-format: true\\n  system: {{size: 24}}\\nstages:\\n  kairos-install.pre.before:\\n  - if: '[ -e {small} ]'\\n    layout:\\n      device: {{path: {small}, init_disk: true}}\\n      add_partitions: [{layout}]\\n"
try:
    failures = list(node.install(text, disk="").failures)
except KairosError as error:
    failures = [str(error)]
table = node.table(small)
if failures:
    tell([failures, table, node.lines])
    node.close()
    sys.exit()
first = node.look(small, 4, lambda p: sorted(os.listdir(p + "/cOS"))) if len(table) > 3 else []
try:
    node.install(text, disk="")
    again = "it was installed again"
except KairosError as error:
    again = str(error)
forced = list(node.install(text.replace("no-format: true", "no-format: true\\n  force: true"), disk="").failures)
with open(small, "rb") as file:
    boot = bool(file.read(440).strip(bytes(1)))
tell([failures, table, first, again, forced, before == digest(node.own[0]), boot])
node.close()
""")
    assert len(told) == 7, told
    failures, table, first, again, forced, untouched, boot = told
    assert boot
    assert failures == []
    assert [row[2] for row in table] == [table[0][2], "COS_OEM", "COS_RECOVERY", "COS_STATE", "COS_PERSISTENT"]
    assert first == ["active.img", "active.img.sha256", "passive.img", "passive.img.sha256"]
    assert "use `force` flag to run an installation over the current running deployment" in again
    assert forced == []
    assert untouched


def test_a_new_boot_loader_takes_the_old_ones_place_in_one_sector(unshared: Callable[..., Any]) -> None:
    """An upgrade or a reset refreshes it: the new core goes where the old one is not; the same one again writes nothing."""
    told = unshared(PRELUDE + """
from kairos_boot.lifecycle.bootcode import InstallBootCode
from kairos_boot.system import grub
from kairos_boot.actions.image_file import BuildImage
node = InstallNode(home, 700)
node.install()
disk = node.own[0]
def first():
    with open(disk, "rb") as file:
        return file.read(512)
def core(at):
    with open(disk, "rb") as file:
        file.seek(at)
        return file.read(4).decode()
places = [grub.core_of(first())]
image = f"{home}/new.img"
def refresh(text):
    node.write(f"{home}/tree/usr/share/kairos-boot/grub/core.img", text)
    BuildImage(f"{home}/tree", image, "COS_ACTIVE", 24 << 20).apply(node.host)
    changed = InstallBootCode(image, disk).apply(node.host)
    places.append(grub.core_of(first()))
    return changed, core(places[-1])
told = [refresh("core" * 300), refresh("next" * 300), refresh("next" * 300), refresh("last" * 300)]
old = core(places[2])
os.unlink(f"{home}/tree/usr/share/kairos-boot/grub/core.img")
BuildImage(f"{home}/tree", image, "COS_ACTIVE", 24 << 20).apply(node.host)
told.append(InstallBootCode(image, disk).apply(node.host))
tell([told, places, old, first()[510:] == b"\\x55\\xaa"])
node.close()
""")
    told_, places, old, signature = told
    half = (1 << 20) // 2
    assert told_ == [[False, "core"], [True, "next"], [False, "next"], [True, "last"], False]
    assert places == [1 << 20, 1 << 20, (1 << 20) + half, (1 << 20) + half, 1 << 20]
    assert old == "next", "the one before stays where it was"
    assert signature


def test_for_uefi_the_program_lies_where_firmware_looks(unshared: Callable[..., Any]) -> None:
    """With both, the order is bios, efi, oem, …"""
    told = unshared(PRELUDE + """
node = InstallNode(home, 700)
failures = list(node.install(firmware="both").failures)
table = node.table(node.own[0])
content = subprocess.run(["mtype", "-i", partitions.node_of(node.own[0], 2), "::/EFI/BOOT/BOOTX64.EFI"], capture_output=True, check=False).stdout
tell([failures, [row[1] for row in table], table[1][2:], content.decode()])
node.close()
""")
    assert told == [[], ["bios", "efi", "oem", "recovery", "state", "persistent"], ["COS_GRUB", "vfat"], "MZ" * 300]


def test_a_signed_program_stays_and_an_installation_says_so(unshared: Callable[..., Any]) -> None:
    """With or without vfat in the kernel; an upgrade never writes in place what the firmware starts."""
    said, same, plain, later, after = unshared(PRELUDE + """
from kairos_boot.lifecycle.bootcode import stays_trusted
from kairos_boot.system import fat
from kairos_boot.system.host import Host
node = InstallNode(home)
part, name = f"{home}/esp", "EFI/BOOT/BOOTX64.EFI"
with open(part, "wb") as file:
    file.truncate(8 << 20)
subprocess.run(["mkfs.vfat", part], check=True, capture_output=True)
node.own.append(loop.attach(part, read_only=False))
device = node.own[0]
signed = bytearray(b"MZ".ljust(512, bytes(1)))
signed[0x3C], signed[0x80:0x84], signed[0x80 + 24 + 128] = 0x80, b"PE" + bytes(2), 1
def now():
    return subprocess.run(["mtype", "-i", device, f"::/{name}"], capture_output=True, check=False).stdout
def put(content, **how):
    try:
        return fat.put_files(Host("/"), device, {"EFI/BOOT/other": content, name: content}, stays_trusted, **how)
    except KairosError as error:
        return error.message
put(bytes(signed), must=True)
said, same = put(b"MZ plain", must=True), now() == bytes(signed)
plain = put(b"MZ plain")
signed[300] = 7
later = put(bytes(signed))
tell([said, same, plain, later, now() == bytes(signed)])
node.own.clear()
loop.detach(device)
""")
    assert "EFI/BOOT/other is a signed program, and the one that is to replace it has no signature" in said
    assert same
    if "cannot be mounted" in str(plain):  # no vfat in this kernel
        assert (str(later), after) == (plain, False)
    else:
        assert (plain, later, after) == (False, True, True)


def test_what_a_cut_left_beside_a_program_is_gone_before_anything_is_written(unshared: Callable[..., Any]) -> None:
    """It may share the room of the program: a write to it that then fails, as here for lack of room, would take the program with it."""
    failed, names, same = unshared(PRELUDE + """
from kairos_boot.system import fat, fat_names
from kairos_boot.system.host import Host
mounts.mount("tmpfs", "/run", "tmpfs")
part, name = f"{home}/esp", "EFI/BOOT/BOOTX64.EFI"
with open(part, "wb") as file:
    file.truncate(4 << 20)
subprocess.run(["mkfs.vfat", part], check=True, capture_output=True)
device = loop.attach(part, read_only=False)
try:
    for folder in ("EFI", "EFI/BOOT"):
        subprocess.run(["mmd", "-i", device, f"::{folder}"], check=True)
    for end in ("", ".new"):
        subprocess.run(["mcopy", "-i", device, "-", f"::{name}{end}"], input=b"MZ" * 90_000, check=True)
    with open(device, "r+b", buffering=0) as file:
        volume = fat_names.Volume(file.fileno())
        old, new = (os.pread(file.fileno(), 32, volume.find(name + end).places[0]) for end in ("", ".new"))
        os.pwrite(file.fileno(), new[:20] + old[20:22] + new[22:26] + old[26:], volume.find(name + ".new").places[0])
        os.fsync(file.fileno())
    try:
        fat.put_files(Host("/"), device, {name: bytes(8 << 20)})
        failed = ""
    except KairosError as error:
        failed = error.message
    names = subprocess.run(["mdir", "-b", "-i", device, "::/EFI/BOOT"], capture_output=True, text=True, check=True).stdout.split()
    now = subprocess.run(["mtype", "-i", device, f"::/{name}"], capture_output=True, check=False).stdout
    tell([failed, names, now == b"MZ" * 90_000])
finally:
    loop.detach(device)
""")
    assert "cannot be written" in failed or "cannot be mounted" in failed, "with vfat in the kernel, or without"
    assert names == ["::/EFI/BOOT/BOOTX64.EFI"]
    assert same


def test_a_signature_that_cannot_be_checked_is_a_refusal(unshared: Callable[..., Any]) -> None:
    """Nothing was changed: without the program, and where the source has no signature."""
    told = unshared(PRELUDE + """
node = InstallNode(home, 700)
before, more = digest(node.own[0]), {}
text = f"{USER}cosign: true\\ninstall:\\n{SMALL}"
""" + REFUSED + """
first = said
node.write("/run/bin/cosign", "#!/bin/sh\\nexit 0\\n")
os.chmod("/run/bin/cosign", 0o755)
mounts.mount("/run/bin", "/usr/local", options=("bind",))
os.makedirs("/usr/local/bin", exist_ok=True)
os.rename("/usr/local/cosign", "/usr/local/bin/cosign")
""" + REFUSED + """
tell([first, said, before == digest(node.own[0])])
node.close()
""")
    assert "it needs cosign" in told[0]
    assert "only an image in a registry has a signature" in told[1]
    assert told[2]
