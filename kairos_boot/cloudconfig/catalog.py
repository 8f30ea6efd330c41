"""The stages that something emits: by whom, when, and where the steps see the node (immucore's and kairos-agent's, D10).

Stage names are free text: `run-stage` emits any name, and a name that nobody defines does nothing. This list is for people (docs, the
schema), and for telling the writer of `stages: {boott: …}` what was probably meant.
"""

from __future__ import annotations

from kairos_boot.records import record

SUBSTAGES = (".before", "", ".after")
"""What emitting a stage means: three graphs, in this order (A2)."""


@record
class Stage:
    """A stage that something emits."""

    name: str
    emitter: str
    moment: str
    chroot: str = ""
    """The tree that its steps see as /, if that is not the running system's."""


STAGES = (
    Stage("rootfs", "kairos-boot-initrd.service", "in the initrd, when image and OEM partition are mounted, before the layout is applied",
          "the initrd, with /system and /oem of the node"),
    Stage("initramfs", "kairos-boot-initrd.service", "in the initrd, when everything is mounted, before the switch to the node's root", "/sysroot"),
    Stage("fs", "cos-setup-fs.service", "when local file systems are mounted, before sysinit.target"),
    Stage("boot", "cos-setup-boot.service", "after fs, before logins are possible"),
    Stage("network", "cos-setup-network.service", "after boot, when the network is online"),
    Stage("reconcile", "cos-setup-reconcile.timer", "5 minutes after the start, then every 60 minutes"),
    Stage("kairos-install.pre", "install", "before anything is looked at"),
    Stage("before-install", "install", "when the partitions are mounted, before the image is written"),
    Stage("after-install-chroot", "install", "when the image is written", "the new image"),
    Stage("after-install", "install", "when the boot loader is there"),
    Stage("kairos-install.after", "install", "at the end"),
    Stage("before-upgrade", "upgrade", "before the image is written"),
    Stage("after-upgrade-chroot", "upgrade", "when the image is written", "the new image"),
    Stage("after-upgrade", "upgrade", "when the new image has its place"),
    Stage("before-reset", "reset", "before the images are written"),
    Stage("after-reset-chroot", "reset", "when the image is written", "the new image"),
    Stage("after-reset", "reset", "when the persistent data is erased"),
    Stage("kairos-uki-install.pre", "install (trusted boot)", "before anything is looked at"),
    Stage("kairos-uki-install.after", "install (trusted boot)", "at the end"),
    Stage("kairos-uki-upgrade.pre", "upgrade (trusted boot)", "before anything is looked at"),
    Stage("kairos-uki-upgrade.after", "upgrade (trusted boot)", "at the end"),
    Stage("kairos-uki-reset.pre", "reset (trusted boot)", "before anything is looked at"),
    Stage("kairos-uki-reset.after", "reset (trusted boot)", "at the end"),
    Stage("kairos-agent.bootstrap", "the installed providers", "whenever the agent starts"),
)

BOOT_STAGES = ("rootfs", "initramfs", "fs", "boot", "network", "reconcile")
"""The stages of a boot, in their order."""
PREFIXES = ("provider-kairos.bootstrap.",)
"""Beginnings of names that providers make at run time (a role follows)."""


def names() -> list[str]:
    """Every known name, each with its substages."""
    return [stage.name + suffix for stage in STAGES for suffix in SUBSTAGES]


def suggest(name: str) -> str:
    """The known name that *name* was probably meant to be, or nothing for a known or quite different one."""
    if name in _KNOWN or name.startswith(PREFIXES):
        return ""
    from kairos_boot.nearest import nearest

    base, dot, part = name.rpartition(".")
    if dot + part in SUBSTAGES:  # x.before is no misspelt fs.before
        meant = suggest(base)
        return meant and meant + dot + part
    close = nearest(name, _KNOWN) if len(name) > 2 else []
    return close[0] if close else ""


_KNOWN = frozenset(names())
