"""The settings that this program reads: which keys its sections have and what belongs there (docs/reference/document.md).

Nothing here is asked in a stage: `validate`, `config` and the actions say what nobody would read, before anybody relies on it. Sections of
other programs are theirs to judge.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.model import Problem
from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE
from kairos_boot.cloudconfig.roots import SECTIONS, needs_header
from kairos_boot.cloudconfig.scalars import FALSE, NO, TRUE
from kairos_boot.cloudconfig.scalars import YES as AFFIRMED
from kairos_boot.errors import KairosError
from kairos_boot.nearest import did_you_mean
from kairos_boot.node.settings import INT, NULL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from kairos_boot.node.settings import Setting

YES, WORD, SIZE, WORDS, ANY, FREE = "true or false", "text", "a whole number of MiB", "a list", "anything", "a map"
"""What belongs at a key; a dict says which keys a map has, a list of one dict that there is a list of such maps."""
IMAGE = {"size": SIZE, "source": WORD, "uri": WORD, "label": WORD, "fs": WORD}
PARTITION = {"size": SIZE, "name": WORD, "label": WORD, "fs": WORD, "flags": WORDS}
BUNDLE = {"targets": WORDS, "rootfs_path": WORD, "local_file": YES, "repository": WORD, "db_path": WORD}
OPTIONS = {"grub-entry-name": WORD, "extra-dirs-rootfs": WORDS, "reboot": YES, "poweroff": YES, "strict": YES, "tty": WORD, "system": IMAGE,
           "recovery-system": IMAGE, "passive": IMAGE, "allow-insecure-registries": YES, "grub_options": FREE, "env": WORDS, "cloud-init": WORDS}
KEYS: dict[str, Any] = {
    "install": {
        **OPTIONS, "auto": YES, "device": WORD, "source": WORD, "partitions": dict.fromkeys(("bios", "efi", "oem", "recovery", "state", "persistent"), PARTITION),
        "extra-partitions": [PARTITION], "no-format": YES, "no_format": YES, "force": YES, "bind_mounts": WORDS, "ephemeral_mounts": WORDS,
        "encrypted_partitions": WORDS, "skip_copy_kcrypt_plugin": YES, "iso": WORD, "firmware": WORD, "part-table": WORD, "nousers": YES,
        "ssh_hardening": YES, "image": WORD, "bundles": [BUNDLE], "eject-cd": YES, "target": ANY,
    },
    "reset": {**OPTIONS, "reset-persistent": YES, "reset-oem": YES, "target": ANY, "efi": ANY, "grubconf": ANY, "partitions": ANY},
    "upgrade": {**OPTIONS, "source": WORD, "entry": WORD, "recovery": YES, "excluded-paths": WORDS, "target": ANY, "partitions": ANY},
    "bundles": [BUNDLE], "fail_on_bundles_errors": YES, "config_url": WORD, "grub_options": FREE, "strict": YES, "debug": YES, "eject-cd": YES, "cosign": YES, "verify": YES, "cosign-key": WORD,
}
"""Settings of ours at the root of a document."""
REFUSED = {"iso": "an ISO file is no source in this version"}
"""Keys of `install` that Kairos has and an installation here refuses, and why."""
ENCRYPTED = {"COS_OEM": "oem", "COS_PERSISTENT": "persistent", "oem": "oem", "persistent": "persistent"}
"""Words of `install.encrypted_partitions`, and the partitions that they mean. The boot loader reads the others."""
ACTIONS = ("install", "reset", "upgrade")
MOST = 1 << 32
"""MiB that no disk has."""


def problems(settings: Setting) -> Iterator[Problem]:
    """What is wrong with the settings of ours in *settings*: an unknown key is a warning, a value of another kind an error."""
    for key, wanted in KEYS.items():
        if key in settings.value:
            yield from _of(settings.value[key], wanted, key)


def refused(settings: Setting) -> Iterator[Problem]:
    """What an installation would refuse for its key alone."""
    install = settings.value.get("install")
    if install is not None and install.kind is MAPPING:
        for key, why in REFUSED.items():
            if key in install.value and install.value[key].data:
                yield Problem("error", f"{install.value[key].place}: install.{key}", why, "leave it out")
        yield from unencryptable(install)


def unencryptable(install: Setting) -> Iterator[Problem]:
    """The words of `encrypted_partitions` in the section *install* that name none which can be encrypted."""
    named = install.value.get("encrypted_partitions") if install.kind is MAPPING else None
    for item in named.value if named is not None and named.kind is SEQUENCE else ():
        if item.kind is not SCALAR or item.value not in ENCRYPTED:
            yield Problem("error", f"{item.place}: install.encrypted_partitions", f"not a partition that can be encrypted: {item.data!r}",
                          "there are COS_OEM and COS_PERSISTENT; the boot loader reads the others")


def understood(settings: Setting, action: str) -> dict[str, Any]:
    """What the *action* gets of *settings*: booleans and sizes of ours as they are meant, in quotes and on the kernel command line, too (B11).

    KairosError: one is neither; it would decide over a disk, so nothing is guessed.
    """
    data: dict[str, Any] = settings.data
    for key, wanted in KEYS.items():
        if key in settings.value and (key == action or key not in ACTIONS):
            data[key] = _meant(settings.value[key], wanted, key)
    return data


def _meant(item: Setting, wanted: Any, path: str) -> Any:
    if item.kind is MAPPING and isinstance(wanted, dict):
        return {key: _meant(below, wanted.get(key, ANY), f"{path}.{key}") for key, below in item.value.items()}
    if item.kind is SEQUENCE and isinstance(wanted, list):
        return [_meant(each, wanted[0], f"{path}[{at}]") for at, each in enumerate(item.value)]
    if wanted not in (YES, SIZE) or (item.kind is SCALAR and item.scalar is NULL):
        return item.data
    for fault in _of(item, wanted, path):
        raise KairosError(fault.message, fault.where, fault.hint)
    if wanted == YES:
        return item.value in TRUE or item.value in AFFIRMED
    return item.data if item.scalar is INT else int(item.value)


def unheard(settings: Setting) -> Iterator[Problem]:
    """The settings in a document without the line #cloud-config: nobody reads them."""
    for key, item in settings.value.items():
        if key in SECTIONS and key != "users":  # a stage's own reader tells of them
            yield Problem("error", f"{item.place}: {key}", *needs_header(key))


