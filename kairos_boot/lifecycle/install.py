"""Install: an empty disk becomes a node.

The whole layout is computed and checked before the source is fetched. The boot loader comes last: until then the disk is one that no firmware
starts, and whoever is cut off begins again; from then on everything that a node has is there and durable.
"""

from __future__ import annotations

import os

from kairos_boot.actions.filesystem import LetGo
from kairos_boot.actions.image_file import BuildImage, CopyImage
from kairos_boot.actions.mounts import Mount
from kairos_boot.actions.partitioning import MIB, PartitionDisk
from kairos_boot.actions.remove import Remove
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import bundles
from kairos_boot.lifecycle.bootcode import InstallBootCode
from kairos_boot.lifecycle.bootloader import InstallMenu
from kairos_boot.lifecycle.configuration import PutFiles
from kairos_boot.lifecycle.hooks import Hook, HookInImage, RunExecutable
from kairos_boot.lifecycle.layout import programs
from kairos_boot.lifecycle.phases import Phase
from kairos_boot.node import grubenv
from kairos_boot.records import NOTHING, record, replace
from kairos_boot.system import filesystems
from kairos_boot.system.partitions import size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kairos_boot.actions.base import Action
    from kairos_boot.actions.partitioning import Place
    from kairos_boot.lifecycle.encrypting import Encryption
    from kairos_boot.lifecycle.layout import Images, Layout
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.target import Target
    from kairos_boot.lifecycle.wired import Surroundings
    from kairos_boot.system.host import Host

ACTION = "install"
STATE, OEM, RECOVERY, PERSISTENT, EFI = "/run/cos/state", "/run/cos/oem", "/run/cos/recovery", "/run/cos/persistent", "/run/cos/efi"
PLACES = {"efi": EFI, "oem": OEM, "persistent": PERSISTENT, "recovery": RECOVERY, "state": STATE}
ASSESSMENT = {
    "grubcustom": "# More of the boot menu, for the owner of this node. Kairos keeps a variable bootfile_loc here; this menu counts starts by itself (boot_tries).\n",
    "grub_boot_assessment": "# Kairos assesses boots here, with boot_assessment_blk; this menu counts every start by itself (boot_tries, fallback_tries in grubenv).\n",
}
"""Files that scripts of Kairos look for on COS_STATE."""
EJECT = "/usr/lib/systemd/system-shutdown/eject"
FORBIDDEN = "/run/cos/fail_installation"
"""A file by which a step of `before-install` ends the installation; what is in it is the reason."""
PRE = "kairos-install.pre"
"""The stage before any decision on the disk."""
EXECUTABLES = {when: f"/usr/bin/kairos-agent.install.{when}.hook" for when in ("pre", "after")}
BINDS = ((OEM, "/oem"), (PERSISTENT, "/usr/local"))
"""What a hook in the image sees of the new node."""
UNASKED = "no --config is given: whether somebody can log in is the system's own matter, and is not checked"
AGAIN = "the installation begins again: nothing is kept of one that was cut off"


@record
class Options:
    """What of an installation can be chosen, besides its disk and its source."""

    files: tuple[tuple[str, bytes, int], ...] = ()
    """What comes onto COS_OEM: name, content, mode."""
    variables: Mapping[str, str] = NOTHING
    """Variables of the boot loader for COS_STATE, where it cannot read those of COS_OEM (G7)."""
    strict: bool = False
    entry_name: str = ""
    directories: tuple[str, ...] = ()
    """Directories that the images have besides those of the source."""
    file: str = ""
    """What people call the disk, where it is made as a file."""
    unasked: bool = False
    """No configuration is given, so nobody looked whether somebody can log in."""
    offline: bool = False
    """The disk is a file on a machine that builds images: nothing of that machine is a node's, so no hook runs on it."""
    eject: bool = False
    """The disc that was booted from is ejected when the machine goes down."""
    firmware: str = ""
    """What has to start a disk that was partitioned before: `bios`, `efi` or `both`."""
    bundles: tuple[Action, ...] = ()
    """What brings the bundles of `install.bundles`."""
    bundles_count: bool = False
    """A bundle that cannot be brought ends the installation (`fail_on_bundles_errors`)."""
    encryption: Encryption | None = None
    """The partitions that become containers."""
    plain: str = ""
    """What is said of partitions that could be containers, and are none."""
    fat: bool = False
    """The kernel mounts the partition of the firmware, so that steps find it."""


@record
class MayGoOn:
    """No step forbade the installation."""

    path: str = FORBIDDEN

    def describe(self) -> str:
        """The file that would."""
        return f"stop if a step left {self.path}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It changes nothing."""
        return False

    def apply(self, host: Host) -> bool:
        """KairosError: one did; what it wrote is the reason."""
        told = host.read(self.path)
        if told is not None:
            raise KairosError(f"Installation failed: {told.decode('utf-8', 'replace').strip()}", self.path, "a step of the configuration wrote this file")
        return False


@record
class MakeDurable:
    """Everything below the mount points *places* is on the disk, and readable for who replays no journal (G2)."""

    places: tuple[str, ...]

    def describe(self) -> str:
        """The places."""
        return f"write out {', '.join(self.places)}"

    def would_change(self, host: Host) -> bool | None:  # noqa: ARG002
        """It cannot be known."""
        return None

    def apply(self, host: Host) -> bool:
        """Write it. KairosError: the disk fails."""
        from kairos_boot.errors import reason
        from kairos_boot.system.checkpoint import checkpoint

        for place in self.places:
            try:
                checkpoint(host.path(place))
            except OSError as error:
                raise KairosError(f"the disk fails: {reason(error)}", place, "see dmesg") from error
        return True


