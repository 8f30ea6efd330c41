"""Environment files: what sh, systemd and the layout read back (docs/reference/environment.md).

Written are `KEY="value"` and whole numbers bare. What is there already is kept to the byte, comments, order and quotes too.
"""

from __future__ import annotations

from kairos_boot.actions.edit import EditFile
from kairos_boot.records import NOTHING, record
from kairos_boot.system.keyvalue import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ESCAPED = str.maketrans({c: f"\\{c}" for c in '\\"$`'})


@record
class SetVariables(EditFile):
    """These variables have these values; the rest of the file stays."""

    values: Mapping[str, str] = NOTHING

    def describe(self) -> str:
        """Path and names; values may be secret (C5)."""
        return f"set {', '.join(sorted(self.values))} in {self.path}"

    def edit(self, old: bytes | None) -> bytes:
        """The file with the last assignment of each name replaced where it differs; a new name goes where sorting puts it."""
        text = (old or b"").decode("utf-8", "surrogateescape")
        if text and not text.endswith("\n"):
            text += "\n"
        parts, changed = list(lines(text)), old is None
        for name in sorted(self.values):
            value = self.values[name]
            line = f"{name}={quote(value)}\n"
            mine = [number for number, part in enumerate(parts) if part[0] == name]
            if mine:
                _, now, source, fault = parts[mine[-1]]
                if now != value or fault:
                    changed = True
                    export = "export " if source.lstrip().startswith("export ") else ""
                    parts[mine[-1]] = (name, value, export + line, "")
            else:
                changed = True
                before = [number for number, part in enumerate(parts) if part[0] and part[0] < name]
                first = next((number for number, part in enumerate(parts) if part[0]), len(parts))
                parts.insert(before[-1] + 1 if before else first, (name, value, line, ""))
        return "".join(part[2] for part in parts).encode("utf-8", "surrogateescape") if changed or old is None else old


def quote(value: str) -> str:
    """The form from which a shell reads *value* back."""
    number = value.removeprefix("-")
    if number.isascii() and number.isdigit() and str(int(number)) == number and value != "-0":
        return value
    return f'"{value.translate(ESCAPED)}"'


def is_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()
