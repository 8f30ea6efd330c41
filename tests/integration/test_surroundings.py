"""What the program's own surroundings change: nothing (C14). Each test runs the program as a caller would leave it."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.integration.isolated import PROGRAM

if TYPE_CHECKING:
    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root

RUN = " ".join(PROGRAM)
DOCUMENT = "stages: {s: [{name: good, commands: ['echo done >>/srv/trace']}, {name: bad, commands: ['false']}]}\n"
GOOD = "stages: {s: [{name: good, commands: ['echo done >>/srv/trace']}]}\n"


def shell(machine: Isolated, text: str) -> tuple[int, str]:
    """Run shell text in the machine, `KB` being the program."""
    return machine.run("bash", "-c", text.replace("KB", RUN))


CLOSED = ("0<&-", ">&-", "2>&-", "0<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>&1", "> >(exec true)", "2> >(exec true)")


@pytest.mark.parametrize(("verb", "code"), [("run-stage s", 1), ("run-stage --json s", 1), ("plan s", 0), ("validate /oem/a.yaml", 0), ("schema", 0),
                                            ("run-stage -a s", 0), ("bogus", 2), ("--help", 0), ("analyze blame", 0), ("status", 0)])
def test_streams_that_are_closed_or_full_change_nothing(machine: Isolated, verb: str, code: int) -> None:
    machine.put("/oem/a.yaml", DOCUMENT)
    if verb in ("status", "analyze blame"):
        machine.kairos("run-stage", "s")
    calls = "; ".join(f"KB {verb} {closed}; echo code $?" for closed in CLOSED)
    said = shell(machine, calls)[1].splitlines()
    assert [line for line in said if line.startswith("code")] == [f"code {code}"] * len(CLOSED)
    if verb.startswith("run-stage") and "-a" not in verb:
        assert machine.read("/srv/trace") == "done\n" * len(CLOSED)


def test_a_reader_that_goes_early_changes_no_exit_code(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", "stages: {s: [" + ", ".join(f"{{name: n{i}, commands: ['true']}}" for i in range(3000)) + "]}\n")
    assert shell(machine, "KB plan s | head -1; echo ${PIPESTATUS[0]}")[1].splitlines()[-1] == "0"


def test_a_full_run_directory_costs_no_step(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", GOOD)
    code, said = shell(machine, "mount -o remount,size=64k /run; rm -rf /run/cos /run/kairos-boot; cat /dev/zero >/run/fill 2>/dev/null; KB run-stage s")
    assert (code, machine.read("/srv/trace")) == (0, "done\n"), said
    assert "Traceback" not in said
    assert "No space left" in said


@pytest.mark.parametrize("spoil", ["mount -o remount,ro /run", "mount --move /run /mnt; mount --bind -o ro /usr/share/doc /run", "rm -rf /run/kairos-boot; touch /run/kairos-boot"])
def test_a_read_only_or_broken_run_directory_is_said_and_costs_no_step(machine: Isolated, spoil: str) -> None:
    """The code of the test lies below /run, so it is copied. Without its table in /run, mount(8) may complain of a move that it made."""
    machine.put("/oem/a.yaml", GOOD)
    code, said = shell(machine, f"cp -a /run/code/kairos_boot /srv/; cd /srv; {spoil}; KB run-stage s")
    assert (code, machine.read("/srv/trace")) == (0, "done\n"), said
    assert "there can be no lock" in said
    assert "Traceback" not in said
    assert "run as root" not in said


def test_any_umask_makes_the_same_files(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", "stages: {s: [{commands: ['umask']}]}\n")
    for umask in ("0", "077"):
        code, said = shell(machine, f"rm -rf /run/cos /run/kairos-boot; umask {umask}; KB run-stage s; stat -c '%a %n' /run/cos /run/cos/ledger /run/cos/ledger/* /run/kairos-boot /run/kairos-boot/lock")
        assert code == 0, said
        assert [line.split()[0] for line in said.splitlines() if line.split()[0].isdecimal()] == ["755", "755", "640", "700", "600"], said


def test_a_command_gets_three_descriptors_and_no_variable_that_steers(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", "stages: {s: [{commands: ['ls -1 /proc/self/fd | wc -l >/srv/fds; env >/srv/env']}]}\n")
    code, said = shell(machine, "exec 7</etc/passwd 8>/srv/x; GIT_DIR=/tmp/evil BASH_ENV=/tmp/evil KB run-stage s")
    assert code == 0, said
    assert machine.read("/srv/fds") == "4\n"  # and the directory that ls reads
    assert "evil" not in machine.read("/srv/env")


def test_what_nohup_ignores_stays_ignored(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", "stages: {s: [{commands: ['kill -HUP $PPID; echo done >>/srv/trace']}]}\n")
    code, said = shell(machine, "nohup KB run-stage s")
    assert (code, machine.read("/srv/trace")) == (0, "done\n"), said


def test_a_stage_that_starts_itself_is_refused_and_others_are_not(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", f"""stages:
  s: [{{commands: ['cd /run/code && {RUN} run-stage t']}}]
  t: [{{commands: ['cd /run/code && {RUN} run-stage s; echo $? >/srv/code; {RUN} run-stage --only s /srv/other.yaml']}}]
""")
    machine.put("/srv/other.yaml", GOOD)
    code, said = machine.kairos("run-stage", "s")
    assert code == 0, said
    assert machine.read("/srv/code") == "3\n"
    assert machine.read("/srv/trace") == "done\n"
def wait_for(machine: Isolated, path: str) -> None:
    """Until a step has made *path*."""
    for _ in range(600):
        if machine.read(path):
            return
        time.sleep(0.05)
    pytest.fail(f"{path} was never made")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("jobs", [1, 3])
def test_a_stop_is_a_stop_and_the_record_is_kept(machine: Isolated, number: signal.Signals, jobs: int) -> None:
    """The command is ended, later steps are not begun, the lock is free, and the ledger says what happened, also after a reboot."""
    steps = "\n".join(f"  - {{name: n{i}, {'' if i == 0 else 'after: [{name: init}], '}commands: ['echo $$ >/srv/n{i}; sleep 300']}}" for i in range(6))
    machine.put("/oem/a.yaml", f"jobs: {jobs}\nstages:\n  s:\n{steps.replace('name: n0, ', 'name: n0, after: [{name: init}], ')}\n")
    run = machine.start("bash", "-c", f"echo $$ >/srv/pid; exec {RUN} run-stage s")
    for i in range(jobs):
        wait_for(machine, f"/srv/n{i}")
    machine.run("kill", f"-{number.value}", machine.read("/srv/pid").strip())
    said = run.communicate(timeout=60)[0]
    assert run.returncode == 1, said
    assert number.name in said
    assert not machine.read(f"/srv/n{jobs}"), "a step was begun after the stop"
    assert machine.run("pgrep", "-c", "sleep 300", "-f")[1].strip() in ("0", "1")  # pgrep itself may match
    assert "interrupted" in machine.run("sh", "-c", "cat /var/log/kairos-boot/*.jsonl")[1]
    machine.put("/oem/a.yaml", GOOD)
    assert machine.kairos("run-stage", "s")[0] == 0


