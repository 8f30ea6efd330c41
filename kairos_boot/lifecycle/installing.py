"""An installation from its beginning to its end: what is asked for, the checks, the phases, and what is left tidy when one fails."""

from __future__ import annotations

import os
from contextlib import contextmanager

from kairos_boot.actions.encryption import TERMINALS, Close
from kairos_boot.actions.filesystem import LetGo
from kairos_boot.actions.image_layers import must_stay_system
from kairos_boot.actions.partitioning import MIB
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import bootcode, bundles, encrypting, signature, sources, survey, target
from kairos_boot.lifecycle.configuration import BLOCK, documents, grub_options
from kairos_boot.lifecycle.examined import system_in, tell_of_size
from kairos_boot.lifecycle.finish import RECORD, KeepRecord, NoteEvent
from kairos_boot.lifecycle.install import ACTION, EXECUTABLES, OEM, PERSISTENT, PLACES, PRE, Options, before, phases
from kairos_boot.lifecycle.layout import Images, Layout, Wishes, compute, wishes
from kairos_boot.lifecycle.phases import Broken, Engine, Memory, Phase, Refused, must_be_met, plan
from kairos_boot.lifecycle.wired import Surroundings, ended, follows
from kairos_boot.node.sections import REFUSED, understood
from kairos_boot.node.settings import listing, mapping
from kairos_boot.node.state import release
from kairos_boot.records import record
from kairos_boot.system import filesystems
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.lifecycle.encrypting import Encryption
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.target import Target
    from kairos_boot.lifecycle.wired import Installer, Outcome
    from kairos_boot.node.config import Config

SPARE = 100 * MIB
"""Bytes of an image's usual size that its tree does not need."""
LIVE = f"dir:{sources.TREE}"
FIRMWARE = "/sys/firmware/efi"


@record
class Asked:
    """What the call says, beside the configuration: the device, the source, the disk image that is made instead."""

    device: str = ""
    source: str = ""
    image: bool = False
    name: str = ""
    """What people call the disk, where that is not the device."""
    firmware: str = ""
    seed: str = ""
    default: str = ""
    """The device where neither the call nor the configuration names one."""
    insecure: bool = False
    """A registry without TLS will do."""
    brought: Source | None = None
    """The source, where it is on this machine already."""
    terminals: tuple[str, ...] = TERMINALS
    """Where a recovery key is shown."""
    users: bool = True
    """Whether somebody must be able to log in."""
    then: str = ""
    """What follows it, `reboot` or `poweroff`; empty: what the configuration says."""


