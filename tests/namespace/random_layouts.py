"""Random layouts, and what a program in the node must find of them (runs inside the namespace).

The expectation knows nothing of the program's plan: of the mounts asked for, the deepest one that holds a directory decides whether what
is written there is still there after a reboot; of several at one place it is the most lasting one (D11). Where a path leads is asked
of the kernel, in a chroot of the image.
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

from tests.namespace.boot_node import Node

if TYPE_CHECKING:
    from collections.abc import Callable

TOPS = ("a", "b", "etc", "home", "opt", "srv", "usr/local", "var")
CHILDREN = ("lib", "x", "y")
TMP, LAYER, READ_ONLY, BIND, LASTING = range(5)
"""What can be at a place, the later the more lasting."""
KERNEL = ("/proc", "/sys", "/dev", "/run")


class RootLayout:
    """What a seed makes: directories and links of the image, and the lists of cos-layout.env."""

    def __init__(self, seed: int) -> None:
        pick = random.Random(seed)
        self.seed = seed
        some: Callable[[float], bool] = lambda chance: pick.random() < chance  # noqa: E731
        self.directories = sorted({"/" + "/".join([pick.choice(TOPS), *pick.choices(CHILDREN, k=pick.randint(0, 2))]) for _ in range(pick.randint(2, 9))})
        self.links: dict[str, str] = {}
        for _ in range(pick.randint(0, 4)):
            link = pick.choice([*(f"/{top}" for top in TOPS if top not in ("etc", "var")), *(f"{d}/link" for d in self.directories), "/link"])
            target = pick.choice([*self.directories, "/var/home", "/var/new", "/b/x/y", "/link", "/", "/tmp", "/oem", "/proc"])
            if not any(f"{path}/".startswith(f"{link}/") for path in (*self.directories, *self.links, target)):
                self.links[link] = target if some(0.5) else os.path.relpath(target, os.path.dirname(link))
        known = [*self.directories, *self.links, *(f"/{top}" for top in TOPS)]
        self.pool = [*known, *(f"{path}/{child}" for path in known for child in CHILDREN), "/tmp/x", "/oem", "/oem/x", "/usr/local/.state/x"]
        some_of: Callable[[int], list[str]] = lambda most: sorted({pick.choice(self.pool) for _ in range(pick.randint(0, most))})  # noqa: E731
        self.rw = [*some_of(5), *(["/etc"] if some(0.8) else [])]
        self.state = some_of(6)
        self.there = some(0.9)
        self.disk = some(0.15)
        """Whether the layers are kept on a disk."""
        self.target = pick.choice(["/usr/local/.state"] * 6 + ["/usr/local/deep/state", "/oem/state", pick.choice(self.pool) + "/state"])
        self.volumes = {"COS_PERSISTENT": "/usr/local" if some(0.8) else pick.choice(self.pool)} if some(0.95) else {}
        if some(0.4):
            self.volumes["DATA"] = pick.choice(self.pool)
        if some(0.1):
            self.volumes["COS_OEM"] = "/oem"
        while len(set(self.volumes.values())) < len(self.volumes):
            self.volumes.pop("DATA", None) or self.volumes.popitem()

    @property
    def env(self) -> str:
        """The file."""
        volumes = " ".join(f"LABEL={label}:{path}" for label, path in self.volumes.items())
        return (f'VOLUMES="{volumes}"\nOVERLAY="{"LABEL=LAYERS" if self.disk else "tmpfs:25%"}"\nRW_PATHS="{" ".join(self.rw)}"\n'
                f'PERSISTENT_STATE_PATHS="{" ".join(self.state)}"\nPERSISTENT_STATE_TARGET="{self.target}"\n')

    def furnish(self, folder: str) -> None:
        """Make the directories and links of the image."""
        for path in self.directories:
            os.makedirs(folder + path, exist_ok=True)
        for link, target in self.links.items():
            os.makedirs(os.path.dirname(folder + link), exist_ok=True)
            if os.path.isdir(folder + link):
                os.removedirs(folder + link)
                os.makedirs(os.path.dirname(folder + link), exist_ok=True)
            os.symlink(target, folder + link)


def inside(root: str, ask: Callable[[], Any]) -> Any:
    """What *ask* tells in a chroot of *root*."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.chroot(root)
        os.chdir("/")
        os.write(writer, json.dumps(ask()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        told = json.loads(file.read() or "null")
    os.waitpid(child, 0)
    return told


def below(place: str, other: str) -> bool:
    """Whether *other* is *place* or in it."""
    return f"{other}/".startswith(f"{place}/")


class Expected:
    """What must come of *layout*; *lead* tells where paths lead in the image ("" nowhere), *there* which are directories."""

    def __init__(self, layout: RootLayout, lead: dict[str, str], there: dict[str, bool]) -> None:
        self.layout, self.lead = layout, lead
        self.wrong: set[str] = set()
        """Paths that a failure may be told of."""
        asked = [("/tmp", TMP), ("/oem", LASTING), *((path, LAYER) for path in layout.rw or ("/etc", "/root", "/home", "/opt", "/srv", "/usr/local", "/var"))]
        asked += [(path, LASTING if label in ("COS_PERSISTENT", "COS_OEM") else READ_ONLY) for label, path in layout.volumes.items()
                  if label != "COS_PERSISTENT" or layout.there]
        store = lead[layout.target] if layout.state else ""
        self.store = store if self.possible(store) else ""
        if layout.state and not self.store:
            self.wrong.add(layout.target)
        persistent = layout.volumes.get("COS_PERSISTENT", "")
        if persistent and not layout.there:
            self.wrong.add(persistent)
            if self.store and self.possible(lead[persistent]) and below(lead[persistent], self.store):
                asked.append((persistent, LAYER))
        self.wrong |= {path for path in layout.state if not self.possible(lead[path])}
        holder = max((lead[path] for path, kind in asked if kind == LASTING and self.possible(lead[path]) and self.store and below(lead[path], self.store)),
                     key=len, default="")
        self.at: dict[str, int] = {}
        self.kept = True
        if self.store:
            self.settle(asked, there)
            under = self.over(self.store)
            self.kept = under == LASTING or (under == LAYER and layout.disk)
            if not self.kept:
                self.wrong.add(self.store)
            if under not in (None, READ_ONLY):
                asked += [(path, BIND) for path in layout.state]
                asked = [(path, kind) for path, kind in asked if self.spares_the_store(path, kind, holder)]
            else:
                asked += [(path, LAYER) for path in layout.state]  # a program that wants to write there can
        self.settle(asked, there)

    def spares_the_store(self, path: str, kind: int, holder: str) -> bool:
        """Whether a mount neither hides the store nor holds itself."""
        place = self.lead[path]
        inside = place != self.store and below(self.store, place)
        between = holder and place != holder and below(holder, place) and below(place, self.store)
        if not inside and not between and not (kind == BIND and below(place, self.store)):
            return True
        self.wrong.add(path)
        return False

    def settle(self, asked: list[tuple[str, int]], there: dict[str, bool]) -> None:
        """What is at each place in the end."""
        lead = self.lead
        at: dict[str, int] = {}
        self.at = {}
        for path, kind in asked:
            if self.possible(lead[path]):
                at[lead[path]] = max(kind, at.get(lead[path], kind))
            else:
                self.wrong.add(path)
        for place in sorted(at, key=lambda place: place.count("/")):
            over = self.over(place)
            if over in (None, READ_ONLY) and not (there[place] and over is None):
                self.wrong |= {path for path in lead if lead[path] == place and (at[place] in (READ_ONLY, LASTING) or over is not None)}
            elif at[place] != BIND or over != LASTING or self.kept:
                self.at[place] = at[place]

    @staticmethod
    def possible(place: str) -> bool:
        """Whether a layout can have a mount there."""
        return place not in ("", "/") and not any(below(kernel, place) for kernel in KERNEL)

    def over(self, place: str) -> int | None:
        """What the deepest mount that holds *place* is."""
        found = max((other for other in self.at if below(other, place)), key=len, default=None)
        return None if found is None else self.at[found]

    def lasts(self, place: str) -> bool | None:
        """Whether what is written at *place* is there after a reboot; None where nothing can be written."""
        kind = self.over(place)
        if kind in (None, READ_ONLY):
            return None
        return kind == LASTING or (kind == BIND and self.kept) or (kind == LAYER and self.layout.disk)


def mounts_of(sysroot: str) -> dict[str, tuple[str, str, bool]]:
    """What is mounted below, as the kernel lists it: type, root, read-only. Two at one place are one too many."""
    found: dict[str, tuple[str, str, bool]] = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            rest = words[words.index("-") + 1:]
            place = words[4].removeprefix(sysroot)
            if words[4].startswith(f"{sysroot}/"):
                assert place not in found, f"two mounts at {place}"
                found[place] = rest[0], words[3], "ro" in words[5].split(",") or "ro" in rest[2].split(",")
    return found


def check(seed: int, home: str) -> list[str]:
    """Boot the layout of *seed* twice, then a new image, and return what is wrong."""
    layout = RootLayout(seed)
    node = Node(home, persistent=layout.there, env=layout.env, furnish=layout.furnish)
    try:
        for label in ("DATA", "LAYERS"):
            node.add(label, "vda")
        return _check(layout, node)
    finally:
        node.close()


def _check(layout: RootLayout, node: Node) -> list[str]:
    folder = f"{node.image}.d"
    asked = sorted({*layout.pool, *layout.state, *layout.rw, *layout.volumes.values(), layout.target, "/tmp", "/oem", "/root", "/home", "/opt", "/srv", "/usr/local", "/var", "/etc"})

    def leads() -> dict[str, str]:
        found = {}
        for path in asked:
            try:
                found[path] = os.path.realpath(path, strict=True)
            except FileNotFoundError:
                found[path] = os.path.realpath(path)
            except OSError:
                found[path] = ""
        return found

    lead: dict[str, str] = inside(folder, leads)
    there = {place: os.path.isdir(folder + place) for place in lead.values()}
    expected = Expected(layout, lead, there)
    places = sorted({place for place in lead.values() if Expected.possible(place) and not (expected.store and below(expected.store, place))})

    def write() -> list[str]:
        done = []
        for place in places:
            try:
                with open(f"{place}/mark", "x", encoding="utf-8") as file:
                    file.write(place)
                done.append(place)
            except OSError:
                continue
        return done

    builder = node.lay()
    wrong = _failures(node, expected, builder.report.failed)
    first = mounts_of(node.sysroot)
    wrong += _fstab(node, first)
    written: list[str] = inside(node.sysroot, write)
    wrong += [f"{place} can be written, and nothing is mounted there that can" for place in written if expected.lasts(place) is None]
    wrong += [f"{place} cannot be written" for place, kind in expected.at.items() if kind != READ_ONLY and place in places and place not in written]
    for boot in ("the second boot", "the boot of a new image"):
        node.leave()
        if boot == "the boot of a new image":
            node.image = node.build_image({"etc/new": "x"}, "next.img")
        node.boot()
        node.records.clear()
        builder = node.lay()
        wrong += _failures(node, expected, builder.report.failed)
        later = mounts_of(node.sysroot)
        if first != later:
            wrong.append(f"{boot} mounts something else: {sorted(set(first.items()) ^ set(later.items()))}")
        left: list[str] = inside(node.sysroot, lambda: [place for place in places if os.path.exists(f"{place}/mark")])
        wrong += [f"what was written to {place} is {'still there' if place in left else 'gone'} in {boot}" for place in written
                  if (place in left) != expected.lasts(place)]
    return wrong


def _failures(node: Node, expected: Expected, failed: int) -> list[str]:
    told = {str(r["where"]) for r in node.records if r["kind"] == "mount" and r["result"] != "done"}
    if node.read("/etc/fstab") is None:
        told.discard("/etc/fstab")
    surplus = told - expected.wrong
    bare = [r["error"] for r in node.records if r["kind"] == "mount" and r["result"] != "done" and not r.get("hint")]
    if bare:
        return [f"failures without a remedy: {bare}"]
    return [f"failures are told of {sorted(surplus)}: {[r.get('error') for r in node.records if r.get('where') in surplus]}"] if surplus else \
        [f"{failed} failures, {len(told)} of them told"] if bool(failed) != bool(told) and node.read("/etc/fstab") is not None else []


def _fstab(node: Node, mounted: dict[str, tuple[str, str, bool]]) -> list[str]:
    text = node.read("/etc/fstab")
    lines = [line.split() for line in (text or "").splitlines() if not line.startswith("#")]
    lines = [line for line in lines if line[1] not in ("/", "/run/overlay", "/run/initramfs/cos-state")]
    told = {line[1]: (line[2], "ro" in line[3].split(",")) for line in lines}
    if text is None:
        return []
    if len(told) != len(lines) or set(told) != set(mounted):
        return [f"fstab has {sorted(line[1] for line in lines)}, mounted is {sorted(mounted)}"]
    return [f"fstab says {told[place]} of {place}, which is {mounted[place]}" for place, (fstype, _, read_only) in mounted.items()
            if told[place][0] not in (fstype, "none") or (told[place][1] != read_only and told[place][0] != "none")]
