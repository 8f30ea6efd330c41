"""A node of one signed file whose partitions are encrypted by themselves: installation and reset on loop devices, with programs that stand for a TPM (see crypt_programs)."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.namespace.initrds import initrd
from tests.namespace.test_uki_install import MACHINE, TEXT
from tests.namespace.test_uki_reset import NODE

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("cryptsetup"), reason="needs root and cryptsetup")]

UNIT = "usr/lib/systemd/system/kairos-boot-crypt.service"
LIBRARIES = ("usr/lib/libtss2-esys.so.0", "usr/lib/cryptsetup/libcryptsetup-token-systemd-tpm2.so")
SEALED = MACHINE + f"""
import crypt_programs
from crypt_programs import close, inside, keys_shown, open_ones, opens
OPENS = {initrd(names=(UNIT, *LIBRARIES))!r}
""" + """
def machine(initrd=OPENS, **how):
    node = UkiMachine()
    node.write("/run/rootfsbase/EFI/kairos/norole.efi", program("one", initrd=initrd))
    crypt_programs.put(home, **how)
    return node
WHERE = {"terminals": (f"{home}/terminal",)}
def attempt(node, text, **more):
    said = []
    for act in (plan_of, install):
        try:
            made = act(*node.asked(text, **{**WHERE, **more}))
            said.append([line for phase in made for line in phase["does"]] if act is plan_of else "installed")
        except KairosError as error:
            said.append(f"refused: {error}")
    return said
"""


def asks(words: str) -> str:
    """The configuration with these words of encryption."""
    return TEXT.replace("partitions:", f"encrypted_partitions: {words}, partitions:")


def test_both_partitions_become_containers_though_nobody_asks_for_it(unshared: Callable[..., Any]) -> None:
    """UKI-11: LUKS2 under the labels, file systems under the same labels within; one key, shown once and kept nowhere; the TPM has one, too; nothing stays open or mounted."""
    told = unshared(SEALED + f"""