class Installation:
    """One installation: *config* is what the new node gets, *asked* what the call says."""

    pre, executable = PRE, EXECUTABLES["pre"]
    """The stage, and the program of others, before any decision on the disk."""

    def __init__(self, wired: Installer, config: Config, asked: Asked) -> None:
        self.wired, self.host, self.config, self.asked = wired, wired.host, config, asked
        self.data = data = understood(config.settings, ACTION)
        self.settings = mapping(data.get("install"))
        self.strict = data.get("strict") is True
        self.prepared = self.settings.get("no-format", self.settings.get("no_format")) is True
        """Whether the disk was partitioned for the node already (`no-format`)."""
        self.strict_bundles = data.get("fail_on_bundles_errors") is True
        self.insecure = asked.insecure or self.settings.get("allow-insecure-registries") is True
        self.bundles, self.odd_bundles = bundles.named(self.settings.get("bundles"), "install.bundles", insecure=self.insecure)
        self.encryption: Encryption | None = None
        self.eject = data.get("eject-cd") is True and "cdroot" in wired.cmdline.split()
        self.then = asked.then or follows(self.settings)
        self._device = ""

    # -- what is asked for

    def check(self) -> None:
        """KairosError: the configuration cannot be what somebody wants, or this system installs none."""
        survey.must_be_of_one_mind(self.config)
        for key, why in REFUSED.items():
            if self.settings.get(key):
                raise KairosError(why, f"install.{key}", "leave it out")
        self.encryption = encrypting.asked(self.config.settings, self.settings, image=self.asked.image, prepared=self.prepared,
                                           terminals=self.asked.terminals, then=self.then)
        if self.settings.get("reboot") is True and self.settings.get("poweroff") is True:
            raise KairosError("reboot or poweroff, not both", "install.reboot", "leave one of them out")
        for fault in self.odd_bundles:
            if self.strict_bundles:
                raise fault
            self.wired.log(4, str(fault), kind="warning", stage=ACTION)
        if signature.asked(self.data):
            signature.must_be_possible(self.host, sources.parse(self._named()))
        if self.asked.users and not survey.lets_somebody_in(self.host, self.config, self.settings):
            raise KairosError("No users found in any stage that are part of the 'admin' group: nobody could log in to the new node", "users",
                              "add a user with `groups: [admin]`, or write install.nousers: true")

    def _named(self) -> str:
        """The source that the call or the configuration names, else the live medium's root."""
        system = mapping(self.settings.get("system"))
        return str(self.asked.source or self.settings.get("source") or system.get("source") or system.get("uri") or LIVE)

    def source(self) -> Source:
        """What the images are made of. KairosError: nothing is named, or it is not there."""
        named = self._named()
        if named == LIVE and not self.host.is_directory(sources.TREE):
            raise KairosError("undefined system source to install", "install.source", "name one: --source dir:/PATH, file:/PATH or oci:IMAGE")
        return self.asked.brought or sources.find(self.host, named, "install.source", fetch=True, insecure=self.insecure)

    def bring(self, source: Source) -> Source:
        """*source* on this machine. Refused: it cannot be had, or is no system. KairosError: it is not signed, and has to be."""
        if not source.arrived:
            signature.verify(self.host, self.data, source)
        return sources.bring(Engine(ACTION, self.host, self.wired.ledger, self.wired.log), source, self.wired.progress)

    def images(self, source: Source) -> Images:
        """How large the images are: recovery and passive are copies of active, which `install.system.size` may make larger."""
        asked = str(mapping(self.settings.get("system")).get("size") or "")
        size = int(asked) * MIB if source.is_tree and asked.isdecimal() else source.size
        if source.is_tree and size < source.size - SPARE:
            raise KairosError(f"the system does not fit into an image of {size // MIB} MiB: about {(source.size - SPARE) // MIB} are needed", "install.system.size")
        return Images(size, size, size)

    def options(self, source: Source) -> Options:
        """The choices of the configuration. KairosError: a document cannot be had, or contradicts another."""
        name = self.settings.get("grub-entry-name") or (release(Host(self.host.path(source.path))).get("grub_entry_name", "") if source.is_tree else "")
        extra = tuple(str(path) for path in listing(self.settings.get("extra-dirs-rootfs")))
        for path in extra:
            if not path.startswith("/") or ".." in path.split("/"):
                raise KairosError(f"not an absolute path: {path!r}", "install.extra-dirs-rootfs")
        kept = bundles.places(PERSISTENT, OEM, [str(path) for path in listing(self.settings.get("bind_mounts"))])
        brought = tuple(bundles.BringToNewNode(each, kept, self.asked.image) for each in self.bundles)
        files, variables = documents(self.config, self.wired.cmdline, self.wired.read), {}
        if self.encryption and "oem" in self.encryption.names:  # GRUB opens no container (G7)
            files, variables = [each for each in files if each[0] != BLOCK], grub_options(self.settings)
        return Options(tuple(files), variables, self.strict, str(name), extra, offline=self.asked.image,
                       file=self.asked.name if self.asked.image else "", unasked=not self.asked.users,
                       eject=self.eject, bundles=brought, bundles_count=self.strict_bundles, firmware=self.wishes().firmware if self.prepared else "",
                       encryption=self.encryption, fat=filesystems.mountable(self.host, "vfat"))

    def firmware(self) -> str:
        """What starts the new node, where the configuration does not say."""
        return self.asked.firmware or ("efi" if self.host.is_directory(FIRMWARE) else "bios")

    def wishes(self) -> Wishes:
        """What the configuration says of the disk. KairosError: it cannot be meant."""
        return wishes(self.settings, self.firmware(), self.asked.seed)

    def device(self) -> str:
        """The disk that the call or the configuration names; nothing where none is."""
        return self.asked.device or str(self.settings.get("device") or "") or (target.AUTO if self.settings.get("auto") is True else self.asked.default)

    def _disk(self) -> str:
        """The same, its script run: once for the whole installation."""
        if not self._device:
            self._device = target.named_by(self.host, self.device())
        return self._device

    # -- the phases

    def todo(self, source: Source, options: Options, around: Surroundings) -> list[Phase]:
        """The phases on the disk, as it is now. KairosError: there is none, or it does not fit."""
        images = self.images(source)
        if self.prepared:
            found = target.prepared(self.host, "" if self._disk() == target.AUTO else self._disk(), self.wired.disks())
            self._room(found, images)
            bootcode.must_have_place(self.host, found.disk, options.firmware)
            return phases(found, source, images, None, options, around)
        from kairos_boot.system.partitions import blank

        disk = self.device() if self.asked.image else target.choose(self.host, self._disk())
        table = blank(disk)
        layout = self._layout(disk, table.usable_end * table.sector, images)
        return phases(target.planned(disk, layout.places), source, images, layout, options, around, table.sector)

    def _layout(self, disk: str, usable: int, images: Images) -> Layout:
        return compute(self.asked.name or disk, usable, images, self.wishes())

    def early(self, source: Source) -> None:
        """What can be known before a source is fetched. KairosError: the disk will not do. One that steps may prepare meanwhile is looked at behind them."""
        if self.prepared and (self.wired.steps(self.pre, "/") or self.host.exists(self.executable)):
            return
        self.todo(source, self.options(source), self.around(source))

    def _room(self, found: Target, images: Images) -> None:
        """KairosError: a prepared partition is too small, or a node lives there."""
        from kairos_boot.system.udev import Partition

        needed = {"state": images.active + images.passive, "recovery": images.recovery}
        for name, size in needed.items():
            with contextmanager(survey.looked_at)(Partition(found.nodes[name], fstype=found.kinds[name]), name) as place:
                room = survey.room(place) + sum(survey.blocks(f"{place}/cOS/{image}.img") for image in ("active", "passive", "recovery"))
                if survey.blocks(f"{place}/cOS/{'active' if name == 'state' else 'recovery'}.img") and self.settings.get("force") is not True:
                    raise KairosError("use `force` flag to run an installation over the current running deployment: a node is on this disk", found.disk,
                                      "install.force: true writes over its images")
            if room < size:
                raise KairosError(f"the {name} partition does not fit its images: {size // MIB} MiB are needed, {room // MIB} can be had", found.nodes[name])

    def must_be_system(self, source: Source, options: Options) -> None:
        """KairosError: *source*, which has arrived, is no system that a node can be made of, has no boot loader (G1), or does not take what is to be made in it."""
        with contextmanager(system_in)(self.host, source, self.wired.progress) as tree:
            bootcode.find(self.host, Host(tree), self.wishes().firmware, elsewhere=self.asked.image)
            must_stay_system(tree, str(source.named), (), options.directories, ("", "install.extra-dirs-rootfs"))
            if self.encryption:
                encrypting.must_open(self.host, tree, str(source.named))

    def tell(self, source: Source) -> None:
        """Say what of the configuration does nothing for *source*."""
        tell_of_size(self.wired.log, source, mapping(self.settings.get("system")).get("size"), "install.system.size")
        self.tell_of_key()

    def tell_of_key(self) -> None:
        """Say where nobody may have the time to read a recovery key."""
        for text in self.encryption.warnings if self.encryption else ():
            self.wired.log(4, text, kind="warning", stage=ACTION)

    def first(self, options: Options, around: Surroundings) -> list[Phase]:
        """The phases before any decision on the disk."""
        return before(options, around, self.pre, self.executable)

    def fetching(self, source: Source) -> list[Phase]:
        """The phases that bring *source* onto this machine."""
        return sources.source_phases(source, self.wired.progress)

    def around(self, source: Source) -> Surroundings:
        """What the phases are given."""
        origin = sources.origin(source)
        finish = (NoteEvent(PERSISTENT, "first-install", origin), *(() if self.asked.image else (KeepRecord(self.wired.ledger, f"{PERSISTENT}/{RECORD}"),)))
        return Surroundings(self.wired.emit, self.wired.steps, self.wired.progress, finish)


