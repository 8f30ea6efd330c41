"""`install.encrypted_partitions` on loop devices. cryptsetup makes the containers and their keys for real; the kernel of a build machine may open none, and it
has no TPM, so programs of ours stand for `cryptsetup open` and `close` (a loop device behind the container's header) and for systemd-cryptenroll.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.namespace.initrds import HALF, initrd

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("cryptsetup"), reason="needs root and cryptsetup")]

UNIT = "usr/lib/systemd/system/kairos-boot-crypt.service"
PRELUDE = f"""
from install_node import *
import shutil
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.installing import plan_of
from kairos_boot.system import filesystems
import crypt_programs
from crypt_programs import close, inside, keys_shown, open_ones, opens
OPENS = {{"boot/initrd": {initrd(names=(*HALF, UNIT))!r}}}
""" + '''
def machine(files=OPENS, disk=700, **how):
    """A machine with a TPM, whose programs are recorded with all that they were given as arguments and by variables."""
    node = InstallNode(home, disk, files=files)
    crypt_programs.put(home, **how)
    return node
WHERE = {"terminals": (f"{home}/terminal",)}
'''
REFUSED = """
try:
    node.install(text, **{**WHERE, **more})
    said = "it was installed"
except KairosError as error:
    said = f"{type(error).__name__}: {error}"
"""


def test_named_partitions_become_containers_that_the_tpm_and_one_shown_key_open(unshared: Callable[..., Any]) -> None:
    """LUKS2 under the partition's label and Kairos' identifier, the file system inside under the same label; the other partitions are plain; nothing stays open."""
    told = unshared(PRELUDE + """
node = machine()
disk = node.own[0]
outcome = node.install("  encrypted_partitions: [COS_OEM, COS_PERSISTENT]\\n  grub_options: {extra_cmdline: here}\\n", **WHERE)
[key] = keys_shown(home)
def look(number, work):
    found = inside(partitions.node_of(disk, number))
    try:
        return probe(found).label, looked(found, f"{home}/look", work, "ext4")
    finally:
        loop.detach(found)
