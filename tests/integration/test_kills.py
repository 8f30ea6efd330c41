"""Runs that are ended at random moments while they write everything that a step can write.

Two sets of documents alternate, so that each run has something to write everywhere. Whatever ends a run, each file is the one of
before or the one of after; the next run that is left alone makes everything as if nothing had been, and leaves nothing of the others.

KAIROS_KILLS says how often, `make kills N=1000` too; KAIROS_SEED repeats what failed.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import random
import signal
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.hanging import FAULTHANDLER, ended
from tests.integration.isolated import Isolated

KILLS = int(os.environ.get("KAIROS_KILLS", "100"))
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
TREES = ("/etc", "/srv", "/home", "/tmp", "/oem")
HASHES = ("$6$salt$" + "a" * 86, "$6$salt$" + "b" * 86)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExamplE kim"
DOCUMENT = """
stages:
  boot:
    - name: first
      dns: {nameservers: [192.0.2.SIDE], path: /srv/resolv.conf}
      downloads: [{path: /srv/fetched, url: "http://127.0.0.1:8000/file"}]
      git: {url: /srv/remote, path: /srv/site, branch: main}
      ensure_entities:
        - entity: {entity}
      directories: [{path: /srv/made/SIDE/x, permissions: 0750}, {path: /srv/moded, permissions: 075SIDE}]
      files:
        - {path: /srv/large, content: "LARGE"}
        - {path: /srv/private, content: "secret SIDE", permissions: 0600}
        - {path: /srv/appended, content: "base SIDE\\n"}
        - {path: /srv/appended, content: "more\\n", append: true}
        - {path: /home/kim/.ssh/authorized_keys, content: "# SIDE\\n", ownerstring: "kim:kim", permissions: 0600}
      delete_entities: [{entity: "kind: group\\ngroup_name: nobody-has-this"}]
      hostname: nodeSIDE
    - name: second
      users: {kim: {passwd: "HASH"}, lee: {passwd: "HASH", groups: [audio]}}
      authorized_keys: {kim: ["KEY"]}
      timesyncd: {NTP: 192.0.2.SIDE}
      systemctl: {overrides: [{service: x.service, content: "[Service]\\nNice=SIDE\\n"}]}
      environment: {VALUE: "SIDE", OTHER: "x"}
      package_pins: {demo: "SIDE"}
      unpack_images: [{source: /srv/image.tar.gz, target: /srv/image}]
    - name: kept
      frequency: on-change
      files: [{path: /srv/changed, content: "changed SIDE"}]
