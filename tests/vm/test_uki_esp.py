"""Upgrades of a node that is one signed file write to an ESP without a journal: every write is recorded in a guest, and what a cut may leave is judged by mtools and fsck.fat."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import cut_recording
import cut_states
import esp_guest
import pytest
from esp_guest import menu, read, system

from tests.unit.esp_node import word_of

pytestmark = [pytest.mark.vm, pytest.mark.root]

SIZE = 36 << 20
"""FAT32, as firmware wants it, has no fewer clusters."""
BEFORE = {"active": "one", "passive": "zero", "recovery": "rescue"}
ALLOWED = {"active": {"one", "two"}, "passive": {"zero", "one"}, "recovery": {"rescue", "three"}, "statereset": {"rescue", "three"}}
"""What each role may start at any time; all but the last one have to be there always."""
GUEST = esp_guest.PATHS + """\
import pathlib
from kairos_boot.lifecycle import entries, uki_upgrading
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
from tests.unit.esp_node import Ledger, Node
class Guest(Node):
    def __init__(self, root):
        self.root, self.host, self.emitted, self.fails, self.document, self.ledger, self.told, self.parts = root, Host(str(root)), [], {}, {}, Ledger(), [], {}
        for name in ("efi", "oem/.kairos", "usr/local", "tmp", "run/cos", "sys/firmware/efi/efivars"):
            (root / name).mkdir(parents=True)
        for name in ("active_mode", "uki_boot_mode"):
            (root / "run/cos" / name).write_text("1")
node = Guest(pathlib.Path("/node"))
mounts.mount("/dev/vda", "/node/efi", "vfat", ("ro", "umask=0077"))
def upgrade(name, **how):
    uki_upgrading.upgrade(node, {"source": f"file:/{name}.efi", **how})
for name in ("two", "three"):
    (node.root / f"{name}.efi").write_bytes(pathlib.Path(f"/{name}.efi").read_bytes())
upgrade("two")
entries.select(node.host, "statereset")
entries.select(node.host, "cos")
upgrade("three", recovery=True)
mounts.unmount("/node/efi")
print("upgraded:", node.emitted, flush=True)
"""


def partition(path: Path) -> None:
    """An ESP as an installation leaves it."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", path], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mmd", "-i", path, "::EFI", "::EFI/kairos", "::loader", "::loader/entries"], check=True)
    for number, (role, word) in enumerate(BEFORE.items(), 1):
        put(path, f"EFI/kairos/{role}.efi", system(word))
        put(path, f"loader/entries/{role}.conf", f"title Node {role}\nefi /EFI/kairos/{role}.efi\nsort-key 000{number}\n".encode())


def put(disk: Path, name: str, content: bytes) -> None:
    """Write a file of the ESP."""
    subprocess.run(["mcopy", "-o", "-i", disk, "-", f"::{name}"], input=content, check=True)


def record(base: Path, home: Path) -> list[cut_recording.Entry]:
    """Let a guest upgrade the active and the recovery system, with the entry of a reset between; every write and flush."""
    root = home / "root"
    esp_guest.put_program(root, "unit/esp_node.py")
    for word in ("two", "three"):
        (root / f"{word}.efi").write_bytes(system(word))
    return esp_guest.record(base, home, GUEST, says="upgraded: [", memory=1024, seconds=900)


def judged(disk: Path) -> list[str]:
    """What is wrong with an ESP: an entry that leads to no whole system, a role without one, clusters that two files share."""
    whole = {system(word): word for words in ALLOWED.values() for word in words}
    found: dict[str, set[str]] = {}
    faults = []
    for file, path in menu(disk).items():
        content = read(disk, path)
        word = whole.get(content or b"", "")
        role = file.removesuffix(".conf").partition("+")[0]
        if word not in ALLOWED.get(role, set()):
            faults.append(f"{file} leads to {path}, which is {word or ('not there' if content is None else word_of(content) + ', not whole')}")
        found.setdefault(role, set()).add(word)
    faults += [f"{role} is in no entry" for role in BEFORE if role not in found]
    checked = subprocess.run(["fsck.fat", "-n", disk], capture_output=True, text=True, check=False).stdout
    return faults + [line for line in checked.splitlines() if "share clusters" in line or "Bad short file name" in line]


def test_at_every_instant_each_entry_leads_to_a_whole_system_and_each_role_has_one(base_disk: Path, tmp_path: Path) -> None:
    disk = tmp_path / "esp"
    partition(disk)
    before = disk.read_bytes()
    entries = record(base_disk, tmp_path)
    state, faults, seen = tmp_path / "state", [], set()
    state.write_bytes(before)
    durable = bytearray(before)
    with state.open("r+b", buffering=0) as file:
        for number, epoch in enumerate(cut_states.epochs(entries)):
            for title, writes in cut_states.crashes(epoch, number):
                kept = [(write.at, write.data if write.data is not None else bytes(write.size)) for write in writes]
                digest = hashlib.sha256(repr(number).encode() + b"".join(at.to_bytes(8) + data for at, data in kept)).digest()
                if digest in seen:
                    continue
                seen.add(digest)
                for at, data in kept:
                    os.pwrite(file.fileno(), data, at)
                faults += [f"epoch {number}, {title}: {fault}" for fault in judged(state)]
                for at, data in kept:
                    os.pwrite(file.fileno(), durable[at:at + len(data)], at)
            cut_states.apply(durable, epoch)
            for write in epoch:
                os.pwrite(file.fileno(), durable[write.at:write.at + write.size], write.at)
    assert faults == []
    assert len(seen) > 100
    assert judged(state) == []
    now = menu(state)
    assert sorted(now) == ["active+3.conf", "passive+3.conf", "recovery+3.conf"]
    assert {name.partition("+")[0]: word_of(read(state, path) or b"") for name, path in now.items()} == {"active": "two", "passive": "one", "recovery": "three"}


@pytest.mark.parametrize(("name", "content", "said"), [
    ("EFI/kairos/active.efi", system("one")[:-1], "not whole"), ("EFI/kairos/passive.efi", system("two"), "which is two"),
    ("loader/entries/active+3.conf", b"efi /EFI/kairos/active-new.efi\n", "not there"), ("loader/entries/recovery.conf", b"", "recovery is in no entry"),
], ids=["torn", "another", "nothing", "empty"])
def test_the_judge_finds_what_would_not_boot(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """The check itself is checked."""
    disk = tmp_path / "esp"
    partition(disk)
    assert judged(disk) == []
    put(disk, name, content)
    assert any(said in fault for fault in judged(disk))
