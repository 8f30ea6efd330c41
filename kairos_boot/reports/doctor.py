"""doctor: an image or a node against what it needs. Nothing of what is looked at is executed, and nothing is changed."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.reports import doctor_configuration, doctor_image, doctor_node, doctor_units
from kairos_boot.reports.text import Style, count

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from kairos_boot.reports.examined import Examined, Fault

    Check = Callable[[Examined], Iterator[Fault]]


@record
class Finding:
    """What the check called *check* found: *severity* is error (something does not work) or warning; *where* is a path, or a place in a document."""

    check: str
    severity: str
    where: str
    message: str
    hint: str


CHECKS: tuple[tuple[str, Check], ...] = (
    ("kernel", doctor_image.kernel), ("initrd", doctor_image.initrd), ("release", doctor_image.release), ("program", doctor_image.program),
    ("mount points", doctor_image.mount_points), ("identity", doctor_image.identity), ("modes", doctor_image.modes), ("boot menu", doctor_image.boot_menu),
    ("time", doctor_image.time_keeping),
    ("units", doctor_units.ours), ("masked units", doctor_units.masked), ("unit programs", doctor_units.programs),
    ("configuration", doctor_configuration.documents), ("shell", doctor_configuration.shell), ("programs", doctor_configuration.programs),
    ("file modes", doctor_configuration.modes), ("one path twice", doctor_configuration.written_twice), ("persistent paths", doctor_configuration.state_paths),
    ("room", doctor_node.room), ("clock", doctor_node.clock),
)
"""By name, in the order in which they are told."""


def examine(examined: Examined) -> list[Finding]:
    """What all checks find. One that cannot be made is a finding itself."""
    found = []
    for name, check in CHECKS:
        try:
            found += [Finding(name, *fault) for fault in check(examined)]
        except (OSError, KairosError) as error:
            found.append(Finding(name, "error", "", f"this could not be looked at: {error}", "run it again as root"))
    return list(dict.fromkeys(found))


def as_lines(found: Iterable[Finding], *, colour: bool = False) -> list[str]:
    """For people: errors first, the remedy below each."""
    style = Style(on=colour)
    lines, numbers = [], {"error": 0, "warning": 0}
    for each in sorted(found, key=lambda f: f.severity != "error"):
        numbers[each.severity] += 1
        place = f"{each.where}: " if each.where else ""
        lines.append(f"{style(each.severity, '1;31' if each.severity == 'error' else '1;33')} ({each.check}): {place}{each.message}")
        lines += [f"    {each.hint}"] if each.hint else []
    total = f"{count(numbers['error'], 'error')}, {count(numbers['warning'], 'warning')}" if lines else f"nothing found: {count(len(CHECKS), 'check')}"
    return [*lines, total]