def before(options: Options, around: Surroundings, stage: str = PRE, executable: str = EXECUTABLES["pre"]) -> list[Phase]:
    """What comes before any decision on the disk: the user's steps, which may prepare it."""
    if options.offline:
        return []
    # A veto of an earlier run of this boot is over; one of any step of this run counts.
    hooks = (Remove(FORBIDDEN), Hook(stage, around.emit), RunExecutable(executable))
    return [Phase("pre", f"stage {stage}", hooks, again=AGAIN, extra=True)]


def phases(target: Target, source: Source, images: Images, layout: Layout | None, options: Options, around: Surroundings, sector: int = 512) -> list[Phase]:
    """The phases that make *target* a node. Without *layout* its partitions are there already (`no-format`), and are not formatted."""
    active, passive, recovery = f"{STATE}/cOS/active.img", f"{STATE}/cOS/passive.img", f"{RECOVERY}/cOS/recovery.img"
    places = {name: place for name, place in PLACES.items() if name != "efi" or (name in target.nodes and options.fat)}
    encryption = options.encryption
    plain, target = target, encryption.opened(target) if encryption else target
    mounted = tuple(Mount(target.nodes[name], place, target.kinds[name]) for name, place in places.items())
    found = []
    if layout is not None:
        made = f"{options.file}, {size_of(target.disk) // MIB} MiB" if options.file else ""
        found.append(Phase("partition", "make the partitions", (PartitionDisk(target.disk, formatted(layout, encryption), layout.guid, sector, made),), again=AGAIN, notes=layout.notes,
                           checks=(lambda host: filesystems.need(host, programs(layout.places)),)))
    found += [encryption.phase(plain, AGAIN)] if encryption else []
    found.append(Phase("mount", "mount the partitions", again=AGAIN, standing=mounted,
                       notes=() if layout is not None else ("partitions that are there are used, and not formatted (no-format)",)))
    if not options.offline:
        found += [Phase("before-install", "stage before-install", (Hook("before-install", around.emit),), again=AGAIN, extra=not options.strict),
                  Phase("permission", "ask whether a step forbids it", (MayGoOn(),), again=AGAIN)]
    variables = {"default_menu_entry": options.entry_name} if options.entry_name else {}
    environment = grubenv.changed(b"", variables)
    named = [("grubenv", grubenv.changed(b"", {**variables, **options.variables}, "install.grub_options"), 0o644), *((name, text.encode(), 0o644) for name, text in ASSESSMENT.items())]
    named += [("grub_oem_env", environment, 0o644)] if options.entry_name else []
    found += [
        Phase("active", "write the active system", (_image(source, active, images.active, options, around),), again=AGAIN),
        Phase("configuration", "write the configuration", (PutFiles(OEM, options.files),), again=AGAIN, notes=(UNASKED,) if options.unasked else ()),
        Phase("menu", "write the boot menu", (InstallMenu(active, STATE), PutFiles(STATE, tuple(named))), again=AGAIN),
        Phase("after-install-chroot", "stage after-install-chroot", (HookInImage("after-install-chroot", active, (), around.emit, around.steps, BINDS, directories=() if source.is_tree else options.directories),),
              again=AGAIN, extra=not options.strict),
        Phase("recovery", "write the recovery system", (CopyImage(active, recovery, "COS_SYSTEM", around.progress("write recovery.img")),), again=AGAIN),
        Phase("passive", "write the passive system", (CopyImage(active, passive, "COS_PASSIVE", around.progress("write passive.img")),), again=AGAIN),
    ]
    found += bundles.phases(options.bundles, strict=options.bundles_count, again=AGAIN)
    if not options.offline:
        found.append(Phase("after-install", "stage after-install", (Hook("after-install", around.emit),), again=AGAIN, extra=not options.strict))
    found += [
        Phase("record", "note the installation", around.finish, again=AGAIN, extra=True),
        *([encryption.showing(plain, AGAIN)] if encryption else []),
        Phase("boot-loader", "make the disk bootable", (MakeDurable(tuple(places.values())), InstallBootCode(active, target.disk, must=True, elsewhere=options.offline, file=options.file,
                                                                                                          firmware=options.firmware)), again=AGAIN),
        Phase("unmount", "unmount the partitions", (*(LetGo(place) for place in places.values()), *(encryption.closing(plain) if encryption else ())), again="nothing is left to do", extra=True),
    ]
    if not options.offline:
        end = (Hook("kairos-install.after", around.emit), RunExecutable(EXECUTABLES["after"]))
        if options.eject:
            script = PutFiles(os.path.dirname(EJECT), ((os.path.basename(EJECT), b"#!/bin/sh\nexec eject -rmF\n", 0o755),))
            found.append(Phase("eject", "let the medium be ejected at the end", (script,), again="nothing is left to do", extra=True))
        found.append(Phase("after", "stage kairos-install.after", end, again="nothing is left to do", extra=True))
    return found


def _image(source: Source, target: str, size: int, options: Options, around: Surroundings) -> Action:
    if source.is_tree:
        return BuildImage(source.path, target, "COS_ACTIVE", size, places=options.directories)
    return CopyImage(source.path, target, "COS_ACTIVE", around.progress(f"write {os.path.basename(target)}"))


def formatted(layout: Layout, encryption: Encryption | None) -> tuple[Place, ...]:
    """The partitions as they are made: one that becomes a container gets its file system in there."""
    within = encryption.names if encryption else ()
    return tuple(replace(place, label="", fstype="none") if place.name in within else place for place in layout.places)
