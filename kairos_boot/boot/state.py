"""Which boot this is, and the sentinel files that tell the rest of the node (as immucore's do, D8)."""

from __future__ import annotations

import os

from kairos_boot.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kairos_boot.boot.cmdline import Cmdline

ACTIVE, PASSIVE, RECOVERY, AUTORESET, LIVE, UNKNOWN = "active", "passive", "recovery", "autoreset", "live", "unknown"
_IMAGE = {ACTIVE: "COS_ACTIVE", PASSIVE: "COS_PASSIVE", RECOVERY: "COS_SYSTEM", AUTORESET: "COS_SYSTEM"}
_PARTITION = {ACTIVE: "COS_STATE", PASSIVE: "COS_STATE", RECOVERY: "COS_RECOVERY", AUTORESET: "COS_RECOVERY"}
FAILURE = "upgrade_failure"
"""The sentinel, and the word on the command line, of a system that runs instead of another one."""


@record
class BootState:
    """One boot: `mode` is one of the names above; `reduced` is whether no mount of ours is made."""

    mode: str
    reduced: bool = False
    in_ram: bool = False
    uki: str = ""
    """`boot` or `install` where the whole system is one signed EFI program."""
    medium: bool = False
    """Whether the root is a squashfs file, on a live medium or on the recovery partition."""
    instead: bool = False
    """The passive system, since the active one was started twice in vain (G4)."""
    counted: bool = False
    """Whether systemd-boot counts the tries of this entry, so that a boot that fails may be tried again."""

    @property
    def one_file(self) -> bool:
        """Whether the root is in the initrd, which is part of one signed EFI program."""
        return bool(self.uki) and not self.in_ram

    @property
    def image_label(self) -> str:
        """The label of the file system that becomes root, or nothing."""
        return "" if self.uki else _IMAGE.get(self.mode, "")

    @property
    def partition_label(self) -> str:
        """The label of the partition that holds the image, or nothing."""
        return "" if self.uki else _PARTITION.get(self.mode, "")

    @property
    def recovery(self) -> bool:
        """Whether the persistent partition stays unmounted: recovery, and a reset, which is about to make it anew (D8)."""
        return self.mode in (RECOVERY, AUTORESET)

    @property
    def sentinels(self) -> list[str]:
        names = [UNKNOWN if self.mode == UNKNOWN else f"{self.mode}_mode"]
        if self.mode == AUTORESET:
            names.append(f"{RECOVERY}_mode")  # for every condition that looks for recovery alone (D8)
        if self.in_ram:
            names.append("in_ram_mode")
        if self.uki:
            names.append(f"uki_{self.uki}_mode")
        if self.instead:
            names.append(FAILURE)
        return names


def detect(cmdline: Cmdline, efivar: Callable[[str], str] = lambda name: "") -> BootState:  # noqa: ARG005
    """The state of the boot with this command line; *efivar* gives the text of a boot loader variable."""
    in_ram = any(t == "kairos.ram" or t.startswith(("kairos.ram=", "kairos.ram.")) for t in cmdline.tokens)
    uki = cmdline.has("rd.immucore.uki")
    installed = bool(uki and efivar("LoaderDevicePartUUID"))
    kind = ("boot" if installed or in_ram else "install") if uki else ""
    if in_ram:
        return BootState(ACTIVE, True, True, kind)
    if uki:
        return BootState(_entry(efivar("LoaderEntrySelected")) if installed else LIVE, cmdline.disabled, False, kind, counted=bool(efivar("LoaderBootCountPath")))
    mode = _mode(cmdline)
    live = bool(cmdline.live_root) or cmdline.has("netboot")
    return BootState(mode, live or cmdline.disabled, medium=bool(cmdline.live_root), instead=mode == PASSIVE and cmdline.has(FAILURE))


def _entry(entry: str) -> str:
    """The state that a systemd-boot entry stands for."""
    if entry.endswith(".conf"):
        for prefix, mode in (("active", ACTIVE), ("passive", PASSIVE), ("recovery", RECOVERY), ("statereset", AUTORESET)):
            if entry.startswith(prefix):
                return mode
    return UNKNOWN


def _roots(cmdline: Cmdline) -> list[str]:
    return [*cmdline.values("root")[-1:], *(t for t in cmdline.tokens if t.startswith("live:"))]


def _mode(cmdline: Cmdline) -> str:
    """In the published order; a label counts as the value of `root=` or as a token of its own."""
    labels = {value.rpartition("LABEL=")[2].rpartition("/")[2] for value in _roots(cmdline)} | set(cmdline.tokens)
    if cmdline.has("kairos.reset"):
        return AUTORESET
    if "COS_ACTIVE" in labels:
        return ACTIVE
    if "COS_PASSIVE" in labels:
        return PASSIVE
    if labels & {"COS_RECOVERY", "COS_SYSTEM"} or cmdline.has("recovery-mode"):
        return AUTORESET if cmdline.has("systemd.factory_reset") else RECOVERY
    if cmdline.live_root or cmdline.has("netboot"):
        return LIVE
    return UNKNOWN


def write_sentinels(state: BootState, directory: str) -> None:
    """Put the sentinel files of *state* into *directory*, each with the content `1`, and take those of other states away."""
    os.makedirs(directory, exist_ok=True)
    wanted = state.sentinels
    for name in ("active_mode", "passive_mode", "recovery_mode", "autoreset_mode", "live_mode", UNKNOWN, "in_ram_mode", "uki_boot_mode",
                 "uki_install_mode", *((FAILURE,) if state.instead else ())):
        path = f"{directory}/{name}"
        if name in wanted:
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) == 1:
                continue  # the first half wrote it; by now /run may be full (C14)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o755)
            os.write(fd, b"1")
            os.close(fd)
        elif os.path.lexists(path):
            os.unlink(path)

