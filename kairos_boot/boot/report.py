"""What the initrd half says: the ledger, the log that operators know (E5), a status line on the console for each part."""

from __future__ import annotations

import os
import time

from kairos_boot.errors import KairosError, reason
from kairos_boot.records import NOTHING
from kairos_boot.shown import one_line, plain
from kairos_boot.stages.culprits import first_line
from kairos_boot.stages.ledger import encode
from kairos_boot.system.descriptors import Held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from kairos_boot.stages.ledger import Ledger
    from kairos_boot.stages.runner import Log

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
_WORDS = {0: "ERR", 1: "ERR", 2: "ERR", 3: "ERR", 4: "WRN", 5: "INF", 6: "INF", 7: "DBG"}
LOG = "/run/immucore/immucore.log"
FATAL_FILE, FATAL_RECORD = "/run/cos/fatal", "/run/kairos-boot/failed-boot"
"""Say why the node must not leave the initrd, to people and to the program's own end; a unit looks whether the first is there."""


class FatalError(KairosError):
    """The node cannot boot: the cause, and in *hint* the remedy."""


class TextLog:
    """Readable lines in a file of mode 0600, and everything handed on to another log. A full /run costs lines, and no boot (C14)."""

    def __init__(self, path: str, following: Log | None = None, *, debug: bool = False) -> None:
        self._following, self._debug = following, debug
        self._fd = -1
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            os.fchmod(self._fd, 0o600)
        except OSError as error:
            if following:
                following(WARNING, f"{path} cannot be written: {reason(error)}", kind="warning")

    def __call__(self, priority: int, message: str, *, kind: str = "", stage: str = "", step: str = "", file: str = "", module: str = "",
                 more: Mapping[str, str] = NOTHING) -> None:
        """One message; it is also a runner's log."""
        if self._fd >= 0 and (priority < 7 or self._debug):
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            try:
                os.write(self._fd, f"{when} {_WORDS[priority]} {message}\n".encode("utf-8", "backslashreplace"))
            except OSError:
                pass  # the next line may fit again
        if self._following:
            self._following(priority, message, kind=kind, stage=stage, step=step, file=file, module=module, more=more)