def _of(item: Setting, wanted: Any, path: str) -> Iterator[Problem]:
    if wanted == ANY or (item.kind is SCALAR and item.scalar is NULL):
        return
    if isinstance(wanted, dict):
        yield from _keys(item, wanted, path)
    elif isinstance(wanted, list) or wanted == WORDS:
        if item.kind is not SEQUENCE:
            yield _misfit(item, WORDS, path, "write it as a list: a line `- …` for each item")
        elif wanted != WORDS:
            for at, each in enumerate(item.value):
                yield from _of(each, wanted[0], f"{path}[{at}]")
    elif wanted == FREE:
        if item.kind is not MAPPING:
            yield _misfit(item, FREE, path, "write it as `key: value` lines below, indented")
    elif item.kind is not SCALAR:
        yield _misfit(item, wanted, path, "")
    elif wanted == YES and not any(item.value in words for words in (TRUE, FALSE, AFFIRMED, NO)):
        yield _misfit(item, wanted, path, "write true or false")
    elif wanted == SIZE and not _is_size(item):
        yield _misfit(item, wanted, path, "write a number, without a unit")


def _is_size(item: Setting) -> bool:
    """Whether it is a number of MiB; in quotes, as a word of the kernel command line is, too."""
    if item.scalar is INT:
        return bool(0 <= item.data < MOST)
    return item.value.isdecimal() and len(item.value) < 20 and int(item.value) < MOST


def _keys(item: Setting, wanted: dict[str, Any], path: str) -> Iterator[Problem]:
    if item.kind is not MAPPING:
        yield _misfit(item, FREE, path, "write it as `key: value` lines below, indented")
        return
    for key, below in item.value.items():
        where = f"{path}.{key}"
        if key in wanted:
            yield from _of(below, wanted[key], where)
        elif not key.startswith("x-"):
            hint = did_you_mean(key, wanted) or f"it has no effect; there are {', '.join(sorted(wanted))}"
            yield Problem("warning", f"{below.place}: {where}", f"unknown key {key!r}", hint)


def _misfit(item: Setting, wanted: str, path: str, hint: str) -> Problem:
    found = f"a {item.kind}" if item.kind is not SCALAR else repr(item.value if len(item.value) <= 24 else item.value[:20] + "…")
    if wanted == SIZE and item.kind is SCALAR:  # in the words of the layout
        return Problem("error", f"{item.where}: {path}", f"not a size: {found}", f"{SIZE}, without a unit, not negative and no more than any disk has ({MOST})")
    return Problem("error", f"{item.where}: {path}", f"{wanted} belongs here, not {found}", hint)
