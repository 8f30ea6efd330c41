"""Requirements: `status` can be waited for and asked by scripts, names the step at which a run was cut off and how its unit ended
(X2, X13), heeds NO_COLOR (X15); who logs in on a degraded node learns of it, and `systemctl status` names the culprit (X19).
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.cli import login
from kairos_boot.cli import status as verb
from kairos_boot.cli.arguments import UsageError
from kairos_boot.errors import KairosError
from kairos_boot.reports.history import Boot, load
from kairos_boot.reports.status import as_data, as_text
from kairos_boot.stages.ledger import Ledger
from kairos_boot.system import notify
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BOOT_ID = "c0de"


class Node:
    """A node in a directory, whose systemd says *state*, and what its record has."""

    def __init__(self, root: Path, state: str = "starting") -> None:
        self.root, self.state, self.slept = root, state, list[float]()
        for name, text in (("proc/sys/kernel/random/boot_id", BOOT_ID), ("run/systemd/system/x", "")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.host = Host(str(root), self, online=True)
        self.ledger = Ledger(str(root / "run/cos/ledger"), BOOT_ID, lambda: 1000.0, lambda: 5.0)

    def run(self, argv: Sequence[str], **_: Any) -> Result:
        return Result(0, f"{self.state}\n")

    def stage(self, name: str, result: str = "done", **origin: Any) -> None:
        self.ledger.write("stage", event="start", stage=name, **{"by": "unit", **origin})
        if result == "degraded":
            self.ledger.write("item", stage=name, step="A.x", module="files", action="write", result="failed", error="no \\room", where="/oem/a.yaml:1:1", hint="")
            self.ledger.write("step", stage=name, step="A.x", file="/oem/a.yaml", result="failed", reason="no room", duration=1.0)
        if result:
            self.ledger.write("stage", event="end", stage=name, result=result, duration=1.0)

    def boot(self) -> Boot:
        with open(self.ledger.path, "rb") as file:
            return Boot(BOOT_ID, file.read())

    def wait(self, limit: float = 3.0) -> bool:
        """Whether it ended in time; the clock is what was slept, and the last stage ends after two looks."""
        def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            if len(self.slept) == 2:
                self.stage("network.after")

        return verb.wait(self.host, limit, sleep, lambda: sum(self.slept))


def test_waiting_ends_with_the_last_stage(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.stage("network.after", by="hand")  # no end of a boot
    assert node.wait()
    assert node.slept == [1.0, 1.0]


def test_waiting_ends_where_systemd_has_no_more_jobs(tmp_path: Path) -> None:
    """The network stage may be masked."""
    node = Node(tmp_path, "degraded")
    assert node.wait()
    assert node.slept == []


def test_waiting_has_a_limit(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert not node.wait(0.5)
    assert node.slept == [0.5]


@pytest.mark.parametrize("words", [["--timeout", "5"], ["--wait", "--timeout", "soon"], ["--wait", "--timeout", "-1"], ["--wait", "--timeout", "nan"],
                                   ["--wait", "--boot", "1"]])
def test_what_cannot_be_waited_for_is_a_wrong_call(words: list[str]) -> None:
    with pytest.raises(UsageError):
        verb.run(words)


@pytest.mark.parametrize(("result", "code"), [("done", 0), ("degraded", 1)])
def test_check_is_for_scripts(tmp_path: Path, result: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(tmp_path)
    node.stage("network.after", result)
    assert verb.run(["--root", str(tmp_path), "--check"]) == code
    assert verb.run(["--root", str(tmp_path), "--check", "--wait", "--timeout", "0", "--json"]) == code
    assert verb.run(["--root", str(tmp_path)]) == 0
    assert "A.x" in capsys.readouterr().out or result == "done"


def test_a_boot_that_has_not_ended_in_time_is_no_good_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = Node(tmp_path)
    node.stage("boot")
    assert verb.run(["--root", str(tmp_path), "--check", "--wait", "--timeout", "0"]) == 1
    assert "have not ended after 0 s" in capsys.readouterr().err


def test_a_run_that_was_cut_off_names_its_step_its_time_and_the_end_of_its_unit(tmp_path: Path) -> None:
    node = Node(tmp_path)
    now = [3.0]
    ledger = Ledger(str(tmp_path / "l"), BOOT_ID, lambda: 1000.0, lambda: now[0])
    ledger.write("stage", event="start", stage="boot", by="unit", unit="cos-setup-boot.service")
    for at, step in ((4.0, "A.quick"), (6.0, "A.slow")):
        now[0] = at
        ledger.write("begin", stage="boot", step=step, file="/oem/a.yaml")
        if step == "A.quick":
            ledger.write("step", stage="boot", step=step, file="/oem/a.yaml", result="done", duration=0.5)
    now[0] = 4000.0
    ledger.write("stage", event="start", stage="network", by="unit")
    ledger.write("stage", event="end", stage="network", result="done", duration=0.0)
    with open(ledger.path, "rb") as file:
        boot = Boot(BOOT_ID, file.read())
    node.state = "oom-kill"
    ends = verb._ends(boot, node.host)
    assert "boot began +3.00 s and never ended; at work since +6.00 s: A.slow (cos-setup-boot.service: oom-kill)" in "\n".join(as_text(boot, 5000.0, ends=ends))
    run = as_data(boot, ends)["stages"][0]
    assert (run["result"], run["duration"], run["at"], run["end"]) == ("interrupted", 3.0, ["A.slow"], "oom-kill")  # it does not grow with the ledger


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for environment, wanted in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": ""}, True)):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert verb.colourful() is wanted


def test_who_logs_in_on_a_degraded_node_learns_of_it_until_it_is_mended(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.stage("boot", "degraded")
    login.tell(node.host, "stage boot", 1, look=False)
    for path in (login.ISSUE, login.MOTD):
        assert (tmp_path / path.lstrip("/")).read_text() == "kairos-boot: this node is degraded: 1 failure in stage boot; see: kairos-boot status\n"
    login.tell(node.host, "stage network", 3, look=False)  # the first culprit stays
    login.tell(node.host, "stage reconcile", 0, look=True)
    for path in (login.ISSUE, login.MOTD):
        assert (tmp_path / path.lstrip("/")).read_text() == "kairos-boot: this node is degraded: 1 failure, the first in stage boot: step A.x; see: kairos-boot status\n"
    node.ledger.write("stage", event="start", stage="boot", by="hand")
    node.ledger.write("step", stage="boot", step="A.x", file="/oem/a.yaml", result="done", duration=1.0)
    node.ledger.write("stage", event="end", stage="boot", result="done", duration=1.0)
    login.tell(node.host, "stage boot", 0, look=False)
    assert (tmp_path / login.MOTD.lstrip("/")).exists()
    login.tell(node.host, "stage boot", 0, look=True)
    assert not (tmp_path / login.MOTD.lstrip("/")).exists()
    assert not (tmp_path / login.ISSUE.lstrip("/")).exists()


def test_systemd_is_told_the_last_word(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "n"))
        heard.settimeout(5)
        notify.status("3 done, 1 skipped, 1 failed: /oem/a.yaml:1:1: no", {"NOTIFY_SOCKET": str(tmp_path / "n")})
        assert heard.recv(1000) == b"STATUS=3 done, 1 skipped, 1 failed: /oem/a.yaml:1:1: no"
    notify.status("nobody listens", {"NOTIFY_SOCKET": str(tmp_path / "n")})
    notify.status("nobody asked", {})


@pytest.mark.parametrize("content", ["", "garbage\n"])
def test_a_ledger_that_says_nothing_is_no_good_boot(tmp_path: Path, content: str) -> None:
    """A full /run leaves it empty: the boot is unknown, not well."""
    (tmp_path / "run/cos/ledger").mkdir(parents=True)
    (tmp_path / "run/cos/ledger/unknown.jsonl").write_text(content)
    with pytest.raises(KairosError, match="nothing that can be read was recorded"):
        load(Host(str(tmp_path)))