""".replace("{entity}", '"kind: user\\nusername: demo\\npassword: x\\nuid: 4000\\ngid: 4000\\ninfo: demo SIDE\\nhomedir: /srv\\nshell: /bin/sh"')
BETWEEN = {"/srv/appended": {"base 1\n", "base 2\n"}, "/home/kim/.ssh/authorized_keys": {"# 1\n", "# 2\n"}}
"""What a file is on its way, where two items make it what it is."""
RECORDS = "/.kairos/steps/"

Snapshot = dict[str, tuple[object, ...]]


class Node:
    """The machine, and the two states between which it is driven."""

    def __init__(self, machine: Isolated) -> None:
        self.machine = machine
        self.heads = []
        noise = random.Random(3)
        for name, line in (("group", "kim:x:4001:"), ("passwd", "kim:x:4001:4001::/home/kim:/bin/sh"), ("shadow", "kim:!:1::::::")):
            machine.put(f"/etc/{name}", f"{machine.read(f'/etc/{name}')}{line}\n", 0o600 if name == "shadow" else 0o644)
        Path(f"{machine.root}/home/kim").mkdir()
        os.chown(f"{machine.root}/home/kim", 4001, 4001)
        machine.put("/etc/os-release", "ID=debian\nPRETTY_NAME=Debian\n")
        machine.put("/etc/hosts", "127.0.0.1 localhost\n")
        self.git("init", "-q", "-b", "main", "/srv/remote")
        for side in (1, 2):
            for number in range(20):
                machine.put(f"/srv/remote/f{number}", noise.randbytes(2000).hex())
            self.git("-C", "/srv/remote", "add", ".")
            self.git("-C", "/srv/remote", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", str(side))
            self.heads.append(self.git("-C", "/srv/remote", "rev-parse", "HEAD"))
        self.git("-C", "/srv/remote", "checkout", "-q", "--detach")
        self.images = [image(noise) for _ in range(2)]
        self.bodies = [noise.randbytes(700_000) for _ in range(2)]
        machine.put("/srv/www/file", "")
        self.web = machine.serve("/usr/bin/python3", "-m", "http.server", "--directory", "/srv/www", "--bind", "127.0.0.1", "8000")
        self.states: list[Snapshot] = []
        self.recorded: dict[str, str] = {}

    def git(self, *words: str) -> str:
        """Run git in the machine."""
        code, said = self.machine.run("git", *words)
        assert code == 0, said
        return said.strip()

    def turn(self, side: int) -> None:
        """Make side 1 or 2 the one that is wanted."""
        machine, index = self.machine, side - 1
        self.git("-C", "/srv/remote", "update-ref", "refs/heads/main", self.heads[index])
        for path, content in (("/srv/image.tar.gz", self.images[index]), ("/srv/www/file", self.bodies[index])):
            machine.put(f"{path}.tmp", content)
            os.rename(f"{machine.root}{path}.tmp", f"{machine.root}{path}")
        text = DOCUMENT.replace("HASH", HASHES[index]).replace("KEY", KEY).replace("LARGE", f"{side}" * 300_000).replace("SIDE", str(side))
        machine.put("/oem/a.yaml", text)

    def look(self) -> Snapshot:
        """All that can be written: kind, content, mode and owner; of git's own directory nothing."""
        found: Snapshot = {}
        for tree in TREES:
            for directory, names, files in os.walk(f"{self.machine.root}{tree}"):
                where = directory[len(str(self.machine.root)):]
                if where in ("/srv/remote", "/srv/www"):
                    names.clear()
                    continue
                names[:] = [name for name in names if name != ".git"]
                for name in (*names, *files):
                    found[f"{where}/{name}"] = entry(f"{directory}/{name}")
        found["/run/kairos-boot"] = tuple(sorted(os.listdir(f"{self.machine.root}/run/kairos-boot")))
        for name in ("/srv/image.tar.gz", "/oem/a.yaml"):
            found.pop(name, None)
        return found

    def complete(self, side: int) -> Snapshot:
        """Run to the end, and look; everything must have worked."""
        self.turn(side)
        code, said = self.machine.kairos("run-stage", "boot", "/oem")
        assert code == 0, said
        assert self.git("-C", "/srv/site", "rev-parse", "HEAD") == self.heads[side - 1]
        assert self.git("-C", "/srv/site", "status", "--porcelain") == ""
        inside = [str(path) for path in Path(f"{self.machine.root}/srv/site/.git").rglob("*") if path.name.endswith(".lock") or path.name.startswith("tmp_")]
        assert inside == []
        record = self.record()
        assert record is not None
        self.recorded[record] = self.machine.read("/srv/changed")
        return self.look()

    def shadow(self, side: int) -> list[str]:
        """The lines of shadow on one side."""
        self.complete(side)
        return self.machine.read("/etc/shadow").splitlines()

    @staticmethod
    def mixed(sides: list[list[str]]) -> None:
        """Each account is an edit of its own: shadow may have some of one side and some of the other."""
        BETWEEN["/etc/shadow"] = {"".join(f"{line}\n" for line in lines) for lines in itertools.product(*(sorted(set(pair)) for pair in zip(*sides, strict=True)))}

    def killed(self, after: float, number: int) -> None:
        """Start a run, and send it a signal after so many seconds."""
        run = self.machine.start(*FAULTHANDLER, "run-stage", "boot", "/oem")
        time.sleep(after)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split() if run.poll() is None else []
        for child in children:
            try:
                os.kill(int(child), number)
            except ProcessLookupError:
                pass
        ended(run, self.machine.root)
        end = time.monotonic() + 60
        while self.others() and time.monotonic() < end:  # what a killed run had started ends by itself
            time.sleep(0.02)

    def others(self) -> list[str]:
        """Programs that still run in the machine beside its own two."""
        names = []
        for process in Path(f"{self.machine.root}/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] and b"sleep" not in words[0] and b"http.server" not in words:
                names.append(words[0].decode())
        return names

    def torn(self) -> list[str]:
        """Files that are neither as before nor as after.

        Those of a checked-out tree are git's own to write, in place; the run that follows mends them.
        """
        now, (one, two) = self.look(), self.states
        wrong = []
        for path, is_ in now.items():
            if path in (*one, *two) and path != "/run/kairos-boot" and not path.startswith("/srv/site/") and is_ not in (one.get(path), two.get(path)):
                between = BETWEEN.get(path, set())
                if is_[0] != "directory" and not any(hashlib.sha256(text.encode()).hexdigest() in is_ for text in between):
                    wrong.append(f"{path}: {is_}")
        wrong += [f"{path}: gone" for path in one if path in two and path not in now and RECORDS not in path]
        return wrong

    def record(self) -> str | None:
        """What is recorded of the step that runs on a change; None when its record was taken back."""
        found = list(Path(f"{self.machine.root}/oem{RECORDS}").glob("*"))
        assert len(found) < 2, found
        return found[0].read_text().split("\n")[1] if found else None

    def untrue(self) -> list[str]:
        """A record that stands though the step did not do what it says; a run takes it back before it changes anything."""
        record, content = self.record(), self.machine.read("/srv/changed")
        return [f"recorded, but {content}"] if record is not None and self.recorded[record] != content else []


def entry(path: str) -> tuple[object, ...]:
    """What tells one state of a file from another."""
    now = os.lstat(path)
    if stat.S_ISLNK(now.st_mode):
        return ("link", os.readlink(path))
    if stat.S_ISDIR(now.st_mode):
        return ("directory", now.st_mode & 0o7777, now.st_uid, now.st_gid)
    dated = RECORDS in path  # it says when
    content = hashlib.sha256(Path(path).read_bytes()).hexdigest() if stat.S_ISREG(now.st_mode) and not dated else ""
    return ("file", now.st_mode & 0o7777, now.st_uid, now.st_gid, content)


def image(noise: random.Random) -> bytes:
    """A packed tar file of thirty files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as tar:
        for number in range(30):
            content = noise.randbytes(20_000)
            member = tarfile.TarInfo(f"d{number % 3}/f{number}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def node(machine: Isolated) -> Iterator[Node]:
    """The machine with all that the documents need."""
    made = Node(machine)
    yield made
    made.web.kill()


def difference(now: Snapshot, wanted: Snapshot) -> list[str]:
    """The paths in which two states differ."""
    return [f"{path}: {now.get(path)} is not {wanted.get(path)}" for path in sorted({*now, *wanted}) if now.get(path) != wanted.get(path)]


@pytest.mark.root
def test_whatever_ends_a_run_nothing_is_torn_and_nothing_is_left(node: Node, record_property: Callable[[str, object], None]) -> None:
    """Bursts of killed runs, each burst followed by one that is left alone."""
    seed = int(os.environ.get("KAIROS_SEED", time.time_ns() % 1_000_000))
    record_property("seed", seed)
    dice = random.Random(seed)
    node.complete(1)
    node.complete(2)
    node.states = [node.complete(1)]
    start = time.monotonic()
    node.states.append(node.complete(2))
    whole = time.monotonic() - start
    node.mixed([node.shadow(1), node.shadow(2)])
    kills = 0
    side = 2
    while kills < KILLS:
        for _ in range(dice.randint(1, 5)):
            side = 3 - side
            node.turn(side)
            after, number = dice.uniform(0.0, whole), dice.choice(SIGNALS)
            node.killed(after, number)
            kills += 1
            assert [*node.torn(), *node.untrue()] == [], f"seed {seed}, kill {kills}: {number.name} after {after:.3f} s"
        side = dice.choice((1, 2))
        assert difference(node.complete(side), node.states[side - 1]) == [], f"seed {seed}, after kill {kills}"
    code, said = node.machine.kairos("status", "--json")
    assert code in (0, 1), said
    assert json.loads(said), f"seed {seed}"
