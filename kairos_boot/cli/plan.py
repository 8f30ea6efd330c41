"""kairos-boot plan [--root DIR] [--cmdline TEXT] [--json] [--diff] [--only] STAGE|--all [SOURCE...]

Says what a stage would do on this root and why steps would be skipped, and changes nothing: no command is run, a
condition that only a shell can decide is shown as it stands, as is one about files
that steps before it would change. With --root DIR it is about the system below DIR, and SOURCE
is a path there, too (- takes a file from elsewhere).

      --all           every stage of a boot
      --only          STAGE alone, without STAGE.before and STAGE.after
      --root DIR      the system below DIR
      --cmdline TEXT  stands for the kernel command line
      --diff          show how files would change
      --json          print it for programs
  -d, --dotnotation   the sources are dot-notation text
      --cloud-init-paths PATH            add a source to the default ones
      --override-cloud-init-paths PATH   replace the default ones

  + would change   = is so already   ? only doing it tells   ! would fail   - the step would be skipped

Exit code: 0, 1 something would fail, 2 wrong usage, 3 there is no plan: no such root.
"""

from __future__ import annotations

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.cli.before import Before, condition, needs_a_running_system
from kairos_boot.cli.output import as_data, as_line, complain, say, say_data
from kairos_boot.errors import KairosError, reason
from kairos_boot.shown import masked, one_line
from kairos_boot.stages.conditions import decide
from kairos_boot.stages.execution import placed
from kairos_boot.stages.graph import order
from kairos_boot.stages.planning import Planned
from kairos_boot.stages.runner import SUBSTAGES
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from kairos_boot.actions.base import Action
    from kairos_boot.cloudconfig.model import Document, Problem, Step
    from kairos_boot.facts import Facts
    from kairos_boot.stages.graph import Vertex
    from kairos_boot.system.process import Result

FLAGS = {"root": True, "cmdline": True, "json": False, "diff": False, "all": False, "only": False, **wiring.SOURCE_FLAGS}
SIGNS = {True: "+", False: "=", None: "?"}
HEARD = {"+": True, "=": False, "?": None, "!": False}
"""What a plan hears of an action that is shown so."""


class _Unshelled:
    """A process runner that runs nothing, since a plan has no effects, and remembers that it was asked."""

    asked = False

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        self.asked = True
        raise _UndecidedError(" ".join(argv))


class _UndecidedError(KairosError):
    pass


class _QuietHost(Host):
    """A host whose kernel command line may be another one."""

    def __init__(self, root: str, cmdline: str | None) -> None:
        self.shell = _Unshelled()
        super().__init__(root, self.shell)
        self._cmdline = cmdline

    def read(self, path: str) -> bytes | None:
        """The content of *path*; the given text for the kernel command line."""
        if self._cmdline is not None and path == "/proc/cmdline":
            return self._cmdline.encode()
        return super().read(path)


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, {"d": "dotnotation"})
    if "all" in given:
        from kairos_boot.cloudconfig.catalog import BOOT_STAGES

        stages, sources = list(BOOT_STAGES), given.words
    elif given.words:
        stages, sources = given.words[:1], given.words[1:]
    else:
        raise UsageError("it needs the name of a stage, or --all")
    cmdline = given.value("cmdline") if "cmdline" in given else None
    host = _QuietHost(wiring.root_of(given), cmdline)
    documents = wiring.sources_of(host, sources, given, cmdline=cmdline).load()
    facts = wiring.facts_of(host)
    graphs = [(s, order(documents, s)) for stage in stages for s in ([stage] if "only" in given else [stage + x for x in SUBSTAGES])]
    before = Before()
    reason = _left_out(host)
    steps = [_step(stage, vertex, host, facts, before, diff="diff" in given, skip=reason(stage, vertex)) for stage, graph in graphs for layer in graph.layers for vertex in layer]
    problems = [p for d in documents for p in d.problems] + [p for _, graph in graphs for p in graph.problems]
    problems += _mistaken(host, documents, [stage for stage, _ in graphs], every="all" in given)
    problems += [wiring.nothing_in(name) for name in sources] if not documents else []
    problems += [] if "all" in given else wiring.strangers(stages[0], documents)
    if "json" in given:
        say_data({"steps": steps, "problems": [as_data(p) for p in problems]})
    else:
        _print(steps)
        for problem in problems:
            complain(as_line(problem))
    failing = any(p.severity == "error" for p in problems) or any(a["sign"] == "!" for s in steps for a in s["actions"])
    return 1 if failing else 0


