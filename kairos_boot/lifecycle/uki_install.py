"""Install a node that is one signed file: its systems and systemd-boot on the ESP, its configuration on COS_OEM; there are no images.

Each role has a program of its own, so that a damaged one costs one role. The boot loader comes last, as on every node: until then nothing starts the disk.
"""

from __future__ import annotations

import os

from kairos_boot.actions.base import always
from kairos_boot.actions.filesystem import LetGo
from kairos_boot.actions.mounts import Mount
from kairos_boot.actions.partitioning import PartitionDisk
from kairos_boot.errors import Explained, KairosError
from kairos_boot.lifecycle import bundles
from kairos_boot.lifecycle.configuration import PutFiles
from kairos_boot.lifecycle.hooks import Hook, RunExecutable
from kairos_boot.lifecycle.install import AGAIN, EFI, OEM, PERSISTENT, UNASKED, MakeDurable, MayGoOn, formatted
from kairos_boot.lifecycle.layout import programs
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.lifecycle.roles import FOLDER, SelectEntry, file_digest, must_be_kept, write_program
from kairos_boot.lifecycle.uki_upgrade import accepted
from kairos_boot.node import loader
from kairos_boot.node.state import secure_boot
from kairos_boot.records import record
from kairos_boot.system import authenticode, filesystems
from kairos_boot.system.fat import settle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.lifecycle.install import Options
    from kairos_boot.lifecycle.layout import Layout
    from kairos_boot.lifecycle.target import Target
    from kairos_boot.lifecycle.uki_upgrade import New
    from kairos_boot.lifecycle.wired import Surroundings
    from kairos_boot.system.copying import Progress
    from kairos_boot.system.host import Host

PRE, AFTER = "kairos-uki-install.pre", "kairos-uki-install.after"
EXECUTABLES = {when: f"/usr/bin/kairos-agent.uki.install.{when}.hook" for when in ("pre", "after")}
PLACES = {"efi": EFI, "oem": OEM, "persistent": PERSISTENT}
ROLES = ("active", "passive", "recovery")


@record
class PutSystem:
    """The program *source* (SHA-256 *digest*) is the file *target* of a new ESP."""

    source: str
    target: str
    digest: str
    progress: Progress

    def describe(self) -> str:
        """Both names."""
        return f"write {self.source} to {self.target}, make it durable, and read it back"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Write it. KairosError: no room, the disk fails, or it does not keep what was written."""
        write_program(host.path(self.source), host.path(self.target), self.digest, self.progress)
        return True


@record
class PutMenu:
    """The menu of a new ESP, mounted at *place*: an entry for each of *names* that starts its program, with all its tries, and loader.conf."""

    place: str
    names: tuple[str, ...]
    title: str

    def describe(self) -> str:
        """The entries."""
        return f"write to {self.place}/loader: the entries {', '.join(self.names)}, each with {loader.TRIES} tries, and loader.conf"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Write it. KairosError: the disk fails."""
        files = {f"loader/entries/{file_of(name)}": loader.text(host, name, self.title, program_of(name), {}).encode() for name in self.names}
        put_all(host, self.place, {**files, "loader/loader.conf": loader.MENU.encode()})
        return True


@record
class PutLoader:
    """systemd-boot from *source* is the boot loader of a new ESP, mounted at *place*: what the firmware starts is written last."""

    source: str
    place: str

    def describe(self) -> str:
        """Where from and where to."""
        return f"write {self.source} to {self.place}: {', '.join(reversed(loader.LOADERS))}"

    would_change = always

    def apply(self, host: Host) -> bool:
        """Write it, and read it back. KairosError: the disk fails."""
        content = host.read(self.source)
        if content is None:
            raise KairosError("the boot loader is gone", self.source, "is the medium there?")
        put_all(host, self.place, dict.fromkeys(reversed(loader.LOADERS), content))
        for name in loader.LOADERS:
            must_be_kept(host.path(f"{self.place}/{name}"), file_digest(host.path(self.source)))
        return True


