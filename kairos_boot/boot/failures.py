"""What a boot that failed leaves to the next one: its reason and the entry to boot, on COS_OEM, else on COS_STATE (D13)."""

from __future__ import annotations

import os

from kairos_boot.boot.disk import find_label, find_state
from kairos_boot.boot.state import LIVE
from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.records import record
from kairos_boot.stages.ledger import encode, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.boot.image import BootDisk
    from kairos_boot.boot.report import Report
    from kairos_boot.boot.state import BootState
    from kairos_boot.system.udev import Partition

    class Environment(Protocol):
        """The boot loader's variables, in a file."""

        def load(self, path: str) -> dict[str, str]:
            """See node.grubenv.load."""

        def save(self, path: str, changes: Mapping[str, str | None]) -> None:
            """See node.grubenv.save."""

ENTRIES = {"active": "cos", "passive": "fallback", "recovery": "recovery", "autoreset": "statereset"}
"""The entry of the boot menu that each mode is booted by."""
SYSTEMS = {"cos": "the active system", "fallback": "the passive system", "recovery": "the recovery system", "statereset": "the reset"}
FOLLOWING = {"cos": ("fallback", "recovery"), "fallback": ("recovery",)}
"""What is tried after an entry that failed. Nothing follows recovery."""
IMAGES = {"cos": "active.img", "fallback": "passive.img"}
FILE, LIST = ".kairos/failed-boots", "failed_entries"
"""The reasons, in a directory of the partition; and the boot loader's variable with the entries that it must not try by itself."""
LOG = ".kairos/failed-boot-{}.log"
"""What the initrd did in the boot of an entry that failed; it stays until that entry fails again."""
LEDGER = ".kairos/failed-boot-{}.jsonl"
"""The ledger of that boot."""
LONGEST = 64 * 1024
"""Bytes kept of it, from its end."""
MOST = 4
"""Reasons kept; more would mean that nobody could take them over for long."""


@record
class Medium:
    """A partition that a reason can be kept on; `partition` is None where its file system is mounted at `directory` anyway."""

    name: str
    directory: str
    partition: Partition | None = None


class Opened:
    """The directory of a medium that can be written, for the time of a `with`."""

    def __init__(self, medium: Medium) -> None:
        self._place = medium
        self._mounted = self._remounted = ""

    def __enter__(self) -> str:
        """KairosError: it cannot be mounted."""
        from kairos_boot.system import mounts

        part = self._place.partition
        present = [m for m in mounts.mounted() if m.root == "/" and (m.source == part.node if part else m.target == self._place.directory)]
        directory = present[-1].target if present else self._place.directory
        with Explained(f"{self._place.name} cannot be written", part.node if part else directory):
            if not present and part:
                os.makedirs(directory, mode=0o700, exist_ok=True)
                mounts.mount(part.node, directory, part.fstype or "ext4", ("rw",))
                self._mounted = directory
            elif present and "ro" in present[-1].super_options:
                mounts.mount("", directory, options=("remount", "rw"))
                self._remounted = directory
        return directory

    def __exit__(self, *_: object) -> None:
        from kairos_boot.system import mounts

        try:
            if self._mounted:
                mounts.unmount(self._mounted)
            elif self._remounted:
                mounts.mount("", self._remounted, options=("remount", "ro"))
        except OSError:
            return  # something else uses it by now; it is synchronised already


def media(cmdline: Cmdline, state: BootState, disk: BootDisk, partitions: Sequence[Partition]) -> list[Medium]:
    """COS_OEM and COS_STATE of the boot disk, those that there are. Of a disk that was not found the only partitions of these labels.

    None where the root is a live medium: what is on the machine's disks is another system's; nor where a signed system did not find its own.
    """
    if state.mode == LIVE or (state.one_file and not disk.disk):
        return []
    name = disk.disk
    if not name:
        part = _try(lambda: find_state(partitions, cmdline.state_partuuid, state.partition_label))
        name = part.disk if part else ""
    found = []
    for label in (cmdline.oem_label, "COS_STATE"):
        part = _try(lambda label=label: find_label(partitions, name, label) if name else find_state(partitions, "", label))  # type: ignore[misc]
        if part:
            found.append(Medium(label, f"/run/kairos-boot/{label}", part))
    return found


def _try(find: Callable[[], Partition | None]) -> Partition | None:
    try:
        return find()
    except KairosError:
        return None


