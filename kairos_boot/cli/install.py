"""kairos-boot install [--plan [--json]] [--source SOURCE] [--reboot|--poweroff] [[--device] DEVICE]
       kairos-boot install --disk-image FILE --source SOURCE [--config DOCUMENT] [--set KEY=VALUE…] [--size SIZE] [--firmware bios|efi|both] [--seed TEXT] [--plan]

Makes a node of an empty disk: everything on it is lost. DEVICE is a path, auto (the largest disk that nothing uses) or script://PATH;
without it, install.device of the configuration counts where install.auto allows it.

      --source SOURCE    what the system is made of: dir:/PATH, file:/PATH, oci:IMAGE, …; default: the live medium's own root
      --plan             say what would be done, and do nothing
      --json             the plan for programs
      --reboot           reboot when it is done          --poweroff   power off
      --disk-image FILE  make the disk as a file, on a machine that builds images
      --config DOCUMENT  (with --disk-image) the configuration of the new node: a path or an address; without it
                         nobody checks that somebody can log in, since that is the system's own matter
      --set KEY=VALUE    (with --disk-image) a setting of the installation that the new node does not get: install.partitions.state.size=4096
      --size SIZE        (with --disk-image) how large the disk is: 8G, 8192M; +1G: so much larger than it has to be, which is the default
      --firmware NAME    (with --disk-image) what starts it: bios, efi or both (default)
      --seed TEXT        (with --disk-image) identifiers of disk, partitions and file systems follow from this text; else they are random
      --allow-insecure-registries  talk to a registry without TLS

Exit code: 0 done, 1 done but a hook failed, 2 wrong usage, 3 refused: nothing was changed, 4 it failed half-way: the disk is no node.
"""

from __future__ import annotations

import os

from kairos_boot.cli import installer, wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.installing import Asked, Installation
from kairos_boot.nearest import did_you_mean
from kairos_boot.node.config import DIRECTORIES, WORDS
from kairos_boot.node.sections import understood
from kairos_boot.records import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.cli.arguments import Arguments

OFFLINE = ("config", "set", "size", "firmware", "seed")
FLAGS = {**installer.FLAGS, "disk-image": True, "config": True, "set": True, "size": True, "firmware": True, "seed": True, "device": True}


def run(words: list[str]) -> int:
    """Install on a disk, or into a file."""
    given = parse(words, FLAGS)
    if "disk-image" in given:
        return _image(given)
    for name in OFFLINE:
        if name in given:
            raise UsageError(f"--{name} goes with --disk-image")
    if len(given.words) > 1:
        raise UsageError(f"one device: {given.words[1]}")
    device = given.words[0] if given.words else given.value("device")
    wired, config = installer.on_this_machine("", DIRECTORIES, looks="plan" in given)
    settings = understood(config.settings, "install").get("install")
    if not device and not (isinstance(settings, dict) and settings.get("auto") is True):
        installer.judge(wired, config)  # it may tell why
        raise KairosError("no device is named, and the configuration does not allow an installation by itself", "install.auto",
                          "name the disk, whose content is lost: kairos-boot install /dev/…; or set install.auto: true")
    return installer.run(given, wired, config, Asked(device, given.value("source"), insecure="allow-insecure-registries" in given, then=given.follows()))


def _image(given: Arguments) -> int:
    """Make a disk image."""
    from kairos_boot.lifecycle.diskimage import size_of
    from kairos_boot.lifecycle.layout import FIRMWARES

    if given.words or "device" in given:
        raise UsageError("--disk-image is the target: no device")
    if "source" not in given:
        raise UsageError("--disk-image needs --source")
    firmware = {"uefi": "efi"}.get(given.value("firmware", "both"), given.value("firmware", "both"))
    if firmware not in FIRMWARES:
        raise UsageError(f"--firmware is bios, efi or both: {firmware}")
    try:
        size_of(given.value("size", "+0"), lambda: 0)
    except KairosError as error:
        raise UsageError(str(error)) from error
    wiring.need_root("/", looks="plan" in given)
    path = os.path.abspath(given.value("disk-image"))
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"--disk-image is a file: {path}")
    for word in given.values("set"):
        _must_be_a_setting(word)
    return _build(given, installer.Builder(" ".join(given.values("set"))), path, firmware)


def _must_be_a_setting(word: str) -> None:
    """UsageError: *word* would set nothing."""
    from kairos_boot.cloudconfig.dotnotation import words

    key, equals, _ = word.partition("=")
    if not equals:
        raise UsageError(f"--set is KEY=VALUE: {word}")
    if len(words(word)) != 1:
        raise UsageError(f"--set takes a value with blanks in quotes of its own: {key}='…'")
    name = key.partition(".")[0].partition("[")[0]
    if name not in (*WORDS, "kairos", "cos"):
        raise UsageError(f"--set knows no {name!r}: {did_you_mean(name, sorted(WORDS)) or 'write a setting such as install.partitions.state.size=4096'}")


def _build(given: Arguments, wired: installer.Builder, path: str, firmware: str) -> int:
    """Fetch the source where that has to be done, and install on a file."""
    from contextlib import contextmanager

    from kairos_boot.lifecycle import diskimage
    from kairos_boot.lifecycle.layout import wishes
    from kairos_boot.system.mounts import leave_namespace

    document = given.value("config")
    if document:
        config = wired.collector().given(document if "://" in document else os.path.abspath(document), wired.cmdline)
    else:
        config = wired.collector().collect(wired.cmdline, ())
    installer.judge(wired, config)
    asked = Asked("", given.value("source"), image=True, name=path, firmware=firmware, seed=given.value("seed"), users=bool(document),
                  insecure="allow-insecure-registries" in given)
    this = Installation(wired, config, asked)
    this.check()
    if "plan" not in given:  # how large the file is depends on it
        asked = replace(asked, brought=this.bring(this.source()))
        this = Installation(wired, config, asked)
    source = this.source()
    if source.arrived:
        diskimage.must_be_elsewhere(path, source.path)
    size = diskimage.size_of(given.value("size", "+0"), lambda: diskimage.least(this.images(source), wishes(this.settings, firmware, asked.seed)))
    leave_namespace()
    with contextmanager(diskimage.made)(path, size, keep="plan" not in given) as node:
        return installer.run(given, wired, config, replace(asked, device=node))
