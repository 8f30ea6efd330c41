"""A boot with systemd as PID 1: the stages' order, what operators see of them, and faults that cost only themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.container.conftest import Container, Layer

pytestmark = [pytest.mark.container, pytest.mark.root]

STAGES = ("fs", "boot", "network")
TRACE = "".join(
    f"""
  {stage}{sub}:
    - name: Tell that it ran
      commands:
        - echo {stage}{sub} >> /run/trace
"""
    for stage in (*STAGES, "reconcile")
    for sub in (".before", "", ".after")
)
FAULTS = """
stages:
  boot:
    - name: A daemon
      commands:
        - sleep 1000 & echo $! > /run/daemon
    - name: Disk check
      commands:
        - echo the disk is on fire; exit 7
        - echo next command > /run/after-the-fault
    - name: Stuck
      timeout: 2
      commands:
        - sleep 555
    - name: Last of all
      commands:
        - echo reached > /run/last
    - name: Only elsewhere
      if_files:
        all: [/nowhere]
      commands:
        - echo wrong > /run/wrong
  network:
    - name: Greeting
      files:
        - path: /run/greeting
          content: hello
"""
HANG = """
stages:
  reconcile:
    - name: Hang when told
      if_files:
        all: [/run/hang]
      timeout: 0
      commands:
        - sleep 777
"""
SHORT_WAIT = """
[Service]
ExecStart=
ExecStart=/usr/lib/systemd/systemd-networkd-wait-online --any --timeout=4
"""
WAITER = "systemd-networkd-wait-online.service"
OWN_RECONCILE = """
[Service]
Type=oneshot
ExecStart=/usr/bin/kairos-agent run-stage reconcile
ExecStartPost=touch /run/own-unit
"""


@pytest.fixture(scope="module")
def node(layer: Layer) -> Layer:
    """Configurations that leave a trace, faults in stage boot, and a network that never comes."""
    layer.write({
        "/oem/10_trace.yaml": f"stages:{TRACE}",
        "/oem/20_faults.yaml": FAULTS,
        "/oem/30_hang.yaml": HANG,
        f"/etc/systemd/system/{WAITER}.d/20-short.conf": SHORT_WAIT,
        "/etc/hosts": "127.0.0.1 localhost\n",
    })  # fmt: skip
    layer.link(f"/etc/systemd/system/network-online.target.wants/{WAITER}", f"/lib/systemd/system/{WAITER}")
    layer.link("/etc/systemd/system/ssh.service", "/dev/null")
    return layer


def after(container: Container, later: str, earlier: str) -> bool:
    """The main process of one unit started when that of the other had ended."""
    end = int(container.show(earlier, "ExecMainExitTimestampMonotonic")["ExecMainExitTimestampMonotonic"])
    start = int(container.show(later, "ExecMainStartTimestampMonotonic")["ExecMainStartTimestampMonotonic"])
    return 0 < end <= start


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, at most half a minute, for what systemd does in its own time."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(what)


def test_the_stages_run_in_order_each_with_before_and_after(container: Container) -> None:
    boot = [line for line in container.read("/run/trace").split() if not line.startswith("reconcile")]
    assert boot == [f"{stage}{sub}" for stage in STAGES for sub in (".before", "", ".after")]


def test_each_unit_waits_for_the_stage_before_it(container: Container) -> None:
    assert after(container, "cos-setup-boot.service", "cos-setup-fs.service")
    assert after(container, "cos-setup-network.service", "cos-setup-boot.service")
    sysinit = int(container.show("sysinit.target", "ActiveEnterTimestampMonotonic")["ActiveEnterTimestampMonotonic"])
    ended = int(container.show("cos-setup-fs.service", "ExecMainExitTimestampMonotonic")["ExecMainExitTimestampMonotonic"])
    assert ended <= sysinit


def test_systemd_had_nothing_to_break_up_or_to_guess(container: Container) -> None:
    """No ordering cycle, no unknown key, no dependency dropped."""
    said = [entry["MESSAGE"] for entry in container.journal("_PID=1") if "cos-setup" in entry["MESSAGE"] and int(entry["PRIORITY"]) <= 4]
    assert [message for message in said if "Failed" not in message and "exit" not in message and "remains running" not in message] == []


def test_a_failing_step_fails_its_unit_and_the_boot_goes_on(container: Container) -> None:
    """Decisions B3: everything else was done, and `systemctl --failed` tells."""
    assert container.run("systemctl", "is-active", "multi-user.target").strip() == "active"
    failed = [line.split()[0] for line in container.run("systemctl", "--failed", "--plain", "--no-legend").splitlines()]
    assert "cos-setup-boot.service" in failed
    assert "cos-setup-fs.service" not in failed
    assert "cos-setup-network.service" not in failed
    assert container.show("cos-setup-boot.service", "ExecMainStatus", "Result") == {"ExecMainStatus": "1", "Result": "exit-code"}
    assert container.read("/run/after-the-fault") == "next command\n"
    assert container.read("/run/last") == "reached\n"


def test_a_hanging_command_ends_by_its_own_limit(container: Container) -> None:
    assert "sleep 555" not in container.run("ps", "-eo", "args")
    entries = [entry for entry in container.journal("KAIROS_STAGE=boot", "PRIORITY=3") if entry.get("KAIROS_STEP", "").endswith(".Stuck")]
    assert any("time limit of 2 s" in entry["MESSAGE"] for entry in entries)


def test_a_background_child_outlives_the_failed_unit(container: Container) -> None:
    """A stage that failed must not take down what another of its steps started."""
    pid = container.read("/run/daemon").strip()
    assert container.run("ps", "-o", "args=", "-p", pid).strip() == "sleep 1000"


def test_the_journal_is_searched_by_stage_step_and_file(container: Container) -> None:
    """Decisions E2: structured fields beside readable text."""
    entries = container.journal("KAIROS_STAGE=boot")
    failure = [entry for entry in entries if entry.get("KAIROS_STEP") == "/oem/20_faults.yaml.Disk check" and entry["PRIORITY"] == "3"]
    assert len(failure) == 1
    [entry] = failure
    assert entry["KAIROS_FILE"] == "/oem/20_faults.yaml"
    assert entry["KAIROS_MODULE"] == "commands"
    assert len(entry["MESSAGE_ID"]) == 32
    assert entry["_SYSTEMD_UNIT"] == "cos-setup-boot.service"
    assert "the disk is on fire" in entry["MESSAGE"]
    assert "/oem/20_faults.yaml:" in entry["MESSAGE"]
    [skipped] = [entry for entry in entries if entry.get("KAIROS_STEP", "").endswith("Only elsewhere") and "/nowhere" in entry["MESSAGE"]]
    assert skipped["PRIORITY"] == "6"
    assert container.journal(f"MESSAGE_ID={entry['MESSAGE_ID']}", "KAIROS_STEP=/oem/20_faults.yaml.Disk check")


def test_nothing_is_told_twice(container: Container) -> None:
    """A service's streams go to the journal, too: what was sent there as an entry is not also written to them."""
    messages = [entry["MESSAGE"] for entry in container.journal("--unit=cos-setup-boot.service") if "the disk is on fire" in entry["MESSAGE"]]
    assert len(messages) == 1


