"""status: what a boot did, the culprits first."""

from __future__ import annotations

import time

from kairos_boot.records import NOTHING
from kairos_boot.reports.drift import in_short
from kairos_boot.reports.history import Failure, failures_of, number
from kairos_boot.reports.text import Style, count, place, seconds, table
from kairos_boot.shown import one_line, plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.reports.history import Boot, StageRun

COLOURS = {"ok": "1;32", "running": "1;33", "degraded": "1;31"}
OUTPUT = 8
"""Lines shown of what a failed command said."""
VENDOR = "/system/oem/"
LEFT_OUT = "kairos.skip="
"""How the reason begins where the operator left a step out: that is shown whosever step it is."""
"""Where the documents lie that come with the image."""
REASON = 120
"""Characters shown of a reason in a list; --json has the whole of it."""


def as_text(boot: Boot, now: float, *, colour: bool = False, steps: bool = False, brief: bool = False, ends: Mapping[str, str] = NOTHING) -> list[str]:
    """The lines for people. *steps*: every step; *brief*: no skipped steps. *now* is the time, in seconds since the epoch.

    *ends*: what systemd says of the end of units whose runs were cut off.
    """
    style = Style(on=colour)
    failed = boot.failed()
    lines = [*_not_booted(boot, style), *_head(boot, failed, now, style), ""]
    for title, of_title in (("FAILED", [f for f in failed if not f.known]), ("FAILED IN THE LAST GOOD BOOT, TOO", [f for f in failed if f.known])):
        if of_title:
            lines += [style(title, "1;31"), *(line for f in of_title for line in _failure(f)), ""]
    broken = boot.interrupted()
    if broken:
        lines += [style("INTERRUPTED", "1;31"), *(_interrupted(run, ends) for run in broken), ""]
    lines += [*_stages(boot), ""]
    lines += _mounts(boot)
    lines += in_short(boot)
    warned = boot.warned()
    if warned:
        lines += ["WARNINGS", *(line for f in warned for line in _failure(f)), ""]
    if steps:
        lines += _steps(boot)
    elif not brief:
        lines += _skipped(boot)
    if boot.damaged:
        lines += [f"{count(boot.damaged, 'damaged line')} of the ledger could not be read: the node lost power, or its memory ran out", ""]
    return lines[:-1] if lines and not lines[-1] else lines


def _interrupted(run: StageRun, ends: Mapping[str, str]) -> str:
    at = "".join(f"; at work since +{seconds(begin)}: {one_line(name)}" for name, begin in list(run.begun.items())[-1:])
    end = ends.get(run.unit, "")
    return f"  {one_line(run.stage)} began {_when(run)} and never ended{at}{f' ({one_line(run.unit)}: {one_line(end)})' if end else ''}"


def _head(boot: Boot, failed: list[Failure], now: float, style: Style) -> list[str]:
    runs = [run for run in boot.runs if run.latest]
    done = sum(run.count("done", "unchanged") for run in runs)
    skipped = sum(run.count("skipped") for run in runs)
    what = f"{count(done, 'step')} done, {skipped} skipped" + (f", {count(len(failed), 'failure')}" if failed else "")
    if failed and boot.compared:
        what += f", {sum(not f.known for f in failed) or 'none'} of them new"
    started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(boot.started)) if boot.started > 0 else "unknown"
    ago = f", {seconds(now - boot.started)} ago" if not boot.ago and 0 <= now - boot.started < 10**8 else ""
    which = "this boot" if not boot.ago else "the boot before" if boot.ago == 1 else f"{boot.ago} boots ago"
    mode = f"{one_line(str(boot.facts['mode']))} system, " if boot.facts.get("mode") else ""
    return [f"{style(boot.result.upper(), COLOURS[boot.result])}: {what}", f"{which}: {mode}started {started}{ago}, id {one_line(boot.boot_id)}"]


def _not_booted(boot: Boot, style: Style) -> list[str]:
    """What comes before everything else: this system runs only since another one did not."""
    lines = []
    for record in boot.not_booted:
        about = {name: str(record.get(name, "")) for name in ("entry", "where", "message", "hint", "log", "boot")}
        booted = number(record, "happened")
        when = time.strftime(" at %Y-%m-%d %H:%M:%S UTC", time.gmtime(booted)) if booted > 0 else ""
        lines += [style(f"THE ENTRY {one_line(about['entry'])} DID NOT BOOT{when}", "1;31"), *_failure(Failure(about["where"], about["message"], about["hint"])),
                  *([f"      its record: kairos-boot status --boot {one_line(about['boot'])[:8]}"] if about["boot"] else []),
                  *([f"      what its initrd did: {one_line(about['log'])}"] if about["log"] else []), ""]
    return lines


def _failure(failure: Failure) -> list[str]:
    place = f"{one_line(failure.where)}: " if failure.where else ""
    first, *rest = plain(failure.message).split("\n")
    lines = [f"  {place}{first}"]
    if len(rest) > OUTPUT:
        lines.append(f"      | … {count(len(rest) - OUTPUT, 'line')} before")
        rest = rest[-OUTPUT:]
    lines += [f"      | {line}" for line in rest]
    about = [f"stage {', '.join(failure.stages)}" if failure.stages else "", f"step {failure.step}" if failure.step else "", failure.module]
    whose = " (the image's defaults)" if failure.file.startswith(VENDOR) else ""
    if any(about):
        lines.append(f"      in {one_line(', '.join(x for x in about if x))}{whose}")
    if failure.hint:
        lines.append(f"      {one_line(failure.hint)}")
    return lines


