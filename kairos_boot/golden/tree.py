"""The node of a golden test: a throw-away directory in namespaces of its own, whose programs are recorded instead of run."""

from __future__ import annotations

import os

from kairos_boot.errors import Explained, KairosError, reason
from kairos_boot.system.atomic import replace_file
from kairos_boot.system.chase import chase
from kairos_boot.system.descriptors import Owners
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kairos_boot.golden.form import Answer, Case, Put

NEW_NAMESPACES = 0x04000000 | 0x08000000 | 0x40000000
"""Host name, IPC and network, besides the mounts: whatever a step tries, it does not reach this machine."""
NEW_USER = 0x10000000
BASE = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "/etc/group": "root:x:0:\n",
    "/etc/shadow": "root:*:11000:0:99999:7:::\n",
    "/etc/gshadow": "root:*::\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
    "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
}
"""What is there where no tree is given."""


class Recorder:
    """Stands for programs: keeps what would have run, and answers as the test says; else each of them succeeds and says nothing."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.answers = answers
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"", whole: int = 0) -> Result:  # noqa: ARG002
        """Record *argv*; the longest answer that fits counts."""
        self.ran.append(tuple(argv))
        line = shown(argv)
        fitting = [answer for answer in self.answers if answer.run in line]
        if not fitting:
            return Result(0)
        answer = max(fitting, key=lambda each: len(each.run))
        return Result(answer.exit, answer.output)


def shown(argv: Sequence[str]) -> str:
    """A program as people write it: the text of a shell, or its words."""
    if tuple(argv[:2]) == ("/bin/sh", "-c"):
        return argv[2].strip()
    import shlex

    return shlex.join(argv)


def enter() -> None:
    """Leave this machine: namespaces of its own for this process. Who is not root becomes it there, where the kernel allows that.

    Where it does not (in many containers), an unprivileged user cannot harm the machine, and owners are kept in a table all the same.
    KairosError: root stays where it is, which is refused.
    """
    from kairos_boot.system.mounts import leave_namespace

    Owners.table = {}
    user, group = os.geteuid(), os.getegid()
    try:
        leave_namespace(NEW_NAMESPACES | (NEW_USER if user else 0))
    except OSError as error:
        if user == 0:
            raise KairosError(f"no namespaces of its own: {reason(error)}", hint="run it as another user than root") from error
        return
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def owner(now: os.stat_result) -> tuple[int, int]:
    """Who owns a file of the tree: what the kernel was not asked to keep counts, and we stand for root."""
    kept = (Owners.table or {}).get((now.st_dev, now.st_ino))
    if kept:
        return kept
    return (0 if now.st_uid == os.geteuid() else now.st_uid), (0 if now.st_gid == os.getegid() else now.st_gid)


def fill(root: str, case: Case) -> None:
    """Make the tree in the empty directory *root*. KairosError: at its place."""
    if case.root:
        import shutil

        with Explained(f"the tree {case.root} cannot be copied", case.where, "root is a directory beside this file"):
            if not os.path.isdir(case.root):
                raise KairosError(f"no such directory: {case.root}", case.where, "root is a directory beside this file")
            shutil.copytree(case.root, root, symlinks=True, dirs_exist_ok=True)
    else:
        for path, content in BASE.items():
            _write(root, path, content.encode(), 0o600 if "shadow" in path else 0o644)
    for put in case.puts:
        with Explained(f"{put.path} cannot be made", put.where):
            _put(root, put)
    _write(root, "/proc/cmdline", f"{case.cmdline}\n".encode(), 0o644)


def _put(root: str, put: Put) -> None:
    if put.source and os.path.isdir(put.source):
        import shutil

        shutil.copytree(put.source, Host(root).path(os.path.dirname(put.path)), symlinks=True, dirs_exist_ok=True)
        return
    content = put.content.encode("utf-8", "surrogateescape")
    if put.source:
        with Explained(f"{put.source} cannot be read", put.where, "a configuration is a path beside this file"), open(put.source, "rb") as file:
            content = file.read()
    _write(root, put.path, content, put.mode, put.owner)


def _write(root: str, path: str, content: bytes, mode: int, owned: tuple[int, int] = (0, 0)) -> None:
    """A file of the tree, below links of the tree too: none leads out of it."""
    with chase(root, path) as place:
        place.make_parents(0o755, None, None)
        replace_file(place, content, mode, *owned)
