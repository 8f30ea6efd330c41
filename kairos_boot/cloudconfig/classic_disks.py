"""The classic keys `disk_setup`, `fs_setup` and `growpart` of #cloud-config documents (B8).

Meaningful here is the plain case: one partition over a whole blank disk, with a file system. A disk that holds anything is
left alone, since these steps run at every boot; what asks for more is a named warning.
"""

from __future__ import annotations

from kairos_boot.cloudconfig.classic import Draft, quote
from kairos_boot.cloudconfig.nodes import MAPPING, SCALAR, SEQUENCE
from kairos_boot.cloudconfig.scalars import FALSE, NO, TRUE, YES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kairos_boot.cloudconfig.classic import ClassicReader
    from kairos_boot.cloudconfig.nodes import YamlNode

DISK_KEYS = ("table_type", "layout", "overwrite")
FILE_SYSTEM_KEYS = ("device", "filesystem", "label", "partition", "overwrite", "replace_fs", "extra_opts", "cmd")
LAYOUT_HINT = "use the step key `layout`"


class Disks:
    """Collects what is said of disks; `drafts` gives the steps."""

    def __init__(self, values: ClassicReader) -> None:
        self.values = values
        self._growing: list[Draft] = []
        self._disks: list[tuple[str, YamlNode]] = []
        self._file_systems: list[tuple[str, str, str, YamlNode]] = []

    def growpart(self, node: YamlNode) -> None:
        """Each device gets a step that grows its last partition; `mode: off` is none."""
        mode, devices = "", []
        for key, item in self.values.pairs(node, "growpart"):
            if key.value == "mode":
                mode = self.values.text(item, "growpart.mode")
            elif key.value == "devices":
                devices = [(self.values.text(d, f"growpart.devices[{n}]"), d) for n, d in enumerate(self.values.items(item, "growpart.devices"))]
            elif key.value != "ignore_growroot_disabled":
                self.values.unknown(key, f"growpart.{key.value}", ("mode", "devices", "ignore_growroot_disabled"))
        for device, item in () if mode in FALSE | NO else devices:
            self._growing.append(_draft(item, {"expand_partition": {"size": 0}, "device": {"path": device}}))

    def disk_setup(self, node: YamlNode) -> None:
        """Remember each disk that gets one partition."""
        for name, disk in self.values.pairs(node, "disk_setup"):
            path = f"disk_setup.{name.value}"
            whole = False
            for key, item in self.values.pairs(disk, path):
                where = f"{path}.{key.value}"
                if key.value == "layout":
                    whole = self._whole(item, where)
                elif key.value == "table_type":
                    if self.values.text(item, where) not in ("", "gpt"):
                        self.values.advise(item, where, "the partition table made here is a GPT", "write `table_type: gpt`")
                elif key.value == "overwrite":
                    if self.values.boolean(item, where):
                        self.values.advise(item, where, "a disk that holds anything is left alone here", LAYOUT_HINT)
                else:
                    self.values.unknown(key, where, DISK_KEYS)
            if whole and self._is_device(name, path):
                self._disks.append((name.value, name))

    def _whole(self, node: YamlNode, path: str) -> bool:
        """Whether the layout is one partition over the whole disk."""
        if node.kind is SCALAR and node.value in TRUE | YES:
            return True
        if node.kind is SEQUENCE and len(node.value) == 1 and node.value[0].kind is SCALAR and node.value[0].value == "100":
            return True
        if node.kind is MAPPING:
            self.values.error(node, path, "true, false or a list belongs here, not a map", "write `layout: true`")
        elif node.kind is not SCALAR or node.value not in FALSE | NO:
            self.values.advise(node, path, "only one partition over the whole disk is supported here", LAYOUT_HINT)
        return False

    def _is_device(self, name: YamlNode, path: str) -> bool:
        if name.value.startswith("/dev/") and "{{" not in name.value and not set(name.value) & set(" \n\r\0"):
            return True
        self.values.advise(name, path, f"the disk {name.value[:40]!r} is not the path of a device", "write it like /dev/vdb")
        return False

    def fs_setup(self, node: YamlNode) -> None:
        """Remember the file systems and their labels."""
        for number, item in enumerate(self.values.items(node, "fs_setup")):
            path = f"fs_setup[{number}]"
            given: dict[str, str] = {}
            for key, value in self.values.pairs(item, path):
                if key.value in ("device", "filesystem", "label", "partition"):
                    given[key.value] = self.values.text(value, f"{path}.{key.value}")
                elif key.value in FILE_SYSTEM_KEYS:
                    self.values.advise(key, f"{path}.{key.value}", f"{key.value!r} of a file system is not supported here", LAYOUT_HINT)
                else:
                    self.values.unknown(key, f"{path}.{key.value}", FILE_SYSTEM_KEYS)
            device = given.get("device", "") if given.get("partition", "auto") in ("auto", "any", "1") else ""
            self._file_systems.append((device, given.get("filesystem") or "ext4", given.get("label", ""), item))

    def drafts(self) -> list[Draft]:
        """A step for each blank disk to partition, then one for each device to grow."""
        made = []
        used = set()
        for disk, node in self._disks:
            found = next((fs for fs in self._file_systems if fs[0] in (disk, f"{disk}1", f"{disk}p1")), None)
            used.add(id(found))
            partition: dict[str, Any] = {"size": 0, "filesystem": found[1] if found else "none"}
            if found and found[2]:
                partition.update(fsLabel=found[2], pLabel=found[2])
            draft = _draft(node, {"device": {"path": disk, "init_disk": True}, "add_partitions": (partition,)})
            draft.put("if_", f"test -b {quote(disk)} && {{ blkid -p {quote(disk)} >/dev/null 2>&1; test $? -eq 2; }}")
            made.append(draft)
        for each in self._file_systems:
            if id(each) not in used:
                self.values.advise(each[3], "fs_setup", "only the file system of a disk of `disk_setup` is made here", LAYOUT_HINT)
        return made + self._growing


def _draft(node: YamlNode, layout: dict[str, Any]) -> Draft:
    draft = Draft(node)
    draft.put("layout", layout)
    for path in ("layout", "layout/device", "layout/device/path"):
        draft.mark(path, node)
    return draft