def keep(directory: str, failure: Mapping[str, Any], log: bytes = b"", ledger: bytes = b"") -> None:
    """Add *failure* to the reasons in *directory*, an older one of the same entry goes; the *log* and the *ledger* of its boot lie beside them.

    KairosError: they cannot be written.
    """
    older = [entry for entry in kept(directory) if entry.get("entry") != failure.get("entry")]
    text = "".join(f"{encode(entry)}\n" for entry in [*older[-MOST + 1:], failure])
    _write(f"{directory}/{FILE}", text.encode("utf-8", "backslashreplace"))
    if log and failure.get("entry") in SYSTEMS:
        _write(f"{directory}/{LOG.format(failure['entry'])}", log[-LONGEST:])
    if failure.get("entry") in SYSTEMS:  # an older boot's, if this one has none, would be taken for its own
        _write(f"{directory}/{LEDGER.format(failure['entry'])}", ledger[-LONGEST:].partition(b"\n")[2] if len(ledger) > LONGEST else ledger)


def _write(path: str, content: bytes) -> None:
    from kairos_boot.system.atomic import replace_file
    from kairos_boot.system.chase import chase

    with Explained("the reason cannot be kept", path), chase("/", path) as place:
        place.make_parents(0o700, 0, 0)
        replace_file(place, content, 0o600, 0, 0)


def kept(directory: str) -> list[dict[str, Any]]:
    """The reasons in *directory*, the oldest first."""
    try:
        with open(f"{directory}/{FILE}", "rb") as file:
            return read(file.read(1 << 20))[0]
    except OSError:
        return []


def take_over(media: Sequence[Medium], environment: Environment, report: Report, root: str = "") -> list[str]:
    """Make what earlier boots left on *media* part of this boot's record, and take it away; the entries that it is about.

    *root* is where the node's root is mounted now. A medium that is not mounted is there because nothing else is.
    """
    told = []
    for medium in media:
        if not medium.partition and not left_behind(medium.directory, environment):
            continue
        try:
            with Opened(medium) as directory:
                for failure in kept(directory):
                    log = LOG.format(failure.get("entry"))
                    place = f"{log} on {medium.name}" if medium.partition else f"{directory}/{log}".removeprefix(root)
                    report.did_not_boot({**failure, "log": place if os.path.exists(f"{directory}/{log}") else ""}, _ledger(directory, failure))
                    told.append(str(failure.get("entry")))
                forget(directory, environment)
        except KairosError as error:
            report.warn(str(error))
    return told


def _ledger(directory: str, failure: Mapping[str, Any]) -> bytes:
    """The ledger of the boot that *failure* tells of; nothing where there is none.

    It stays there, like the log, until that entry fails again: what was taken over is in memory, until a stage of the running system keeps it.
    """
    path = f"{directory}/{LEDGER.format(failure.get('entry'))}"
    try:
        if failure.get("entry") not in SYSTEMS or not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            return file.read(LONGEST)
    except OSError:
        return b""


def forget(directory: str, environment: Environment) -> None:
    """Take the reasons and the list away: a system came up. KairosError: they stay, and a boot loader would go on leaving entries out."""
    path, block = f"{directory}/{FILE}", f"{directory}/grubenv"
    if os.path.exists(block) and environment.load(block).get(LIST):
        environment.save(block, {LIST: ""})
    with Explained("the reasons of earlier boots cannot be removed", path):
        if os.path.exists(path):
            os.unlink(path)


def left_behind(directory: str, environment: Environment) -> bool:
    """Whether an earlier boot left anything in *directory*; a block that cannot be read says nothing."""
    block = f"{directory}/grubenv"
    try:
        return os.path.exists(f"{directory}/{FILE}") or (os.path.exists(block) and bool(environment.load(block).get(LIST)))
    except KairosError:
        return False


def refused(entry: str, images: str) -> dict[str, str]:
    """The reason for an *entry* that the boot loader could not load, as far as it can be seen in the directory *images*."""
    path = f"{images}/{IMAGES[entry]}" if entry in IMAGES and os.path.isdir(images) else ""
    why = ""
    if path:
        from kairos_boot.system import ext4

        try:
            ext4.check(path)
        except FileNotFoundError:
            why = "the image is missing"
        except KairosError as error:
            why = f"the image is damaged: {error.message}"
        except OSError as error:
            why = f"the image cannot be read: {reason(error)}"
    what = f"the boot loader could not load {SYSTEMS.get(entry, 'it')}"
    return {"entry": entry, "where": path, "message": f"{what}: {why}" if why else what, "hint": "upgrade the node, or reset it"}


def worn(entry: str) -> dict[str, str]:
    """The reason for an *entry* that the boot loader starts no more by itself, since none of its last starts was found good (G4)."""
    what = SYSTEMS.get(entry, "it")
    return {"entry": entry, "where": "", "message": f"{what} was started twice and not found good either time: a start ended before its judgement (a panic, a hang, "
            "a restart by force), or the judgement was bad", "hint": f"how far it came, where it kept a record: kairos-boot status --boot -1; one more try: kairos-boot bootentry --select {entry}"}
