"""metrics: a boot in numbers, in the text form that Prometheus and node-exporter's textfile collector read."""

from __future__ import annotations

from kairos_boot.cloudconfig.catalog import BOOT_STAGES
from kairos_boot.reports.history import failures_of, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kairos_boot.reports.history import Boot, StageRun

FAMILIES = {
    "info": "Which system runs: its mode (active, passive, recovery …) and the program's version; always 1.",
    "start_time_seconds": "When the kernel started, in seconds since the epoch.",
    "running": "1 while a stage runs.",
    "degraded": "1 if something of this boot failed, was cut off, or another entry did not boot.",
    "failures": "What failed and still stands; known: the last good boot had it, too.",
    "warnings": "Warnings of this boot.",
    "entry_not_booted": "1 for each entry of the boot menu that was tried before this boot and failed.",
    "stage_begin_seconds": "When the stage began, in seconds since the kernel started.",
    "stage_duration_seconds": "How long the stage took, its substages included.",
    "stage_steps": "Steps of the stage by their result.",
    "stage_failures": "What failed in the stage.",
    "stage_end_time_seconds": "When the stage ended last, in seconds since the epoch.",
    "boot_duration_seconds": "When the last stage of the boot ended, in seconds since the kernel started; not there before.",
    "drift_differences": "Differences between what this boot declared and the node, as stage reconcile found them last.",
    "drift_things": "Things that were compared then.",
    "drift_time_seconds": "When that was, in seconds since the epoch.",
    "ledger_damaged_lines": "Lines of the boot's record that could not be read.",
}
"""Each metric without its prefix, and what it is; all are gauges."""
PREFIX = "kairos_boot_"


def text(boot: Boot, version: str) -> str:
    """The metrics of *boot*, each family with its help."""
    found: dict[str, list[str]] = {name: [] for name in FAMILIES}
    for name, labels, value in _samples(boot, version):
        shown = ",".join(f'{key}="{_label(each)}"' for key, each in labels.items())
        found[name].append(f"{PREFIX}{name}{f'{{{shown}}}' if shown else ''} {value:.15g}\n")
    return "".join(f"# HELP {PREFIX}{name} {FAMILIES[name]}\n# TYPE {PREFIX}{name} gauge\n{''.join(lines)}" for name, lines in found.items() if lines)


def _samples(boot: Boot, version: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    yield "info", {"version": version, "mode": str(boot.facts.get("mode", "")), "boot_id": boot.boot_id}, 1
    yield "start_time_seconds", {}, boot.started
    yield "running", {}, boot.result == "running" or any(run.result == "running" for run in boot.runs)
    yield "degraded", {}, boot.result == "degraded"
    failed = boot.failed()
    for known in (False, True):
        yield "failures", {"known": str(known).lower()}, sum(failure.known is known for failure in failed)
    yield "warnings", {}, len(boot.warned())
    for record in boot.not_booted:
        yield "entry_not_booted", {"entry": str(record.get("entry", ""))}, 1
    for stage in BOOT_STAGES:
        runs = [run for run in boot.runs if run.latest and run.main == stage and not run.by_hand]
        if runs:
            yield from _of_stage(stage, runs)
    if boot.over():
        yield "boot_duration_seconds", {}, max(run.begin + run.duration for run in boot.runs if run.stage == "network.after" and not run.by_hand)
    if boot.drift is not None:
        yield "drift_differences", {}, number(boot.drift, "differences")
        yield "drift_things", {}, number(boot.drift, "things")
        yield "drift_time_seconds", {}, number(boot.drift, "time")
    yield "ledger_damaged_lines", {}, boot.damaged


def _of_stage(stage: str, runs: list[StageRun]) -> Iterator[tuple[str, Mapping[str, str], float]]:
    about = {"stage": stage}
    yield "stage_begin_seconds", about, runs[0].begin
    yield "stage_duration_seconds", about, sum(run.duration for run in runs)
    for result, names in (("done", ("done", "unchanged")), ("skipped", ("skipped",)), ("failed", ("failed",))):
        yield "stage_steps", {**about, "result": result}, sum(run.count(*names) for run in runs)
    yield "stage_failures", about, len(failures_of(runs))
    yield "stage_end_time_seconds", about, max(run.time + run.duration for run in runs)


def _label(text: str) -> str:
    """A label's value; foreign text (an id of a damaged record) must not end it."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode("utf-8", "replace").decode()
