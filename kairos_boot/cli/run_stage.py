"""kairos-boot run-stage [FLAGS] STAGE [SOURCE...]

Emits STAGE.before, STAGE and STAGE.after. Before stage reconcile, what the earlier stages of this boot declared is compared
with the node; `kairos-boot status --drift` tells what was found.

SOURCE is a directory, a file, a URL, or - for standard input. Without one the default directories /system/oem, /oem
and /usr/local/cloud-config, the URI of the kernel command line and the kernel command line itself are read.

  -a, --analyze         print the order of the steps, run nothing
      --strict          stop at the first failure
      --jobs N          let up to N steps of a layer overlap
      --root DIR        work on the system below DIR; SOURCE is a path there, too (- takes a file from elsewhere)
  -d, --dotnotation     the sources are dot-notation text
      --only            emit STAGE alone
      --json            print the outcome for programs on standard output; lines for people stay on standard error
      --cloud-init-paths PATH            add a source to the default ones
      --override-cloud-init-paths PATH   replace the default ones

Exit code: 0 all done, 1 something failed and the rest was done, 2 wrong usage, 3 nothing could be done.
"""

from __future__ import annotations

import os

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.login import tell
from kairos_boot.cli.output import as_line, complain, say, say_data
from kairos_boot.errors import Ended, KairosError
from kairos_boot.shown import one_line
from kairos_boot.stages.culprits import Culprits
from kairos_boot.stages.runner import Options, Outcome, Runner, substages
from kairos_boot.stages.turn import await_turn, unit
from kairos_boot.system import notify
from kairos_boot.system.host import Host
from kairos_boot.system.process import STOPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kairos_boot.cloudconfig.model import Document
    from kairos_boot.loading.documents import Sources
    from kairos_boot.stages.breakpoints import Guide
    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.stages.runner import Log

FLAGS = {"analyze": False, "strict": False, "jobs": True, "only": False, "json": False, **wiring.SOURCE_FLAGS}
AROUND = "KAIROS_BOOT_STAGES"
"""The runs whose steps started this one: a number for each stage with its sources."""
COLLECTED = ("/var/lib/prometheus/node-exporter", "/var/lib/node_exporter/textfile_collector")
"""Where node-exporter looks for metrics of others, on Debian and as its own pages have it."""
JUDGED_BEHIND = "network"
"""The last stage of a boot."""
DEEPEST = 16
"""So many runs may stand in each other."""


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"a": "analyze", "d": "dotnotation"})
    if not given.words:
        raise UsageError("it needs the name of a stage")
    stage, sources = given.words[0], given.words[1:]
    options = Options("strict" in given, _jobs(given.value("jobs", "1")), "only" in given)
    host = Host(wiring.root_of(given))
    if "analyze" in given:
        return _analyze(stage, options, wiring.sources_of(host, sources, given))
    wiring.need_root(host.root)
    from kairos_boot.system.lock import Lock, inherited

    log = wiring.logger()
    lock = Lock(about=wiring.about(stage, host.root))
    end_in_order()
    try:
        if AROUND not in os.environ and not inherited():  # a step's own run has its turn
            await_turn(host, stage, lambda text: log(5, text, kind="lock", stage=stage))
        lock.acquire(lambda text: log(5, text, kind="lock", stage=stage))
        stdin = [str(os.fstat(0)[1:3])] if "-" in sources else []
        flags = [f"{name}={given.value(name, '')}" for name in ("cloud-init-paths", "override-cloud-init-paths") if name in given]
        nest(stage, [*([host.root] if host.root != "/" else []), *flags, *sources, *stdin], inside=lock.fd < 0)
        return _emit(stage, options, host, wiring.sources_of(host, sources, given, keep=True), as_json="json" in given)
    except Ended as end:
        log(3, f"{stage}: {end}", kind="failure", stage=stage)
        return 1
    finally:
        lock.release()


def _guide(host: Host, log: Log, ledger: Ledger) -> Guide | None:
    """What this boot's command line says about stages and steps: of those that the boot runs, not of what somebody tries out."""
    cmdline = wiring.cmdline_of(host)
    if not wiring.is_guided(cmdline):
        return None
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.cli.guide import guide_of

    return guide_of(host, Cmdline(cmdline), log, ledger)


def end_in_order() -> None:
    """Let a signal end the command at work, keep the record and free the lock; by default it would do none of these.

    The end of a terminal and an interrupt are stops like any other; what the caller ignores (nohup) stays ignored.
    """
    import _signal  # type: ignore[import-not-found]  # `signal` imports enum

    ends = {_signal.SIGTERM: "SIGTERM: a stop, or the time limit of the unit", _signal.SIGHUP: "SIGHUP: the terminal has gone",
            _signal.SIGINT: "SIGINT: an interrupt"}

    def end(number: int, frame: object) -> None:  # noqa: ARG001
        for each in ends:
            _signal.signal(each, _signal.SIG_IGN)  # the end itself is not to be interrupted; it has a limit
        raise Ended(f"{STOPPED} ({ends[number]})")

    for number in ends:
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, end)


