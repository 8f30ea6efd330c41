"""Requirements: within one reconcile each change away from what this boot declared is told with its step, and nothing is changed;
with `reconcile: true` at the document's root it is repaired once, and that is said (E1).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.isolated import Isolated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDriftDriftDriftDriftDriftDriftDriftDriftDrif me"
DOCUMENT = f"""
name: Mine
stages:
  initramfs:
    - name: account
      users: {{drifter: {{uid: "1711", ssh_authorized_keys: ["{KEY}"]}}}}
  boot:
    - name: setting
      sysctl: {{kernel.domainname: drifting.example}}
    - name: files
      directories: [{{path: /srv/shelf, permissions: 0750}}]
      files:
        - {{path: /srv/mode, content: "one\\n", permissions: 0640}}
        - {{path: /srv/gone, content: "two\\n"}}
        - {{path: /srv/text, content: "three\\n"}}
    - name: unit
      systemctl: {{start: [steady.service], enable: [steady.service]}}
    - name: never
      if: "false"
      files: [{{path: /srv/never, content: x}}]
    - name: counted
      commands: [echo run >>/srv/runs]
"""
SYSTEMCTL = """#!/bin/sh
case $1 in
is-active) grep -q '^active' /run/steady ;;
start) echo active running >/run/steady ;;
enable) ln -sf x /run/steady.link && echo "Created symlink" ;;
show) read active sub </run/steady
  printf 'Id=steady.service\\nLoadState=loaded\\nActiveState=%s\\nSubState=%s\\nType=simple\\nResult=success\\nUnitFileState=%s\\n' "$active" "$sub" \
    "$([ -L /run/steady.link ] && echo enabled || echo disabled)" ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Isolated]:
    made = Isolated(tmp_path)
    made.put("/usr/bin/systemctl", SYSTEMCTL, 0o755)
    made.put("/run/systemd/system/.keep", "")
    made.put("/run/steady", "inactive dead\n")
    yield made
    made.close()


def boot(machine: Isolated, document: str) -> None:
    """Run the stages of a boot over *document*."""
    machine.put("/oem/mine.yaml", document)
    for stage in ("initramfs", "fs", "boot", "network"):
        code, said = machine.kairos("run-stage", stage)
        assert code == 0, said


def disturb(machine: Isolated) -> None:
    """Change everything that the document declares."""
    code, said = machine.run("sh", "-ec", "chmod 600 /srv/mode; chmod 700 /srv/shelf; rm /srv/gone; echo 3 >/srv/text; echo failed failed >/run/steady; "
                             "rm /run/steady.link; echo other >/proc/sys/kernel/domainname; : >/home/drifter/.ssh/authorized_keys")
    assert code == 0, said


def reconcile(machine: Isolated) -> tuple[dict[str, Any], str]:
    """Run the stage; what status tells of it, and what it said."""
    code, said = machine.kairos("run-stage", "reconcile")
    assert code == 0, said
    code, told = machine.kairos("status", "--drift", "--json")
    assert code == 0, told
    return json.loads(told), said


WANTED = {
    "/srv/mode": ("Mine.files", "mode 0640", "mode 0600"),
    "/srv/shelf": ("Mine.files", "mode 0750", "mode 0700"),
    "/srv/gone": ("Mine.files", "write /srv/gone (4 bytes)", "there is no such file"),
    "/srv/text": ("Mine.files", "6 bytes", "2 bytes"),
    "/proc/sys/kernel/domainname": ("Mine.setting", "'drifting.example'", "'other'"),
    "unit steady.service": ("Mine.unit", "active", "failed (failed)"),
    "unit steady.service (at a boot)": ("Mine.unit", "enabled", "disabled"),
    "ssh keys of drifter": ("Mine.account", "1 ssh key", "not all of them are there"),
}


def test_each_change_is_told_with_its_step_and_none_is_repaired(machine: Isolated) -> None:
    boot(machine, DOCUMENT)
    told, _ = reconcile(machine)
    assert told["differences"] == [], told
    assert told["compared"]["things"] >= len(WANTED)
    disturb(machine)
    told, said = reconcile(machine)
    assert {d["path"]: (d["step"], d["wanted"], d["found"]) for d in told["differences"]} == WANTED
    assert all(d["file"] == "/oem/mine.yaml" and d["line"] > 3 for d in told["differences"])
    assert machine.run("cat", "/proc/sys/kernel/domainname", "/srv/text") == (0, "other\n3\n")
    assert not machine.read("/srv/gone")
    assert "/srv/mode has drifted: wanted mode 0640, found mode 0600" in said
    code, text = machine.kairos("status", "--drift")
    assert code == 0
    assert text.startswith("DRIFT: 8 differences")
    assert "nothing was repaired" in text
    assert "drift: 8 differences" in machine.kairos("status")[1]
    assert len(reconcile(machine)[0]["differences"]) == len(WANTED)  # it still is


def test_a_document_that_says_so_has_its_drifted_steps_run_again_once(machine: Isolated) -> None:
    boot(machine, "reconcile: true\n" + DOCUMENT)
    disturb(machine)
    told, said = reconcile(machine)
    assert len(told["differences"]) == len(WANTED)
    assert told["compared"]["again"] == ["Mine.account", "Mine.setting", "Mine.files", "Mine.unit"]
    assert "Run again, since the node has drifted away from them: Mine.account, Mine.setting" in said
    told, said = reconcile(machine)
    assert told["differences"] == []
    assert told["compared"]["again"] == []
    assert "Run again" not in said
    assert machine.read("/srv/gone") == "two\n"
    assert machine.read("/srv/runs") == "run\n"  # a step that did not drift


def test_a_document_that_was_changed_since_is_not_compared(machine: Isolated) -> None:
    boot(machine, "reconcile: true\n" + DOCUMENT)
    machine.put("/oem/mine.yaml", "reconcile: true\n" + DOCUMENT.replace('content: "three', 'content: "new').replace("0750", "0711"))
    told, said = reconcile(machine)
    assert told["differences"] == []
    assert told["compared"]["changed"] == ["/oem/mine.yaml"]
    assert "not those of /oem/mine.yaml" in said
    assert machine.read("/srv/text") == "three\n"


def test_of_two_steps_about_one_thing_the_later_counts(machine: Isolated) -> None:
    boot(machine, """
stages:
  boot:
    - files: [{path: /srv/a, content: "first\\n"}]
    - files: [{path: /srv/a, content: "second\\n"}]
""")
    told, _ = reconcile(machine)
    assert told["differences"] == []
    machine.put("/srv/a", "first\n")
    told, _ = reconcile(machine)
    assert [(d["path"], d["step"]) for d in told["differences"]] == [("/srv/a", "/oem/mine.yaml..1")]


def test_a_step_that_is_done_once_is_not_done_again_for_drift(machine: Isolated) -> None:
    """With its frequency, and that is said."""
    boot(machine, """
name: Mine
reconcile: true
stages:
  boot:
    - name: once
      frequency: once
      files: [{path: /srv/once, content: "once\\n"}]
    - name: always
      files: [{path: /srv/always, content: "always\\n"}]
""")
    machine.run("rm", "/srv/once", "/srv/always")
    _, said = reconcile(machine)
    assert "internal error" not in said
    assert "Not run again, though the node has drifted away from it: Mine.once: frequency: once, and it ran on" in said
    assert machine.read("/srv/always") == "always\n"
    assert not machine.read("/srv/once")