def put_all(host: Host, place: str, files: dict[str, bytes]) -> None:
    """Small files of a new file system at *place*, in their order, each durable. KairosError: the disk fails."""
    for name, content in files.items():
        path = host.path(f"{place}/{name}")
        with Explained("it cannot be written", path, "see dmesg"):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            settle(os.path.dirname(path))


def file_of(role: str) -> str:
    """The entry of *role* after an installation, with all its tries."""
    return f"{role}+{loader.TRIES}{loader.SUFFIX}"


def program_of(role: str) -> str:
    """Where on the ESP the program of *role* lies after an installation."""
    return f"{FOLDER}/{role}.efi"


def phases(target: Target, new: New, start: str, layout: Layout, options: Options, around: Surroundings, sector: int = 512) -> list[Phase]:
    """The phases that make *target* a node whose systems are *new*, and whose boot loader is the file *start*."""
    title = loader.base_title(options.entry_name or new.title or "Kairos")
    encryption = options.encryption
    plain, target = target, encryption.opened(target) if encryption else target
    mounted = tuple(Mount(target.nodes[name], place, target.kinds[name]) for name, place in PLACES.items())
    found = [
        Phase("partition", "make the partitions", (PartitionDisk(target.disk, formatted(layout, encryption), layout.guid, sector),), again=AGAIN,
              notes=(*layout.notes, *((options.plain,) if options.plain else ())),
              checks=(lambda host: filesystems.need(host, programs(layout.places)), lambda host: _must_be_mountable(host, target), lambda host: _must_start(host, new, start))),
        *([encryption.phase(plain, AGAIN)] if encryption else []),
        Phase("mount", "mount the partitions", again=AGAIN, standing=mounted),
        Phase("before-install", "stage before-install", (Hook("before-install", around.emit),), again=AGAIN, extra=not options.strict),
        Phase("permission", "ask whether a step forbids it", (MayGoOn(),), again=AGAIN),
        Phase("configuration", "write the configuration", (PutFiles(OEM, options.files),), again=AGAIN, notes=(UNASKED,) if options.unasked else ()),
    ]
    found += [Phase(role, f"write the {role} system", (PutSystem(new.path, f"{EFI}{program_of(role)}", new.digest, around.progress(f"write the {role} system")),), again=AGAIN)
              for role in ROLES]
    found.append(Phase("menu", "write the boot menu", (PutMenu(EFI, ROLES, title),), again=AGAIN))
    found += bundles.phases(options.bundles, strict=options.bundles_count, again=AGAIN)
    return [
        *found,
        Phase("after-install", "stage after-install", (Hook("after-install", around.emit),), again=AGAIN, extra=not options.strict),
        Phase("record", "note the installation", around.finish, again=AGAIN, extra=True),
        *([encryption.showing(plain, AGAIN)] if encryption else []),
        Phase("boot-loader", "make the disk bootable", (MakeDurable(tuple(PLACES.values())), PutLoader(start, EFI)), again=AGAIN),
        Phase("select", "let the next boot be the new node", (SelectEntry("active", loader.Entry(file_of("active"), "active", loader.TRIES)),), again="nothing is left to do", extra=True),
        Phase("after", f"stage {AFTER}", (Hook(AFTER, around.emit), RunExecutable(EXECUTABLES["after"])), again="nothing is left to do", extra=True),
        Phase("unmount", "unmount the partitions", (*(LetGo(place) for place in PLACES.values()), *(encryption.closing(plain) if encryption else ())), again="nothing is left to do", extra=True),
    ]


def trusted(host: Host) -> str:
    """What is said where the firmware starts anything; empty with Secure Boot."""
    return "" if secure_boot(host) else "Secure Boot is off: the signatures are not checked"


def _must_be_mountable(host: Host, target: Target) -> None:
    if not filesystems.mountable(host, target.kinds["efi"]):
        raise KairosError(f"the kernel of this system mounts no {target.kinds['efi']}, which the partition of the firmware is", target.disk, "boot a medium whose system has it")


def _must_start(host: Host, new: New, start: str) -> None:
    for path in (new.path, start) if new.digest else ():  # what has not arrived is looked at when it is there
        accepted(host, authenticode.read(host.path(path)))