def install(wired: Installer, config: Config, asked: Asked, kind: type[Installation] = Installation) -> Outcome:
    """Install a node of that *kind*. Refused: nothing was changed. Broken: the disk is no node, and the installation can begin again."""
    this = kind(wired, config, asked)
    free = wired.lock()
    try:
        this.check()
        _environment(config.settings.data, this.settings)
        source = this.source()
        this.early(source)  # it is not fetched in vain
        source = this.bring(source)
        options, around = this.options(source), this.around(source)
        this.must_be_system(source, options)
        this.tell(source)
        engine = Engine(ACTION, wired.host, wired.ledger, wired.log)
        first = this.first(options, around)
        later = [] if this.prepared else this.todo(source, options, around)
        engine.check([*first, *later])
        wired.log(5, "the installation begins", kind="action", stage=ACTION)
        mark = Memory()
        try:
            failures = engine.run(first, mark, more=len(later))
        except Broken as error:  # the disk was not touched
            raise Refused([error]) from error
        later = this.todo(source, options, around)  # a step may have prepared or changed the disk
        engine.check(later)
        try:
            failures += engine.run(later, mark, before=len(first))
        except Broken as error:
            _tidy(wired, later)
            raise Broken(error.phase, KairosError(error.message, error.where, error.hint or "mend the cause and install again: until then the disk is no node")) from error
        except BaseException:
            _tidy(wired, later)
            raise
    finally:
        free()
    sources.forget(wired.host, wired.log, ACTION, layers=True)
    wired.log(5, "the installation is done", kind="action", stage=ACTION)
    return ended(failures, this.settings)


