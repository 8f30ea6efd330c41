"""The parts of a boot in time: what each start of the program did, and what systemd knows of it."""

from __future__ import annotations

from kairos_boot.cloudconfig.catalog import BOOT_STAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.reports.history import Boot, StageRun

SHORT = 0.01
"""Steps of less than so many seconds are summed up in chains and charts."""
INITRD = ("rootfs", "initramfs")
MANAGER = ("InitRDTimestampMonotonic", "UserspaceTimestampMonotonic", "FinishTimestampMonotonic")
"""Properties of systemd itself that tell when its phases began, and when the boot was done."""
UNIT = ("Id", "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
UNITS = ("cos-setup-fs.service", "cos-setup-boot.service", "cos-setup-network.service")
TARGETS = ("local-fs.target", "sysinit.target", "basic.target", "network.target", "network-online.target")
"""What a stage's unit may have waited for."""


class Marks:
    """What systemd says of this boot, in seconds since the kernel started; 0 is unknown."""

    def __init__(self, manager: str = "", units: str = "") -> None:
        """*manager* and *units* are what `systemctl show` prints of MANAGER, and of UNIT for UNITS and TARGETS."""
        said = _properties(manager)
        self.initrd, self.userspace, self.finished = (_seconds(said, name) for name in MANAGER)
        blocks = [_properties(block) for block in units.split("\n\n")]
        self.units = {block["Id"]: (_seconds(block, UNIT[1]), _seconds(block, UNIT[2])) for block in blocks if block.get("Id")}

    def target(self, after: float, before: float) -> tuple[str, float] | None:
        """The last of TARGETS that was reached between two moments, and when."""
        found = [(moment, name) for name in TARGETS if after <= (moment := self.units.get(name, (0.0, 0.0))[1]) <= before and moment]
        return (max(found)[1], max(found)[0]) if found else None


def _properties(text: str) -> dict[str, str]:
    return {key: value for key, equals, value in (line.partition("=") for line in text.splitlines()) if equals}


def _seconds(said: dict[str, str], name: str) -> float:
    text = said.get(name, "")
    return int(text) / 1e6 if text.isdecimal() and len(text) < 17 else 0.0


class Span:
    """One start of the program in a boot: its stages, from the beginning of the process on."""

    def __init__(self, runs: Sequence[StageRun], marks: Marks) -> None:
        self.runs = list(runs)
        first = self.runs[0]
        self.unit = first.unit or ("kairos-boot-initrd.service" if first.main in INITRD else f"cos-setup-{first.main}.service")
        self.process = min(first.process, first.begin)
        """When the process began."""
        self.work = first.begin
        """When its first stage began."""
        self.begin, self.end = self.process, max(run.begin + run.duration for run in self.runs)
        begin, end = marks.units.get(self.unit, (0.0, 0.0))
        if 0 < begin <= self.work and end >= self.end:  # systemd's own marks are of this run
            self.begin, self.end = begin, end

    @property
    def starting(self) -> float:
        """Seconds from the beginning to the first stage."""
        return self.work - self.begin


def first_runs(boot: Boot) -> list[StageRun]:
    """The first run of each stage that nobody started by hand: later ones say nothing of the boot's time."""
    first: dict[str, StageRun] = {}
    for run in boot.runs:
        if not run.by_hand:
            first.setdefault(run.stage, run)
    return list(first.values())


def spans(boot: Boot, marks: Marks) -> list[Span]:
    """The starts of the boot itself that had something to do, in time."""
    groups: dict[object, list[StageRun]] = {}
    for run in first_runs(boot):
        if run.main in BOOT_STAGES and run.main != "reconcile":
            groups.setdefault(run.process if run.process < run.begin else run.main, []).append(run)
    found = [Span(sorted(runs, key=lambda run: run.begin), marks) for runs in groups.values()]
    return sorted((span for span in found if any(run.steps for run in span.runs) or span.end - span.begin >= SHORT), key=lambda span: span.begin)