def test_journalctl_of_the_unit_tells_what_ran(container: Container) -> None:
    told = container.run("journalctl", "--boot", "--unit=cos-setup-network", "--output=cat")
    for words in ("network.before", "network.after", "Greeting"):
        assert words in told


def test_a_network_that_never_comes_delays_only_what_waits_for_it(container: Container) -> None:
    """Stage network runs when the wait has failed; stage boot and the logins did not wait."""
    assert container.show(WAITER, "Result") == {"Result": "exit-code"}
    gave_up = int(container.show(WAITER, "ExecMainExitTimestampMonotonic")["ExecMainExitTimestampMonotonic"])
    stage = int(container.show("cos-setup-network.service", "ExecMainStartTimestampMonotonic")["ExecMainStartTimestampMonotonic"])
    logins = int(container.show("systemd-user-sessions.service", "ExecMainExitTimestampMonotonic")["ExecMainExitTimestampMonotonic"])
    assert 0 < logins < gave_up <= stage
    assert container.read("/run/greeting") == "hello"


def test_reconcile_fires_at_each_start(container: Container) -> None:
    def fired() -> int:
        return container.read("/run/trace").split().count("reconcile")

    before = fired()
    container.run("systemctl", "start", "cos-setup-reconcile")
    container.run("systemctl", "start", "cos-setup-reconcile")
    assert fired() == before + 2
    assert container.show("cos-setup-reconcile.service", "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}


def test_the_timer_is_armed(container: Container) -> None:
    timer = container.show("cos-setup-reconcile.timer", "ActiveState", "TimersMonotonic", "Triggers", "NextElapseUSecMonotonic")
    assert timer["ActiveState"] == "active"
    assert timer["Triggers"] == "cos-setup-reconcile.service"
    assert "cos-setup-reconcile.timer" in container.run("systemctl", "list-timers", "--plain")
    spans = container.run("systemctl", "show", "cos-setup-reconcile.timer", "--property=TimersMonotonic")
    assert "OnBootUSec=5min" in spans
    assert "OnUnitActiveUSec=1h" in spans


def test_a_stage_can_be_run_again_by_restarting_its_unit(container: Container) -> None:
    container.run("systemctl", "restart", "cos-setup-fs")
    assert container.read("/run/trace").split().count("fs.after") == 2


def test_the_end_of_a_unit_ends_its_command_and_frees_the_lock(container: Container) -> None:
    """The last resort, the unit's own limit, leaves no command behind that would keep the next run waiting."""
    container.run("touch", "/run/hang")
    container.run("systemctl", "start", "--no-block", "cos-setup-reconcile")
    until(lambda: "sleep 777" in container.run("ps", "-eo", "args"), "the command did not start")
    container.run("systemctl", "stop", "cos-setup-reconcile")
    container.run("rm", "/run/hang")
    assert "sleep 777" not in container.run("ps", "-eo", "args")
    told = container.journal("KAIROS_STAGE=reconcile", "KAIROS_STEP=/oem/30_hang.yaml.Hang when told", "PRIORITY=3")
    assert any("SIGTERM" in entry["MESSAGE"] for entry in told)
    container.run("systemctl", "start", "cos-setup-reconcile")


def test_a_unit_of_the_same_name_in_etc_wins(container: Container) -> None:
    """Decisions D10: published configurations write such units; they call kairos-agent, which is this program."""
    fired = container.read("/run/trace").split().count("reconcile")
    container.run("sh", "-c", f"printf '%s' '{OWN_RECONCILE}' > /etc/systemd/system/cos-setup-reconcile.service && systemctl daemon-reload")
    container.run("systemctl", "start", "cos-setup-reconcile")
    assert container.show("cos-setup-reconcile.service", "FragmentPath") == {"FragmentPath": "/etc/systemd/system/cos-setup-reconcile.service"}
    container.run("test", "-e", "/run/own-unit")
    assert container.read("/run/trace").split().count("reconcile") == fired + 1
    container.run("sh", "-c", "rm /etc/systemd/system/cos-setup-reconcile.service && systemctl daemon-reload")


def test_status_names_the_culprits(container: Container) -> None:
    told = container.run("kairos-boot", "status")
    for words in ("Disk check", "Stuck", "/oem/20_faults.yaml:"):
        assert words in told


def test_a_stage_that_never_ends_does_not_put_off_the_judgement_for_ever(container: Container) -> None:
    """The judgement waits for stage network; the timer's unit starts it without that order."""
    judgement = "kairos-boot-assess.service"
    assert after(container, judgement, "cos-setup-network.service")
    container.run("sh", "-ec", "mkdir -p /run/systemd/system/kairos-boot-assess.service.d; cd /run/systemd/system;"
                  "printf '[Service]\\nType=oneshot\\nExecStart=sleep infinity\\n' > endless.service;"
                  "printf '[Unit]\\nAfter=endless.service\\n' > kairos-boot-assess.service.d/endless.conf; systemctl daemon-reload;"
                  f"systemctl stop {judgement}; systemctl --no-block start endless.service; systemctl --no-block start {judgement}")  # fmt: skip
    assert container.show(judgement, "ActiveState") == {"ActiveState": "inactive"}
    container.run("systemctl", "start", "kairos-boot-assess-late.service")
    until(lambda: container.show(judgement, "ActiveState") == {"ActiveState": "active"}, "the judgement still waits")
    container.run("sh", "-c", "systemctl stop endless.service; rm -r /run/systemd/system/kairos-boot-assess.service.d /run/systemd/system/endless.service; systemctl daemon-reload")


def test_stage_network_judges_a_plain_boot_and_leaves_its_unit_nothing_to_do(container: Container) -> None:
    """Of a node whose initrd came to its end, as seen by its record; the unit of the judgement is skipped, not started for nothing."""
    ended = "".join(f'{{"kind": "stage", "stage": "{stage}", "event": "end", "result": "done"}}\n' for stage in ("rootfs", "initramfs"))
    container.run("sh", "-ec", "mkdir -p /run/initramfs/cos-state/cOS; touch /run/cos/active_mode; systemctl stop kairos-boot-assess;"
                  "{ printf '# GRUB Environment Block\\nboot_tries=x\\nmine=stays\\n'; head -c 1024 /dev/zero | tr '\\0' '#'; } | head -c 1024 > /run/initramfs/cos-state/grubenv;"
                  f"tee -a /run/cos/ledger/*.jsonl <<'END'\n{ended}END\nsystemctl restart cos-setup-network")  # fmt: skip
    assert "boot_tries" not in container.read("/run/initramfs/cos-state/grubenv")
    assert "mine=stays" in container.read("/run/initramfs/cos-state/grubenv")
    container.run("test", "-e", "/run/kairos-boot/judged")
    container.run("systemctl", "start", "kairos-boot-assess")
    assert container.show("kairos-boot-assess.service", "ConditionResult", "ActiveState") == {"ConditionResult": "no", "ActiveState": "inactive"}
    assert container.read("/var/log/kairos-boot/000001-" + container.read("/proc/sys/kernel/random/boot_id").strip() + ".jsonl").count('"kind": "assessment"') == 1