def _left_out(host: _QuietHost) -> Callable[[str, Vertex], str]:
    """Why the boot leaves a step out, by the kernel command line."""
    cmdline = wiring.cmdline_of(host)
    if not wiring.is_guided(cmdline):
        return lambda *_: ""
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.cli.guide import skipped
    from kairos_boot.stages.breakpoints import left_out

    places = skipped(host, Cmdline(cmdline))
    return lambda stage, vertex: left_out(places, stage, vertex)


def _mistaken(host: _QuietHost, documents: Sequence[Document], stages: Sequence[str], *, every: bool) -> list[Problem]:
    """Warnings of words on the kernel command line that name no step, as far as *stages* tell."""
    cmdline = wiring.cmdline_of(host)
    if not wiring.is_guided(cmdline):
        return []
    from kairos_boot.boot.cmdline import Cmdline
    from kairos_boot.cli.guide import words

    asked = words(host, Cmdline(cmdline))
    from kairos_boot.stages.breakpoints import mistaken

    return [problem for stage in stages for problem in mistaken(asked, stage, documents, last=every and stage == stages[-1])]


def _step(stage: str, vertex: Vertex, host: _QuietHost, facts: Facts, before: Before, *, diff: bool, skip: str) -> dict[str, Any]:
    step = vertex.step
    shown: dict[str, Any] = {"stage": stage, "step": vertex.name, "file": step.source, "skip": skip, "if": "", "actions": []}
    if skip:
        return shown
    host.shell.asked = False
    decision = decide(step, host, facts)
    asked = condition(step)
    about = decision.reason if decision.reason.startswith("if_files: ") else asked  # the file that decided
    if host.shell.asked:  # only a shell can tell
        shown["if"] = masked(step.if_)
    elif decision.about_files and asked and (before.concerns(about) or (not host.online and needs_a_running_system(about))):
        shown["if"] = masked(asked)  # only the boot can tell
    elif not decision.run:
        shown["skip"] = decision.reason
        return shown
    facts.warnings.clear()
    plan = Planned(step, facts)
    for key, action in plan:
        told = _action(action, step, key, host, diff=diff)
        if not isinstance(action, (KairosError, Invalid, Note)):
            if before.same(action) or (told["sign"] == "!" and before.concerns(told["action"])):
                told["sign"] = "?"  # what comes before it decides
            before.note(action, told["sign"])
        plan.heard = HEARD[told["sign"]]
        shown["actions"].append({"module": key, **told})
    for where, text in facts.warnings:
        shown["actions"].append({"module": "", "sign": "!", "action": f"{where}: {text}"})
    facts.warnings.clear()
    return shown


def _action(action: Action | KairosError, step: Step, key: str, host: Host, *, diff: bool) -> dict[str, str]:
    if isinstance(action, KairosError):
        return {"sign": "!", "action": str(placed(action, step, key, action))}
    if isinstance(action, (Invalid, Note)):
        return {"sign": "!" if isinstance(action, Invalid) else "=", "action": action.describe()}
    try:
        sign = SIGNS[action.would_change(host)]
    except _UndecidedError:
        sign = "?"
    except KairosError as error:
        return {"sign": "!", "action": str(placed(error, step, key, action))}
    except OSError as error:
        return {"sign": "!", "action": str(placed(KairosError(f"{action.describe()}: {reason(error)}"), step, key, action))}
    shown = {"sign": sign, "action": action.describe()}
    if diff and sign == "+":
        shown["diff"] = _diff(action, host)
    return shown


def _diff(action: Action, host: Host) -> str:
    """The change of a file's text, unless it is secret or no text (C5)."""
    from kairos_boot.actions.files import WriteFile

    if not isinstance(action, WriteFile) or action.is_secret(host):
        return ""
    old, new = host.read(action.path) or b"", action.content
    if action.append:
        new = old if new in old else old + new
    try:
        lines = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return ""
    from difflib import unified_diff

    return "\n".join(unified_diff(*lines, action.path, action.path, lineterm=""))


def _print(steps: list[dict[str, Any]]) -> None:
    stage = ""
    for step in steps:
        if step["stage"] != stage:
            stage = step["stage"]
            say(f"{one_line(stage)}\n")
        if step["skip"]:
            say(f"  - {one_line(step['step'])}: {step['skip']}\n")
            continue
        say(f"  {one_line(step['step'])}\n")
        if step["if"]:
            say(f"      ? if: {one_line(step['if'].strip())}\n")
        for action in step["actions"]:
            text = action["action"].replace("\n", "\n        ")
            say(f"      {action['sign']} {text}\n")
            if action.get("diff"):
                say("        " + action["diff"].replace("\n", "\n        ") + "\n")

