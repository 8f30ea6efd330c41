"""A power cut at any instant of an installation over an older node: the disk is the old node, one that no firmware starts, or the new node, complete."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cut_install
import cut_recording
import cut_states
import pytest

from kairos_boot.system import grub

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.root

WANTED = int(os.environ.get("POWERCUTS", "500"))
"""States to judge: those that no firmware starts cost nothing, of the others one in ten is looked at as a whole."""
AGAIN = 4
"""From so many states of a cut installation another one is run."""
SIZE = 232 << 20
FILES = {"gpt2": ("/90_custom.yaml", "/grubenv"), "gpt3": ("/cOS/recovery.img",), "gpt4": ("/cOS/active.img", "/cOS/passive.img", "/grub2/grub.cfg", "/grubenv")}
"""What a complete node has for GRUB, which replays no journal."""


@pytest.fixture(scope="module")
def before(memory: Path) -> bytes:
    """A disk with a complete node of an older system."""
    disk = memory / "before.disk"
    with disk.open("wb") as file:
        file.truncate(SIZE)
    assert install(disk, memory, "old") == {"failures": []}
    return disk.read_bytes()


def install(disk: Path, memory: Path, kernel: str, control: str = "") -> dict[str, object]:
    """Install over *disk*; what the program told."""
    home = memory / f"home-{kernel}"
    home.mkdir(exist_ok=True)
    script = f'mount -t tmpfs tmpfs {home} && exec {sys.executable} "$@"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", cut_install.__file__, str(disk), str(home), kernel, *([control] if control else [])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, object] = json.loads(done.stdout)
    return told


def record(before: bytes, memory: Path, control: str = "") -> list[cut_recording.Entry]:
    """Every write of an installation of a newer system."""
    disk, log = memory / "recorded.disk", memory / "recorded.log"
    disk.write_bytes(before)
    with cut_recording.exported(disk, log) as place:
        assert "error" not in install(place, memory, "new", control)
    return cut_recording.read(log)


class Judge:
    """Knows the old node and the new one, complete."""

    def __init__(self, before: bytes, after: bytes, memory: Path) -> None:
        self.path = memory / "state.disk"
        self.old, self.new = self.content(before), self.content(after)
        assert None not in self.old
        assert None not in self.new
        assert self.old != self.new
        self.boot = {bytes(disk[:440]): self.core(disk) for disk in (before, after)}

    def core(self, disk: bytes | bytearray) -> bytes:
        """What the boot code starts."""
        at = grub.core_of(bytes(disk[:512]))
        return bytes(disk[at:at + 4096])

    def content(self, disk: bytes | bytearray) -> list[str | None]:
        """What GRUB reads of a node; None for what it cannot read."""
        with self.path.open("wb") as file:
            file.truncate(len(disk))
            for at in range(0, len(disk), 1 << 20):
                piece = disk[at:at + (1 << 20)]
                if any(piece[::4096]) or piece.strip(b"\0"):
                    file.seek(at)
                    file.write(piece)
        found: list[str | None] = []
        for part, paths in FILES.items():
            for path in paths:
                done = subprocess.run(["grub-fstest", str(self.path), "cat", f"(loop0,{part}){path}"], capture_output=True, check=False)
                good = done.returncode == 0 and not done.stderr.strip()
                found.append(hashlib.sha256(done.stdout).hexdigest() if good else None)
        return found

    def bootable(self, disk: bytearray) -> bool:
        """Whether a firmware starts it."""
        return bool(disk[:440].strip(b"\0"))

    def faults(self, disk: bytearray, *, whole: bool) -> list[str]:
        """What is wrong with a disk that a firmware starts."""
        if self.boot.get(bytes(disk[:440])) != self.core(disk):
            return ["the boot code leads to no boot loader that is whole"]
        if not whole:
            return []
        content = self.content(disk)
        return [] if content in (self.old, self.new) else [f"it is started, and is neither the old node nor the new one: {content}"]


def judged(before: bytes, entries: Sequence[cut_recording.Entry], memory: Path, wanted: int, seed: int = 1, every: int = 10, *, all_of_them: bool = True) -> tuple[dict[str, list[str]], int, int, list[bytes]]:
    """Judge *wanted* states: faults, how many states, how many of them can be started, and some that cannot."""
    epochs = cut_states.epochs(entries)
    after = bytearray(before)
    for epoch in epochs:
        cut_states.apply(after, epoch)
    judge = Judge(before, bytes(after), memory)
    todo = [(number, name, writes) for number, epoch in enumerate(epochs) for name, writes in cut_states.crashes(epoch, seed + number)]
    random.Random(seed).shuffle(todo)
    # All at the boot code: there it is decided.
    decisive = [item for item in todo if any(entry.at == 0 for entry in epochs[item[0]])]
    chosen = [*decisive, *todo][:max(wanted, len(decisive))]
    faults: dict[str, list[str]] = {}
    seen: set[bytes] = set()
    durable, reached, started = bytearray(before), 0, 0
    unstarted: list[bytes] = []
    for number, name, writes in sorted(chosen, key=lambda item: item[0]):
        while reached < number:
            cut_states.apply(durable, epochs[reached])
            reached += 1
        kind = hashlib.sha256(repr([number, [(w.at, w.size, w.data and hashlib.sha256(w.data).digest()) for w in writes]]).encode()).digest()
        if kind in seen:
            continue
        seen.add(kind)
        kept = [(entry.at, bytes(durable[entry.at:entry.at + entry.size])) for entry in writes]
        cut_states.apply(durable, writes)
        if judge.bootable(durable):
            started += 1
            found = judge.faults(durable, whole=started % every == 1 or every == 1)
            if found:
                faults[f"epoch {number} of {len(epochs)}: {name}"] = found
                if not all_of_them:
                    break
        elif len(unstarted) < AGAIN and len(seen) % 60 == 1:
            unstarted.append(bytes(durable))
        for at, old in reversed(kept):
            durable[at:at + len(old)] = old
    return faults, len(seen), started, unstarted


def test_every_state_is_the_old_node_no_node_or_the_new_node(before: bytes, memory: Path) -> None:
    entries = record(before, memory)
    faults, states, started, unstarted = judged(before, entries, memory, WANTED)
    assert not faults, f"{len(faults)} of {states} states: {dict(list(faults.items())[:5])}"
    assert states >= min(WANTED, 300)
    assert 0 < started < states
    for number, disk in enumerate(unstarted):
        path = memory / "again.disk"
        path.write_bytes(disk)
        assert install(path, memory, "new") == {"failures": []}, number
        with path.open("rb") as file:
            assert file.read(440).strip(b"\0"), "the installation begins again, whatever lies there"
    print(f"{len(entries)} entries, {states} states, {started} that firmware starts, {len(unstarted)} installed again")


@pytest.mark.parametrize("control", cut_install.CONTROLS)
def test_a_wrong_program_is_caught(before: bytes, memory: Path, control: str) -> None:
    """The check itself is checked."""
    faults, _, _, _ = judged(before, record(before, memory, control), memory, 150, every=2, all_of_them=False)
    assert faults, f"{control}: no state was wrong"
