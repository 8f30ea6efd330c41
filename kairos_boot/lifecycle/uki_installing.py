"""The installation of a node that is one signed file, from the medium that such a machine was booted from: what is asked for, and the checks."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import encrypting, signature, sources, target
from kairos_boot.lifecycle.configuration import BLOCK
from kairos_boot.lifecycle.install import ACTION
from kairos_boot.lifecycle.installing import LIVE, Installation
from kairos_boot.lifecycle.layout import Images
from kairos_boot.lifecycle.phases import Engine
from kairos_boot.lifecycle.uki_install import EXECUTABLES, PRE, phases, trusted
from kairos_boot.lifecycle.uki_medium import loader_of, mounted
from kairos_boot.lifecycle.uki_upgrade import New, accepted, find
from kairos_boot.node.mode import SENTINELS
from kairos_boot.node.settings import mapping
from kairos_boot.records import replace
from kairos_boot.system import authenticode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.lifecycle.install import Options
    from kairos_boot.lifecycle.installing import Asked
    from kairos_boot.lifecycle.layout import Wishes
    from kairos_boot.lifecycle.phases import Phase
    from kairos_boot.lifecycle.sources import Source
    from kairos_boot.lifecycle.wired import Installer, Surroundings
    from kairos_boot.node.config import Config

NO_IMAGES = Images(0, 0, 0)
NOTHING_DONE = ("extra-dirs-rootfs", "grub_options", "system.size")
"""Settings of `install` that say nothing of a signed system."""


class UkiInstallation(Installation):
    """One such installation."""

    pre, executable = PRE, EXECUTABLES["pre"]

    def __init__(self, wired: Installer, config: Config, asked: Asked) -> None:
        super().__init__(wired, config, asked)
        self._looked_at: Source | None = None
        self._opened: set[str] = set()
        self._new = New()
        self._by_itself, self._plain = False, "the configuration says so"
        """Whether encryption is our choice; why a partition is not encrypted."""

    def check(self) -> None:
        """KairosError: the configuration cannot be what somebody wants, or this system installs none."""
        if not self.host.exists(f"{SENTINELS}/uki_install_mode"):
            raise KairosError("this system is one signed file (trusted boot) and runs from its node's disk: it installs none; nothing was changed",
                              hint="boot an installation medium")
        if self.prepared:
            raise KairosError("the disk of a node that is one signed file is always made anew", "install.no-format", "leave it out")
        if self.settings.get("firmware") not in (None, "efi"):
            raise KairosError("a node that is one signed file is started by UEFI alone", "install.firmware", "leave it out")
        super().check()
        if self.settings.get("encrypted_partitions") is None:
            wanted = encrypting.by_default(self.asked.terminals, self.then)
            self._by_itself, self._plain = True, wanted.hindered(self.host)
            self.encryption = None if self._plain else wanted

    def firmware(self) -> str:
        """UEFI."""
        return "efi"

    def source(self) -> Source:
        """What the node is made of: by itself the signed file of the medium. KairosError: nothing is there."""
        if self._named() == LIVE:
            mounted(self.host)
        return super().source()

    def bring(self, source: Source) -> Source:
        """*source* on this machine; it has the signed file, and need be no tree of a system. KairosError: it is not signed, and has to be."""
        if not source.arrived:
            signature.verify(self.host, self.data, source)
        return sources.bring(Engine(ACTION, self.host, self.wired.ledger, self.wired.log), source, self.wired.progress, system=False)

    def fetching(self, source: Source) -> list[Phase]:
        """The phases that bring *source* onto this machine."""
        return sources.source_phases(source, self.wired.progress, system=False)

    def options(self, source: Source) -> Options:
        """The choices of the configuration, without what is GRUB's. KairosError: partitions are to be encrypted which this system would not open."""
        if source.arrived and self.encryption:
            self._must_open(source)
        found = super().options(source)
        plain = encrypting.left_plain(self.encryption, self._plain)
        options: Options = replace(found, files=tuple(each for each in found.files if each[0] != BLOCK), variables={}, directories=(), plain=plain)
        return options

    def _must_open(self, source: Source) -> None:
        path = self.program(source).path
        if path in self._opened:  # its initrd is large
            return
        try:
            encrypting.must_open_signed(self.host, path, str(source.named), alone=self._by_itself)
        except KairosError as error:
            if not self._by_itself:
                raise
            self.encryption, self._plain = None, error.message
        self._opened.add(path)

    def program(self, source: Source) -> New:
        """The signed file in *source*; of one that has not arrived its size at least. KairosError: it has none."""
        if not source.arrived:
            return New(f"the system of {source.named}", source.size)
        if self._looked_at != source:  # it is large
            self._looked_at, self._new = source, find(self.host, source, "active")
        return self._new

    def start(self, source: Source) -> str:
        """The boot loader for it."""
        return loader_of(self.host, source) if source.arrived else f"the boot loader of {source.named}"

    def must_be_system(self, source: Source, options: Options) -> None:  # noqa: ARG002
        """KairosError: *source* has no signed file of a node, no boot loader comes with it, or the firmware would not start one of them."""
        for path in (self.program(source).path, self.start(source)):
            accepted(self.host, authenticode.read(self.host.path(path)))

    def tell(self, source: Source) -> None:  # noqa: ARG002
        """Say what of the configuration does nothing, what is not encrypted, and that nobody may see the key of what is."""
        self.tell_of_key()
        for key in NOTHING_DONE:
            section, _, name = key.rpartition(".")
            if (mapping(self.settings.get(section)) if section else self.settings).get(name):
                self.wired.log(4, f"install.{key} does nothing here: a signed system is taken as it is", kind="warning", stage=ACTION)
        if trusted(self.host):
            self.wired.log(4, trusted(self.host), kind="warning", stage=ACTION)
        if plain := encrypting.left_plain(self.encryption, self._plain):
            self.wired.log(4, plain, kind="warning", stage=ACTION)

    def todo(self, source: Source, options: Options, around: Surroundings) -> list[Phase]:
        """The phases on the disk, as it is now. KairosError: there is none, or it does not fit."""
        from kairos_boot.system.partitions import blank

        self._new = new = self.program(source)
        disk = target.choose(self.host, self._disk())
        table = blank(disk)
        layout = self._layout(disk, table.usable_end * table.sector, NO_IMAGES)
        return phases(target.planned(disk, layout.places), new, self.start(source), layout, options, around, table.sector)

    def wishes(self) -> Wishes:
        """What the configuration says of the disk, and how large the signed file is. KairosError: it cannot be meant."""
        wanted: Wishes = replace(super().wishes(), program=self._new.size, encrypted=self.encryption.names if self.encryption else ())
        return wanted