def nest(stage: str, sources: Sequence[str], *, inside: bool) -> None:
    """Note what runs, for the runs that its steps start. KairosError: this is one of those, and the same again, which would never end."""
    from zlib import crc32

    own = f"{crc32(repr((stage, *sources)).encode()):x}"
    around = os.environ.get(AROUND, "").split() if inside else []
    again = own in around or (inside and not around and _called_alike())
    if again or len(around) >= DEEPEST:
        raise KairosError(f"the stage {stage} is running, and one of its steps starts it again" if again else
                          f"{DEEPEST} runs stand in each other, each started by a step of the one before", hint="let the step start another stage, or give it other sources")
    os.environ[AROUND] = " ".join((*around, own))


def _called_alike() -> bool:
    """Whether this call stands in one of the same words: a step may have emptied the environment."""
    from kairos_boot.system.ancestors import called_alike

    return called_alike()


def is_judged_behind(stage: str, origin: Mapping[str, object]) -> bool:
    """Whether this run is the boot's own last stage, and neither a person's, nor another unit's, nor one of its own steps'."""
    return stage == JUDGED_BEHIND and origin["by"] == "unit" and origin.get("unit") == unit(stage)


def _emit(stage: str, options: Options, host: Host, sources: Sources, *, as_json: bool) -> int:
    ledger = wiring.ledger_of(host)
    kept = _Kept(ledger)
    culprits = Culprits(kept if as_json else ledger)
    log, origin = wiring.logger(), wiring.origin(host, sources)
    runner = Runner(host, wiring.facts_of(host), culprits, log, options, origin, _guide(host, log, ledger) if origin["by"] == "unit" and host.online else None)
    loaded: list[Document] = []
    outcome = Outcome()

    def load() -> list[Document]:
        loaded[:] = sources.load()
        return loaded

    try:
        if stage == "reconcile" and sources.default and host.online:
            from kairos_boot.stages.drift import reconcile

            reconcile(runner, load(), ledger.path, outcome)
        runner.emit(stage, load, outcome)
        runner.report(wiring.strangers(stage, loaded), outcome, stage)
        if is_judged_behind(stage, origin):
            from kairos_boot.cli.assess import at_once

            at_once(host, ledger, log)
    finally:  # whatever ends the run
        if host.online:
            ledger.keep(host)
            by = runner.origin.get("by")
            # What somebody tries out is no state of the node: who ran it sees what failed.
            tell(host, f"stage {stage}", outcome.failed if by == "unit" else 0, look=(by == "unit" and stage == "reconcile") or (by == "hand" and os.isatty(2)))
            _measure(runner, stage)
        failures = f"{outcome.failed} failed{culprits.first(outcome.failed)}" if outcome.failed else "none failed"
        notify.status(f"{outcome.done} done, {outcome.skipped} skipped, {failures}")
        if ledger.error:
            runner.log(4, f"the ledger could not be written: {ledger.error}", kind="warning", stage=stage)
    if as_json:
        say_data({"stage": stage, "result": outcome.result, "done": outcome.done, "skipped": outcome.skipped, "failed": outcome.failed,
                  "changed": outcome.changed, "records": kept.records})
    return 1 if outcome.failed else 0


def _measure(runner: Runner, stage: str) -> None:
    """Write the numbers of this boot for node-exporter, where it looks for such."""
    there = tuple(directory for directory in COLLECTED if runner.host.is_directory(directory)) if runner.origin.get("by") == "unit" else ()
    if there:
        from kairos_boot.cli.metrics import of_unit

        wrong = of_unit(runner.host, there)
        if wrong:
            runner.log(4, f"the metrics could not be written: {wrong}", kind="warning", stage=stage)


class _Kept:
    """A ledger that also remembers what it was given."""

    def __init__(self, ledger: Any) -> None:
        self.ledger = ledger
        self.records: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})
        self.ledger.write(kind, **fields)


def _jobs(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise UsageError(f"--jobs needs a number of 1 or more, not {text!r}")
    return int(text)


def _analyze(stage: str, options: Options, sources: Sources) -> int:
    """Print each (sub)stage's graph on stdout and what is wrong on stderr."""
    from kairos_boot.stages.graph import order

    documents = sources.load()
    graphs = [order(documents, name) for name in substages(stage, options)]
    for graph in graphs:
        say("".join(one_line(line) + "\n" for line in graph.lines()))
    problems = [p for d in documents for p in d.problems] + [p for g in graphs for p in g.problems] + wiring.strangers(stage, documents)
    for problem in problems:
        complain(as_line(problem))
    return 1 if _degraded(documents, graphs) else 0


def _degraded(documents: list[Document], graphs: list[Any]) -> bool:
    return any(p.severity == "error" for d in documents for p in d.problems) or any(g.problems for g in graphs)