node = machine()
try:
    planned = [phase["phase"] for phase in plan_of(*node.asked({TEXT!r}, **WHERE))]
    shown = keys_shown(home)
    outcome = node.install({TEXT!r}, **WHERE)
    [key] = keys_shown(home)
    disk = node.own[0]
    def within(number, work):
        found = inside(partitions.node_of(disk, number))
        try:
            return probe(found).label, looked(found, f"{{home}}/look", work, "ext4")
        finally:
            loop.detach(found)
    kept = "".join(read(f"{{home}}/{{name}}") for name in ("calls", "environment", "config.yaml")) + "".join(node.lines) + "".join(read(e.path) for e in os.scandir("/run/cos/ledger"))
    tell([planned, shown, list(outcome.failures), node.table(disk), [opens(home, partitions.node_of(disk, n), k) for n in (2, 3) for k in (key, "wrong")],
          within(2, lambda p: read(p + "/90_custom.yaml")), within(3, lambda p: os.path.exists(p + "/.kairos-state")), key in kept, open_ones(),
          [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")], [line for line in read(f"{{home}}/calls").splitlines() if "cryptenroll --unlock" in line],
          [line for line in node.lines if "not encrypted" in line], sorted(node.esp())[0]])
finally:
    close(node)
""")
    planned, shown, failures, table, opened, oem, persistent, leaked, mapped, mounted, sealed, said, loader = told
    assert planned.index("partition") < planned.index("encrypt") < planned.index("mount") < planned.index("recovery-key") < planned.index("boot-loader")
    assert shown == []
    assert failures == []
    assert table == [[1, "efi", "COS_GRUB", "ext4"], [2, "oem", "COS_OEM", "crypto_LUKS"], [3, "persistent", "COS_PERSISTENT", "crypto_LUKS"]]
    assert opened == [True, False, True, False]
    assert oem == ["COS_OEM", TEXT]
    assert persistent == ["COS_PERSISTENT", True]
    assert (leaked, mapped, mounted, said) == (False, [], [], [])
    assert len(sealed) == 2
    assert all("--tpm2-device=auto --tpm2-pcrs=7 " in call for call in sealed)
    assert loader == "EFI/BOOT/BOOTX64.EFI"


@pytest.mark.parametrize(("made", "asked", "why"), [
    ("tpm=''", "{}", "no TPM 2 that can be used"), ("modules='kernel/ext4.ko:'", "{}", "it has no dm-crypt"), ("", "{'terminals': ('/nowhere',)}", "no terminal to show the recovery key on"),
    ("initrd=''", "{}", "cannot be read as an initrd"), (f"initrd={initrd()!r}", "{}", f"it lacks {UNIT}"),
    (f"initrd={initrd(names=(UNIT, LIBRARIES[1]))!r}", "{}", "lacks the TPM's libraries (libtss2-esys.so)")])
def test_where_it_cannot_be_done_nothing_is_encrypted_and_plan_and_log_say_why(unshared: Callable[..., Any], made: str, asked: str, why: str) -> None:
    told = unshared(SEALED + f"""
node = machine({made})
try:
    plan, done = attempt(node, {TEXT!r}, **{asked})
    tell([plan, done, node.table(node.own[0]), node.lines, keys_shown(home)])
finally:
    close(node)
""")
    plan, done, table, lines, shown = told
    for said in (plan, [line for line in lines if line.startswith("4 ")]):
        assert any("COS_OEM and COS_PERSISTENT are not encrypted (" in line and why in line for line in said), said
    assert done == "installed"
    assert [row[3] for row in table] == ["ext4", "ext4", "ext4"]
    assert shown == []


@pytest.mark.parametrize(("made", "words", "why"), [
    ("tpm=''", "[COS_OEM, COS_PERSISTENT]", "no TPM 2 that can be used"), ("tpm=''", "[COS_PERSISTENT]", "no TPM 2 that can be used"), (f"initrd={initrd()!r}", "[COS_OEM]", f"it lacks {UNIT}"),
    ("", "[COS_GRUB]", "not a partition that can be encrypted: 'COS_GRUB'")])
def test_what_is_asked_for_and_cannot_be_done_is_refused_before_anything_changes(unshared: Callable[..., Any], made: str, words: str, why: str) -> None:
    told = unshared(SEALED + f"""
node = machine({made})
try:
    before = node.written()
    tell([attempt(node, {asks(words)!r}), node.written() == before, [line for line in node.lines if line.endswith(" hook")]])
finally:
    close(node)
""")
    said, same, hooks = told
    assert all(each.startswith("refused: ") and why in each for each in said), said
    assert (same, hooks) == (True, [])


@pytest.mark.parametrize(("words", "kinds", "said"), [
    ("[]", ["ext4", "ext4"], "COS_OEM and COS_PERSISTENT are not encrypted (the configuration says so): who has the disk reads and writes them"),
    ("[persistent]", ["ext4", "crypto_LUKS"], "COS_OEM is not encrypted (the configuration says so): who has the disk reads and writes it")])
def test_the_configuration_has_the_last_word(unshared: Callable[..., Any], words: str, kinds: list[str], said: str) -> None:
    told = unshared(SEALED + f"""
node = machine()
try:
    plan, done = attempt(node, {asks(words)!r})
    tell([plan, done, [row[3] for row in node.table(node.own[0])][1:], node.lines, len(keys_shown(home))])
finally:
    close(node)
""")
    plan, done, found, lines, shown = told
    assert done == "installed"
    assert found == kinds
    assert said in plan
    assert f"4 {said}" in lines
    assert shown == ("crypto_LUKS" in kinds)


@pytest.mark.parametrize(("words", "asked", "how"), [("reboot: true, ", {}, "reboot"), ("poweroff: true, ", {}, "poweroff"), ("", {"then": "reboot"}, "reboot"), ("reboot: true, ", {"then": "poweroff"}, "poweroff")])
def test_a_machine_that_leaves_before_somebody_has_read_the_key_says_so_beforehand(unshared: Callable[..., Any], words: str, asked: dict[str, str], how: str) -> None:
    """Nobody asked for encryption, so nobody waits at its console."""
    told = unshared(SEALED + f"""
node = machine()
try:
    plan, done = attempt(node, {TEXT.replace("partitions:", f"{words}partitions:")!r}, **{asked!r})
    tell([plan, done, node.lines])
finally:
    close(node)
""")
    plan, done, lines = told
    said = f"{how}: the machine does not wait until somebody has read the recovery key; record its console"
    assert done == "installed"
    assert said in plan
    assert f"4 {said}" in lines


def test_an_installation_that_breaks_leaves_no_container_open(unshared: Callable[..., Any]) -> None:
    told = unshared(SEALED + f"""
node = machine()
try:
    try:
        node.install({TEXT!r} + "stages: {{before-install: [{{commands: ['echo no > /run/cos/fail_installation']}}]}}\\n", **WHERE)
        said = "done"
    except KairosError as error:
        said = str(error)
    tell([said, open_ones(), [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")], keys_shown(home)])
finally:
    close(node)
""")
    assert "Installation failed: no" in told[0]
    assert told[1:] == [[], [], []]


CONTAINER = NODE + """
import hashlib
from crypt_programs import HEADER, inside
from kairos_boot.actions.encryption import RecoveryKey
from kairos_boot.system import luks
opened = {}
def contain(name, label):
    container = devices[name]
    if os.path.ismount(NODE / name):
        mounts.unmount(str(NODE / name))
    luks.make(Host("/", processes=Processes("/")), container, label, RecoveryKey().reveal())
    opened[name] = inside(container)
    subprocess.run(["mkfs.ext4", "-q", "-L", label, opened[name]], check=True)
    mounts.mount(opened[name], str(NODE / name), "ext4")
    (NODE / name / "old").write_text("old")
    if name == "persistent":
        mounts.unmount(str(NODE / name))
def header(name):
    with open(devices[name], "rb") as file:
        return hashlib.sha256(file.read(HEADER)).hexdigest()
class SealedNode(ResetNode):
    def disk(self):
        return NodeDisk("/dev/none", **{name: Partition(opened.get(name, node), label=f"COS_{name.upper()}", fstype="ext4" if name in opened else "crypto_LUKS", within=node if name in opened else "")
                                        for name, node in devices.items()})
def sealed():
    node = make()
    node.__class__ = SealedNode
    for name in devices:
        contain(name, f"COS_{name.upper()}")
    return node
def shut(name):
    loop.detach(opened.pop(name))
def end():
    for name in ("oem", "usr/local"):
        if os.path.ismount(NODE / name):
            mounts.unmount(str(NODE / name))
    for name in list(opened):
        shut(name)
    close()
"""


def test_a_reset_makes_the_content_anew_and_touches_no_byte_of_the_containers_around_it(unshared: Callable[..., Any]) -> None:
    """So the TPM and the recovery key open them as before."""
    told = unshared(CONTAINER.replace("24 << 20", "48 << 20") + """
try:
    node = sealed()
    before = [header(name) for name in devices]
    outcome = uki_resetting.reset(node, {"reset-oem": True})
    tell([list(outcome.failures), [header(name) for name in devices] == before, (NODE / "oem/old").exists(), (NODE / "usr/local/old").exists(), node.starts("active"), node.disk().encrypted])
finally:
    end()
""")
    assert told == [[], True, False, False, "rescue", True]


def test_a_step_that_unmounts_the_partitions_and_closes_their_containers_hurts_no_reset(unshared: Callable[..., Any]) -> None:
    """UKI-26: what comes after it needs neither; the record of the end is kept where this boot has it."""
    told = unshared(CONTAINER.replace("24 << 20", "48 << 20") + """
from kairos_boot.lifecycle import ending
try:
    node = sealed()
    emit = node.emit
    def stage(name, root):
        if name == "after-reset":
            for path in ("oem", "usr/local"):
                mounts.unmount(str(NODE / path))
            for name in list(opened):
                shut(name)
            return emit("after-reset", root)
        return emit(name, root)
    node.emit = stage
    outcome = uki_resetting.reset(node, {})
    tell([list(outcome.failures), node.emitted, node.starts("active"), list(opened), ending.failure(node.host, "/nowhere"), node.told[-1]])
finally:
    end()
""")
    failures, emitted, active, left, failed, last = told
    assert failures == []
    assert emitted == ["kairos-uki-reset.pre", "after-reset", "kairos-uki-reset.after"]
    assert (active, left, failed) == ("rescue", [], None)
    assert "the reset is done" in last


@pytest.mark.parametrize("commands", ["", "echo done", "cryptsetup close vda3"])
def test_a_step_that_closes_the_containers_finds_them_free_and_every_other_one_finds_persistent_data_mounted(unshared: Callable[..., Any], commands: str) -> None:
    """UKI-26: the published step unmounts /oem alone. What others write to /usr/local is there after the boot (G3). The plan tells which it is."""
    told = unshared(CONTAINER.replace("24 << 20", "48 << 20") + f"""
seen = []
try:
    node = sealed()
    node.commands = {commands!r}
    planned = [phase["phase"] for phase in uki_resetting.plan_of(node, {{}})]
    emit = node.emit
    def stage(name, root):
        if name == "after-reset":
            seen.append(os.path.ismount(NODE / "usr/local"))
        return emit(name, root)
    node.emit = stage
    outcome = uki_resetting.reset(node, {{}})
    mounted = os.path.ismount(NODE / "usr/local")
    if not mounted:
        mounts.mount(opened["persistent"], str(NODE / "usr/local"), "ext4")
    tell([list(outcome.failures), "unmount" in planned, seen, mounted, (NODE / "usr/local/.kairos-state").exists()])
finally:
    end()
""")
    free = "cryptsetup" in commands
    assert told == [[], free, [not free], not free, True]


def test_a_container_that_nobody_opened_is_a_reason_to_refuse_before_anything_changes(unshared: Callable[..., Any]) -> None:
    told = unshared(CONTAINER.replace("24 << 20", "48 << 20") + """
try:
    node = sealed()
    shut("persistent")
    before = [header(name) for name in devices], node.entries
    try:
        uki_resetting.reset(node, {})
        said = "done"
    except KairosError as error:
        said = str(error)
    tell([said, ([header(name) for name in devices], node.entries) == before, node.emitted])
finally:
    end()
""")
    said, same, emitted = told
    assert "the persistent partition is encrypted and locked" in said
    assert "recovery key" in said
    assert (same, emitted) == (True, [])