def plan_of(wired: Installer, config: Config, asked: Asked, kind: type[Installation] = Installation) -> list[dict[str, Any]]:
    """What an installation would do. KairosError: it cannot be known, or would be refused."""
    this = kind(wired, config, asked)
    this.check()
    _environment(config.settings.data, this.settings)
    if this.device().startswith(target.SCRIPT):
        raise KairosError("a script names the disk, and a plan runs none (E3)", this.device(), "name a disk for the plan: kairos-boot install --plan /dev/…")
    source = this.source()
    options, around = this.options(source), this.around(source)
    if source.arrived:  # what is fetched is looked at when it is there
        this.must_be_system(source, options)
    todo = [*this.first(options, around), *this.todo(source, options, around)]
    must_be_met(wired.host, todo)
    return plan(ACTION, [*signature.phases(wired.host, this.data, source), *this.fetching(source), *todo])


def _tidy(wired: Installer, phases: Sequence[Phase]) -> None:
    """Nothing of ours stays mounted or open."""
    opened = (action for phase in phases for action in phase.actions if isinstance(action, Close))
    todo: list[LetGo | Close] = [*(LetGo(place) for place in PLACES.values()), *opened]
    for action in todo:
        try:
            action.apply(wired.host)
        except (KairosError, OSError) as error:
            wired.log(4, f"it was not possible to {action.describe()}: {error}", kind="warning", stage=ACTION)


def _environment(*settings: Mapping[str, Any]) -> None:
    """Variables that the configuration gives to what the installation runs."""
    for section in settings:
        for item in listing(section.get("env")):
            name, equals, value = str(item).partition("=")
            if "\0" in str(item):
                raise KairosError(f"no variable has a NUL in it: {str(item)!r}", "env", "take it out")
            if equals and name:
                os.environ[name] = value
