"""Keys of one section of an INI file, as systemd and dnf read them."""

from __future__ import annotations

from kairos_boot.actions.edit import EditFile
from kairos_boot.records import NOTHING, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@record
class SetKeys(EditFile):
    """These keys of *section* have these values; other keys, sections and comments stay where they are."""

    section: str = ""
    values: Mapping[str, str] = NOTHING

    def describe(self) -> str:
        return f"set {', '.join(f'{key} to {value!r}' for key, value in self.values.items())} in {self.path}"

    def edit(self, old: bytes | None) -> bytes:
        """The file with the first line of each key replaced and its repetitions dropped; missing keys end the section."""
        lines = old.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n") if old else []
        todo = dict(self.values)
        new: list[str] = []
        end, here = -1, False  # where the section's last line of any content ends; whether this line belongs to it
        for line in lines:
            text = line.strip()
            if text.startswith("["):
                here = text == f"[{self.section}]"
            elif here and text[:1] not in ("", "#", ";"):
                key = text.partition("=")[0].strip()
                if key in self.values:
                    if key not in todo:
                        continue
                    value = todo.pop(key)
                    same = text.partition("=")[2].strip() == value
                    line = line if same else _line(key, value)  # noqa: PLW2901
            new.append(line)
            if here and text:
                end = len(new)
        added = [_line(key, value) for key, value in todo.items()]
        if end < 0 and added:
            new += ([""] if new else []) + [f"[{self.section}]", *added]
        elif added:
            new[end:end] = added
        return "".join(f"{line}\n" for line in new).encode("utf-8", "surrogateescape")


def _line(key: str, value: str) -> str:
    return f"{key} = {value}".rstrip()
