"""Run a case: the loader, the order, the runner and the modules of a node, on a directory that is thrown away."""

from __future__ import annotations

import os
import stat

from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.golden import seen, tree
from kairos_boot.records import record
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from kairos_boot.golden.form import Case

NOW = 1_000_000_000.0
"""What the clock of the node says, in each run the same."""
WARNING = 4
TOLD = ("problem", "failure", "warning")
"""Kinds of messages that say what is wrong; the others say how a step or a stage ended."""


@record
class Verdict:
    """What a case came to: its *differences*, or nothing; *error* is why it could not be run at all."""

    name: str
    where: str
    differences: tuple[str, ...] = ()
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.differences and not self.error


def judge(case: Case) -> Verdict:
    """Run *case* in a process and namespaces of its own, and compare."""
    import json
    import shutil
    import tempfile

    place = tempfile.mkdtemp(prefix="kairos-boot-test-")
    try:
        come, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(come)
            os._exit(_child(case, place, go))
        os.close(go)
        with open(come, "rb") as file:
            data = file.read()
        _, status = os.waitpid(child, 0)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if not data:
        return Verdict(case.name, case.where, (), f"{case.where}: the run ended without a word ({os.waitstatus_to_exitcode(status)})")
    told = json.loads(data)
    return Verdict(case.name, case.where, tuple(told["differences"]), told["error"])


def _child(case: Case, place: str, go: int) -> int:
    import json
    import traceback

    told: dict[str, Any] = {"differences": [], "error": ""}
    try:
        os.umask(0o022)
        root = f"{os.path.realpath(place)}/root"
        tree.enter()
        os.mkdir(root, 0o755)
        told["differences"] = _run(case, root)
    except KairosError as error:
        told["error"] = str(error if error.where else KairosError(error.message, case.where, error.hint))
    except BaseException as error:  # noqa: BLE001
        told["error"] = f"{case.where}: " + "".join(traceback.format_exception(error)).rstrip()
    with open(go, "wb") as file:
        file.write(json.dumps(told).encode())
    for directory, _, _ in os.walk(place):  # so that who is not root can remove it
        if stat.S_IMODE(os.lstat(directory).st_mode) & 0o700 != 0o700:
            os.chmod(directory, 0o700)
    return 0


def _run(case: Case, root: str) -> list[str]:
    from kairos_boot.loading.documents import Sources
    from kairos_boot.stages.runner import Runner
    from kairos_boot.system import facts
    from kairos_boot.system.reader import HostReader

    tree.fill(root, case)
    recorder = tree.Recorder(case.answers)
    host = Host(root, recorder, lambda: NOW, online=False)
    told: list[str] = []

    def values() -> Mapping[str, object]:
        """The node's own facts, with those of the test over them."""
        found = facts.gather(host)
        for name, value in case.facts.items():
            known = found.get(name)
            found[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
        return found

    def log(priority: int, message: str, *, kind: str = "", **_: object) -> None:
        if priority <= WARNING and kind in TOLD:
            told.append(message.replace(root, ""))  # as the node itself would say it

    ledger = _Records()
    runner = Runner(host, Facts(values, lambda: facts.hostname_data(host), host.read), ledger, log)
    sources = Sources(HostReader(host), cmdline=case.cmdline, values=values)
    for stage in case.stages:
        runner.emit(stage, sources.load)
    return compare(case, host, recorder, ledger.records, told)


class _Records:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def write(self, kind: str, **fields: Any) -> None:
        self.records.append({"kind": kind, **fields})


def compare(case: Case, host: Host, recorder: tree.Recorder, records: list[dict[str, Any]], told: list[str]) -> list[str]:
    """A text for each section that is not as expected. That nothing goes wrong is expected unless the case says otherwise."""
    from difflib import unified_diff

    check = {
        "steps": lambda want: seen.steps(want, records),
        "problems": lambda want: seen.contained(want, told),
        "commands": lambda want: seen.commands(want, recorder.ran),
        "units": lambda want: seen.units(want, recorder.ran),
        "links": lambda want: seen.links(want, host),
        "files": lambda want: seen.paths(want, host, stat.S_ISREG, "file"),
        "directories": lambda want: seen.paths(want, host, stat.S_ISDIR, "directory"),
        "users": lambda want: seen.accounts(want, host, "users"),
        "groups": lambda want: seen.accounts(want, host, "groups"),
    }
    found = []
    for name, wanted in {"problems": [], **case.expect}.items():
        want, got = check[name](wanted)
        if want != got:
            lines = list(unified_diff(want, got, "expected", "found", lineterm=""))
            found.append(f"{case.places.get(name, case.places[''])}: expect.{name}: not what came out\n" + "\n".join(lines))
    return found