class Report:
    """Records parts of the initrd's work. `failed` counts what makes the node degraded."""

    def __init__(self, ledger: Ledger, log: Log, console: str = "/dev/console", *, quiet: bool = False) -> None:
        self.ledger, self.log, self.console, self.quiet = ledger, log, console, quiet
        self.failed = 0

    def part(self, text: str, do: Callable[[], object], *, what: str = "", where: str = "", fstype: str = "",
             options: Sequence[str] = (), shown: bool = True) -> bool:
        """Do a part, and record it; True if it was done. A KairosError makes the node degraded, a FatalError goes through.

        One that is not *shown* has no status line unless it fails.
        """
        start = time.monotonic()
        try:
            do()
        except KairosError as error:
            self._mount(what or text, where, fstype, options, "failed", start, error)
            self.failed += 1
            self.say(str(error), failed=True)
            if isinstance(error, FatalError):
                raise
            return False
        self._mount(what or text, where, fstype, options, "done", start)
        if shown:
            self.say(text)
        else:
            self.log(INFO, text, kind="part")
        return True

    def _mount(self, what: str, where: str, fstype: str, options: Sequence[str], result: str, start: float,
               error: KairosError | None = None) -> None:
        said = {"error": error.message, "hint": error.hint} if error else {}
        self.ledger.write("mount", what=what, where=where, type=fstype, options=",".join(options), result=result,
                          duration=time.monotonic() - start, **said)

    def missing(self, what: str, where: str, error: KairosError) -> None:
        """Record that something that should be mounted is not there."""
        self.failed += 1
        self.ledger.write("mount", what=what, where=where, type="", options="", result="missing", error=error.message, hint=error.hint)
        self.say(str(error), failed=True)

    def warn(self, message: str, hint: str = "") -> None:
        """Something worth a look that costs nothing, and what may be done about it."""
        self.ledger.write("problem", severity="warning", where="", message=message, **({"hint": hint} if hint else {}))
        self.log(WARNING, f"{message}; {hint}" if hint else message, kind="warning")

    def did_not_boot(self, failure: Mapping[str, Any], record: bytes = b"") -> None:
        """Record that another entry of the boot menu was tried before this boot, and why it failed; *record* is the ledger of that boot."""
        about = {name: str(failure.get(name, "")) for name in ("entry", "where", "message", "hint", "log")}
        about["boot"] = str(failure.get("boot", "")) if record else ""
        if record and not self.ledger.adopt(about["boot"], record):
            self.warn(f"the record of the boot that failed cannot be taken over; it stays where it is, beside {about['log'] or 'its reason'}")
        self.ledger.write("failed-boot", **about, happened=failure.get("booted", 0))
        self.say(f"The entry {one_line(about['entry'])} did not boot: {first_line(about['message'])}", failed=True)

    def say(self, text: str, *, failed: bool = False) -> None:
        """A status line, as PID 1 prints them."""
        self.log(ERROR if failed else INFO, text, kind="failure" if failed else "part")
        if failed or not self.quiet:
            mark = "\033[0;1;31mFAILED\033[0m" if failed else "\033[0;32m  OK  \033[0m"
            write_console(self.console, f"[{mark}] {plain(text)}\n")

    def fatal(self, error: KairosError, path: str = FATAL_FILE, record: str = FATAL_RECORD) -> None:
        """Note why the node cannot boot, for its end, which follows at once: *path* and *record* are what that looks at."""
        self.ledger.write("problem", severity="error", where=error.where, message=f"the node cannot boot: {error.message}", hint=error.hint)
        self.log(ERROR, f"the node cannot boot: {error}", kind="failure")
        about = {"kind": "failed-boot", "where": error.where, "message": error.message, "hint": error.hint}
        for file, text in ((record, f"{encode(about)}\n"), (path, banner(error, [("Log", LOG)]))):
            _put(file, text)

    def banner(self, error: KairosError, consoles: Sequence[str], more: Sequence[tuple[str, str]] = (), path: str = FATAL_FILE) -> None:
        """Tell every console why the node cannot boot, what to do, and *more* lines under a name, and keep the text in *path*."""
        text = banner(error, more)
        self.log(NOTICE, f"the end of this boot: {error.message}; {'; '.join(f'{name}: {line}' for name, line in more)}", kind="part")
        _put(path, text)
        tell(consoles, text)


def _put(path: str, text: str) -> None:
    """A file of /run, if that has room; what is told on the consoles matters more."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return


def tell(consoles: Sequence[str], text: str) -> None:
    """Write *text* to each of *consoles*, once."""
    for console in once(consoles, _active()):
        write_console(console, text)


def once(consoles: Sequence[str], active: str) -> list[str]:
    """Without `/dev/console` where that is one of the others: *active* are the kernel's consoles, of which it is the last."""
    last = "/dev/" + active.strip().rpartition(" ")[2]
    return [console for console in consoles if console != "/dev/console" or last not in consoles]


def _active() -> str:
    try:
        with open("/sys/class/tty/console/active", encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def banner(error: KairosError, more: Sequence[tuple[str, str]] = (), title: str = "THIS NODE CANNOT BOOT") -> str:
    """The text of a fatal error for a console of 80 columns."""
    line = "=" * 78
    about = [("Where", error.where), ("Cause", error.message), ("Remedy", error.hint), *more]
    parts = ["", line, f"  {title}", "", *(f"  {f'{name}:':<9}{plain(text)}" for name, text in about if text), line, ""]
    return "\n".join(piece for part in parts for piece in _wrap(part)) + "\n"


def _wrap(text: str) -> list[str]:
    """Break at blanks, behind the word that begins the line."""
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 77 and line.strip():
            lines.append(line.rstrip())
            line = " " * 11
        line += word + " "
    return [*lines, line.rstrip()]


def write_console(path: str, text: str) -> None:
    """Write to a terminal that may not exist, and never wait for it."""
    try:
        with Held(os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)) as fd:
            os.write(fd, text.replace("\n", "\r\n").encode("utf-8", "backslashreplace"))
    except OSError:
        return
