"""What steps before in a plan would change: a condition or an item that is about the same is not known before they ran (E3)."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.actions.base import Action
    from kairos_boot.cloudconfig.model import Step

PATH = re.compile(r"/[\w.@%+~-]+(?:/[\w.@%+~-]+)*")
RUNNING = ("/proc", "/sys", "/dev")
"""Directories of a running system: a tree on a disk has nothing in them."""
NOBODYS = ("/dev/null", "/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")
"""Paths that stand in commands without a meaning for what these change."""


class Before:
    """What the plan so far would change: paths, what commands name, and accounts that it would make."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._subjects: set[str] = set()
        self._commands: list[tuple[str, set[str]]] = []
        """Of each command: its text, and the paths in it."""
        self._names: set[str] = set()

    def note(self, action: Action, sign: str) -> None:
        """*action* would be done, or may be."""
        if sign not in ("+", "?"):
            return
        path, subject = getattr(action, "path", ""), getattr(action, "subject", "")
        if path:
            self._files.add(path.rstrip("/"))
        elif not subject:
            text = f"{getattr(action, 'shell', '')} {' '.join(getattr(action, 'argv', ()))} {action.describe()}"
            self._commands.append((text, set(paths(text))))
        self._subjects.add(subject)
        if subject.startswith(("user ", "group ")):
            self._names.add(subject.split()[1])

    def concerns(self, text: str) -> bool:
        """Whether a condition or a message names something that may be otherwise by then."""
        return any(self._changes(path) or any(file.startswith(f"{path}/") for file in self._files) for path in paths(text)) or self._made(text)

    def same(self, action: Action) -> bool:
        """Whether *action* is about a thing that may be otherwise by then."""
        path, subject = getattr(action, "path", ""), getattr(action, "subject", "")
        return bool(path and self._changes(path.rstrip("/"))) or bool(subject and subject in self._subjects)

    def _changes(self, path: str) -> bool:
        """A command changes what it names, and what it names by its name below a directory that it names."""
        name = path.rpartition("/")[2]
        return path in self._files or any(path in named or (name in text and any(path.startswith(f"{top}/") for top in named)) for text, named in self._commands)

    def _made(self, text: str) -> bool:
        return any(word in self._names for word in re.findall(r"[\w.-]+", text))


def paths(text: str) -> list[str]:
    """The absolute paths in *text*."""
    return [path for path in PATH.findall(text) if not path.startswith(NOBODYS)]


def condition(step: Step) -> str:
    """The conditions of *step* about files and commands, as text."""
    files = "; ".join(f"{kind} of {', '.join(given or ())}" for kind, given in step.if_files.items())
    return "; ".join(filter(None, (f"if_files: {files}" if files else "", step.if_.strip())))


def needs_a_running_system(text: str) -> bool:
    """Whether a condition asks for what only a running system has."""
    return any(path == top or path.startswith(f"{top}/") for path in paths(text) for top in RUNNING)