def _grouped(boot: Boot) -> list[list[StageRun]]:
    """The latest runs of each stage with its substages, in the order in which they began; those of the boot apart from others."""
    groups: dict[tuple[object, ...], list[StageRun]] = {}
    for run in boot.runs:
        if run.latest:
            groups.setdefault((run.main, *run.kind[1:]), []).append(run)
    return list(groups.values())


def _outcome(runs: list[StageRun]) -> str:
    results = [run.result for run in runs]
    return next((r for r in ("running", "interrupted", "degraded") if r in results), "done")


def _stages(boot: Boot) -> list[str]:
    rows = [["STAGE", "RESULT", "DONE", "SKIPPED", "FAILED", "TOOK", "BEGAN", ""]]
    for runs in _grouped(boot):
        again = sum(r.kind == runs[0].kind for r in boot.runs)
        how = [*(["by hand"] if runs[0].by_hand else []), *(["by a step"] if runs[0].by == "step" else []), " ".join(runs[0].sources),
               f"run {again} times" if again > 1 else ""]
        rows.append([runs[0].main, _outcome(runs), str(sum(r.count("done", "unchanged") for r in runs)), str(sum(r.count("skipped") for r in runs)),
                     str(len(failures_of(runs))), seconds(sum(r.duration for r in runs)), _when(runs[0]), ", ".join(filter(None, how))])
    return table(rows, right=(2, 3, 4, 5, 6)) if len(rows) > 1 else ["  no stage has run yet"]


def _when(run: StageRun) -> str:
    return f"+{seconds(run.begin)}"


def _mounts(boot: Boot) -> list[str]:
    if not boot.mounts:
        return []
    bad = sum(mount.get("result") != "done" for mount in boot.mounts)
    return [f"  root file system: {count(len(boot.mounts), 'part')} in the initrd, {f'{bad} not done' if bad else 'all done'}", ""]


def _skipped(boot: Boot) -> list[str]:
    """The skipped steps of the user's documents, and those left out by hand; others of the image's defaults are many in every boot, and only counted."""
    skipped = [(run, step) for run in boot.runs if run.latest for step in run.steps if step.result == "skipped"]
    rows = [[run.stage, step.name, _cut(step.reason)] for run, step in skipped if not step.file.startswith(VENDOR) or step.reason.startswith(LEFT_OUT)]
    lines = table(rows)
    vendor = len(skipped) - len(rows)
    if vendor:
        lines.append(f"  {count(vendor, 'step')} of the image's defaults ({VENDOR}); kairos-boot status --steps lists them")
    return ["SKIPPED", *lines, ""] if lines else []


def _steps(boot: Boot) -> list[str]:
    lines = []
    for run in boot.runs:
        if run.latest and run.steps:
            rows = [[step.result, seconds(step.duration), step.name, _cut(step.reason)] for step in run.steps]
            lines += [f"{one_line(run.stage)} ({one_line(run.result)}, {seconds(run.duration)})", *table(rows, right=(1,)), ""]
    return lines


def _cut(reason: str) -> str:
    line = reason.split("\n", maxsplit=1)[0]
    return line if len(line) <= REASON else f"{line[:REASON]}…"


def as_data(boot: Boot, ends: Mapping[str, str] = NOTHING) -> dict[str, Any]:
    """The same for programs. Times are in seconds: `time` since the epoch, `begin` since the kernel started."""
    return {
        "boot": {**boot.facts, "id": boot.boot_id, "ago": boot.ago, "started": round(boot.started, 3), "compared_with": boot.compared},
        "result": boot.result,
        "not_booted": [{k: v for k, v in record.items() if k not in ("kind", "time", "uptime")} for record in boot.not_booted],
        "failures": [_failure_data(f) for f in boot.failed()],
        "warnings": [_failure_data(f) for f in boot.warned()],
        "stages": [{
            "stage": run.stage, "result": run.result, "latest": run.latest, "time": run.time, "begin": run.begin, "duration": run.duration,
            "by": run.by, "unit": run.unit, "end": ends.get(run.unit, "") if run.result == "interrupted" else "", "at": list(run.begun), "sources": list(run.sources),
            "done": run.count("done", "unchanged"), "skipped": run.count("skipped"), "failed": len(failures_of([run])),
            "steps": [{
                "step": step.name, "file": step.file, "result": step.result, "reason": step.reason, "begin": round(step.begin, 6),
                "duration": step.duration,
                "items": [{k: v for k, v in item.items() if k not in ("kind", "stage", "step", "time", "uptime")} for item in step.items],
            } for step in run.steps],
        } for run in boot.runs],
        "mounts": [{k: v for k, v in mount.items() if k not in ("kind", "time")} for mount in boot.mounts],
        "damaged_lines": boot.damaged,
    }


def _failure_data(failure: Failure) -> dict[str, Any]:
    return {"where": failure.where, **place(failure.where), "message": failure.message, "hint": failure.hint, "step": failure.step, "module": failure.module,
            "stages": failure.stages, "known": failure.known, "of": "image" if failure.file.startswith(VENDOR) else "node"}