uuids = [subprocess.run([f"{home}/cryptsetup.real", "luksUUID", partitions.node_of(disk, n)], check=True, capture_output=True, text=True).stdout.strip() for n in (2, 5)]
kept = "".join(read(f"{home}/{name}") for name in ("calls", "environment", "config.yaml")) + "".join(node.lines) + "".join(read(e.path) for e in os.scandir("/run/cos/ledger"))
tell([list(outcome.failures), node.table(disk), [opens(home, partitions.node_of(disk, n), k) for n in (2, 5) for k in (key, "wrong")], look(2, lambda p: sorted(os.listdir(p))), look(5, lambda p: os.path.exists(p + "/.kairos-state")),
      uuids, key in kept, len(key), open_ones(), [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")],
      node.look(disk, 4, lambda p: read(p + "/grubenv").rstrip("#")), [line for line in read(f"{home}/calls").splitlines() if "cryptenroll --unlock" in line]])
close(node)
""")
    failures, table, opened, oem, persistent, uuids, leaked, length, mapped, mounted, environment, sealed = told
    assert failures == []
    assert table == [[1, "bios", "", ""], [2, "oem", "COS_OEM", "crypto_LUKS"], [3, "recovery", "COS_RECOVERY", "ext4"], [4, "state", "COS_STATE", "ext4"],
                     [5, "persistent", "COS_PERSISTENT", "crypto_LUKS"]]
    assert opened == [True, False, True, False]
    assert oem[0] == "COS_OEM"
    assert "90_custom.yaml" in oem[1]
    assert "grubenv" not in oem[1], "GRUB opens no container (G7)"
    assert "extra_cmdline=here" in environment
    assert persistent == ["COS_PERSISTENT", True]
    assert uuids[1] == "85c39d0f-4867-5227-8334-f5eec606d9eb"
    assert (leaked, length) == (False, 71)
    assert (mapped, mounted) == ([], [])
    assert len(sealed) == 2
    assert all("--tpm2-device=auto --tpm2-pcrs=7 " in call for call in sealed)


def test_a_plan_tells_of_the_containers_and_shows_no_key(unshared: Callable[..., Any]) -> None:
    told = unshared(PRELUDE + """
node = machine()
before = digest(node.own[0])
node.write(f"{home}/config.yaml", f"{USER}install:\\n{SMALL}  encrypted_partitions: [COS_OEM]\\n")
planned = plan_of(node, node.collector().given(f"{home}/config.yaml", ""), Asked(node.own[0], f"dir:{home}/tree", firmware="bios", **WHERE))
tell([[line for phase in planned for line in phase["does"]], before == digest(node.own[0]), read(f"{home}/terminal")])
close(node)
""")
    does, untouched, shown = told
    assert any(line.startswith("encrypt /dev/loop") and "COS_OEM, opened by the TPM (PCR 7) or by the recovery key" in line for line in does)
    assert any("show the recovery key of COS_OEM once" in line for line in does)
    assert (untouched, shown) == (True, "")


@pytest.mark.parametrize(("text", "made", "more", "said"), [
    ("[COS_STATE]", "", "", "not a partition that can be encrypted: 'COS_STATE'"),
    ("[COS_OEM]", "tpm=''", "", "no TPM 2 that can be used"),
    ("[COS_OEM]", "modules='kernel/ext4.ko:'", "", "it has no dm-crypt"),
    ("[COS_OEM]", "files={}", "", f"opens no encrypted partitions: it lacks {UNIT}"),
    ("[COS_OEM]", "", "terminals=('/nowhere',)", "no terminal to show the recovery key on"),
    ("[COS_OEM]\n  no-format: true", "", "", "not formatted (no-format), and so not encrypted"),
])
def test_what_is_missing_for_encryption_is_refused_before_anything_is_changed(unshared: Callable[..., Any], text: str, made: str, more: str, said: str) -> None:
    told = unshared(PRELUDE + f"""
node = machine({made})
before = digest(node.own[0])
text, more = {f"  encrypted_partitions: {text}" + chr(10)!r}, dict({more})
""" + REFUSED + """
tell([said, before == digest(node.own[0]), read(f"{home}/terminal")])
close(node)
""")
    assert said in told[0]
    assert told[1:] == [True, ""]


def test_a_container_has_room_for_its_header(unshared: Callable[..., Any]) -> None:
    """The OEM partition is asked to have 16 MiB, which the header takes alone; the plan says how large it gets."""
    told = unshared(PRELUDE + """
node = machine()
node.write(f"{home}/config.yaml", f"{USER}install:\\n{SMALL}  encrypted_partitions: [oem]\\n")
planned = plan_of(node, node.collector().given(f"{home}/config.yaml", ""), Asked(node.own[0], f"dir:{home}/tree", firmware="bios", **WHERE))
tell([line for phase in planned for line in phase["does"]])
close(node)
""")
    assert any("the oem partition gets 24 MiB instead of 16" in line for line in told)


def test_an_installation_that_breaks_leaves_no_container_open(unshared: Callable[..., Any]) -> None:
    told = unshared(PRELUDE + """
node = machine()
more = {}
text = "  encrypted_partitions: [COS_OEM]\\n"
os.makedirs("/run/cos", exist_ok=True)
text += "stages: {before-install: [{commands: ['echo no > /run/cos/fail_installation']}]}\\n"
""" + REFUSED + """
tell([said, open_ones(), [m.target for m in mounts.mounted() if m.target.startswith("/run/cos/")], read(f"{home}/terminal")])
close(node)
""")
    assert "Installation failed: no" in told[0]
    assert told[1:] == [[], [], ""]


def test_a_reset_makes_the_content_anew_and_touches_no_byte_of_the_container_around_it(unshared: Callable[..., Any]) -> None:
    """So whoever opened it before opens it afterwards, the TPM and the recovery key: header, keys and tokens are as they were."""
    told = unshared("""
import hashlib, subprocess
from reset_node import *
from kairos_boot.actions.encryption import RecoveryKey
from kairos_boot.lifecycle.resetting import reset
from kairos_boot.records import replace
from kairos_boot.system import luks
from kairos_boot.system.udev import Partition
HEADER = 16 << 20
node = ResetNode(home, persistent_mib=48, steps="stages: {after-reset: [{commands: ['echo written >/usr/local/written']}]}")
container = node.node_disk.persistent.node
luks.make(node.host, container, "COS_PERSISTENT", RecoveryKey().reveal())
attach = ["losetup", "-f", "--show", "-o", str(HEADER), container]
inside = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
node.loops.insert(0, inside)
subprocess.run(["mkfs.ext4", "-q", "-L", "COS_PERSISTENT", inside], check=True)
with_state(inside, home, lambda place: node.write(f"{place}/old", "old"))
node.node_disk = replace(node.node_disk, persistent=Partition(inside, "vda", "COS_PERSISTENT", "ext4", within=container))
def header():
    with open(container, "rb") as file:
        return hashlib.sha256(file.read(HEADER)).hexdigest()
before = header()
outcome = reset(node, {})
tell([list(outcome.failures), text("/usr/local/old"), text("/usr/local/written"), header() == before, node.node_disk.encrypted,
      subprocess.run(["cryptsetup", "luksDump", container], check=True, capture_output=True, text=True).stdout.count("luks2")])
node.close()
""")
    failures, old, written, same, encrypted, slots = told
    assert failures == []
    assert (old, written) == (None, "written\n")
    assert same
    assert encrypted
    assert slots == 1
