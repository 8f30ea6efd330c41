"""Whether a step runs: its seven conditions, the cheap ones before the command of `if` (docs/reference/conditions.md, B6, B7, B10)."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.records import record
from kairos_boot.shown import masked, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.cloudconfig.model import Step
    from kairos_boot.facts import Facts
    from kairos_boot.system.host import Host

TIME_LIMIT = 30.0
"""Seconds that the command of `if` may take unless the step says otherwise (B4)."""
PROGRAM_DIRECTORIES = ("/sbin", "/bin", "/usr/sbin", "/usr/bin")
MANAGERS = {"systemd": "systemctl", "openrc": "openrc"}
SHOWN = 160
"""Characters of a condition or of its words that a reason quotes."""


@record
class Decision:
    """Whether the step runs; if not, *reason* says why; *failed* is whether the condition itself went wrong (B10)."""

    run: bool
    reason: str = ""
    failed: bool = False
    key: str = "if"
    """The condition that went wrong."""

    @property
    def about_files(self) -> bool:
        """Whether the step runs, or does not for what is in the file system now."""
        return self.run or self.reason.startswith(("if: ", "if_files: "))


RUN = Decision(run=True)


def decide(step: Step, host: Host, facts: Facts) -> Decision:
    """Evaluate the conditions of *step* in order; the first that says no decides. A step without any runs."""
    for key, check in CHECKS:
        if not getattr(step, key):
            continue
        try:
            reason = one_line(check(step, host))
        except KairosError as error:
            from kairos_boot.template.regex import ExpressionError

            if not isinstance(error, ExpressionError):
                return Decision(run=False, reason=f"{key}: {error}", failed=True, key=key)
            reason = one_line(str(error))
            facts.warnings.append((step.where(key), f"{reason}; the step is left out"))
        if reason:
            return Decision(run=False, reason=f"{key}: {reason}")
    return _command(step, host, facts) if step.if_ else RUN


def meant_for(step: Step, host: Host) -> bool:
    """Whether *step* is for the system below the host's root at all: its distribution, version, processor and service manager."""
    try:
        return not any(check(step, host) for key, check in CHECKS if key.startswith("only_") and getattr(step, key))
    except KairosError:
        return True


def _node(step: Step, host: Host) -> str:
    from kairos_boot.system.identity import hostname

    return _mismatch(step.node, [hostname(host)], "the host name is")


def _only_os(step: Step, host: Host) -> str:
    from kairos_boot.system.identity import os_release

    release = os_release(host)
    known = [release.get("PRETTY_NAME", ""), release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return _mismatch(step.only_os, [name for name in known if name], "the system is")


def _only_os_version(step: Step, host: Host) -> str:
    from kairos_boot.system.identity import os_version

    version = os_version(host)
    return _mismatch(step.only_os_version, [version] if version else [], "the system's version is")


def _only_arch(step: Step, host: Host) -> str:  # noqa: ARG001
    from kairos_boot.system.identity import architecture

    return _mismatch(step.only_arch, [architecture()], "the architecture is")


def _only_service_manager(step: Step, host: Host) -> str:
    wanted = step.only_service_manager.lower()
    if wanted not in MANAGERS:
        return f"{step.only_service_manager!r} is not a service manager this program knows; it knows {' and '.join(MANAGERS)}"
    present = [name for name, program in MANAGERS.items() if any(host.exists(f"{d}/{program}") for d in PROGRAM_DIRECTORIES)]
    if len(present) > 1:
        return "both systemd and openrc are installed"
    return "" if wanted in present else f"{wanted} is not installed"


def _if_files(step: Step, host: Host) -> str:
    for kind, paths in step.if_files.items():
        if kind not in ("all", "any", "none"):
            return f"{kind!r} is none of all, any, none"
        there = [_exists(host, path) for path in paths or ()]
        if kind == "all" and not all(there):
            return f"{paths[there.index(False)]} does not exist"
        if kind == "any" and not any(there):
            return f"none of {', '.join(paths)} exists" if paths else "none of no files exists"
        if kind == "none" and any(there):
            return f"{paths[there.index(True)]} exists"
    return ""


def _exists(host: Host, path: str) -> bool:
    try:
        return host.exists(path)
    except (KairosError, ValueError):
        return False


CHECKS: tuple[tuple[str, Callable[[Step, Host], str]], ...] = (
    ("node", _node), ("only_os", _only_os), ("only_os_version", _only_os_version), ("only_arch", _only_arch),
    ("only_service_manager", _only_service_manager), ("if_files", _if_files),
)


def _mismatch(pattern: str, texts: Sequence[str], noun: str) -> str:
    """Why *pattern* is in none of *texts*, or nothing. ExpressionError: it is no regular expression."""
    from kairos_boot.stages.patterns import search

    try:
        if any(search(pattern, text) for text in texts or ("",)) and texts:
            return ""
    except KairosError as error:
        raise type(error)(f"{_short(pattern)!r} is {error.message}", hint=error.hint) from None
    if not texts:
        return f"{noun} unknown"
    return f"{noun} {' or '.join(map(repr, texts))}, which {_short(pattern)!r} does not match"


def _command(step: Step, host: Host, facts: Facts) -> Decision:
    from kairos_boot.stages.shelltest import decided

    text = facts.render(step.if_, step.where("if"))
    known = decided(text, host)
    if known is not None:
        return RUN if known else Decision(run=False, reason=f"if: no: {_short(step.if_)}")
    timeout = step.limit(TIME_LIMIT)
    try:
        result = host.processes.run(("/bin/sh", "-c", text), timeout=timeout)
    except (KairosError, ValueError) as error:
        return Decision(run=False, reason=f"if: {error}", failed=True)
    if result.timed_out:
        return Decision(run=False, reason=f"if: {result.explain(timeout)} reached: {_short(step.if_)}", failed=True)
    if result.code == 0:
        return RUN
    # From status 2 on it is mostly the shell or the program itself that complains; 1 is a plain no.
    said = _short(result.output) if result.code not in (0, 1) else ""
    return Decision(run=False, reason=f"if: {result.explain()}: {_short(step.if_)}{f' ({said})' if said else ''}")


def _short(text: str) -> str:
    """*text* on one line, cut where it gets long."""
    line = masked(" ".join(text.split()))
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
