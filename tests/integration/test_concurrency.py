"""Two runs at once, and runs that are killed: one at a time, and every file whole."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.isolated import PROGRAM

if TYPE_CHECKING:
    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root

SLOW = "stages: {s: [{commands: ['echo in >>/run/trace; sleep 1; echo out >>/run/trace']}]}\n"
SIZE = 200_000
NESTED = """stages:
  outer: [{commands: ['echo outer >>/run/trace; cd /run/code && ENVIRONMENT /usr/bin/python3 -m kairos_boot run-stage inner && echo back >>/run/trace']}]
  inner: [{commands: ['echo inner >>/run/trace']}]
"""


def test_two_runs_at_once_serialise_on_the_lock(machine: Isolated) -> None:
    machine.put("/oem/a.yaml", SLOW)
    both = [machine.start(*PROGRAM, "run-stage", "s") for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert machine.read("/run/trace").split() == ["in", "out", "in", "out"]
    assert any("another run holds the lock: process" in text for text in said)


@pytest.mark.parametrize("environment", ["", "env -i PYTHONPATH=/run/code"])
def test_a_run_that_a_step_starts_does_not_wait_for_its_own_parent(machine: Isolated, environment: str) -> None:
    """Published configurations do that. Whose environment was emptied is known by its ancestors."""
    machine.put("/oem/a.yaml", NESTED.replace("ENVIRONMENT", environment))
    code, said = machine.kairos("run-stage", "outer")
    assert code == 0, said
    assert machine.read("/run/trace").split() == ["outer", "inner", "back"]


@pytest.mark.parametrize("again", ["inner", "outer"])
def test_a_stage_that_starts_itself_ends_where_its_environment_was_emptied_too(machine: Isolated, again: str) -> None:
    """Be it by a stage between: nothing in the environment tells the second what the first one is."""
    call = "cd /run/code && env -i PYTHONPATH=/run/code timeout 100 /usr/bin/python3 -m kairos_boot run-stage"
    machine.put("/oem/a.yaml", f"stages:\n  outer: [{{commands: ['echo o >>/run/trace; {call} inner']}}]\n  inner: [{{commands: ['echo i >>/run/trace; {call} {again}']}}]\n")
    code, said = machine.kairos("run-stage", "outer")
    assert (code, machine.read("/run/trace").split()) == (1, ["o", "i"])
    assert f"the stage {again} is running, and one of its steps starts it again" in said


def document(word: str) -> str:
    """A document that writes big files and accounts, each told from the other version's."""
    content = json.dumps(word * (SIZE // len(word)))
    return f"""stages:
  s:
  - files:
    - {{path: /srv/one, permissions: 0644, content: {content}}}
    - {{path: /srv/two, permissions: 0600, content: {content}}}
    users: {{user-{word}: {{passwd: "$6$s${word}", groups: [staff]}}}}
    environment_file: /srv/environment
    environment: {{WORD: {word}, LONG: {content}}}
    hostname: {word}
"""


@pytest.mark.parametrize("seed", range(12))
def test_a_kill_at_any_moment_leaves_every_file_old_or_new(machine: Isolated, seed: int) -> None:
    """What is killed is the whole process tree, with SIGKILL, at a random moment of a run that changes everything."""
    machine.put("/oem/a.yaml", document("old"))
    assert machine.kairos("run-stage", "s")[0] == 0
    before = {path: machine.read(path) for path in ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hosts")}
    machine.put("/oem/a.yaml", document("new"))
    random.seed(seed)
    process = machine.start(*PROGRAM, "run-stage", "s")
    time.sleep(0.02 + random.random() * 0.25)
    for entry in Path(f"{machine.root}/proc").iterdir():
        if entry.name.isdecimal() and entry.name != "1" and b"kairos_boot" in (entry / "cmdline").read_bytes():
            machine.run("kill", "-KILL", entry.name)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for path in ("/srv/one", "/srv/two"):
        assert machine.read(path) in {word * (SIZE // 3) for word in ("old", "new")}, path
    values = dict(line.split("=", 1) for line in machine.read("/srv/environment").splitlines())
    assert values["LONG"] == json.dumps(values["WORD"].strip('"') * (SIZE // 3))
    for path, text in before.items():
        now = machine.read(path).splitlines()
        assert [line for line in text.splitlines() if "user-new" not in line and not line.startswith(("staff:", "127.0.0.1"))] == \
               [line for line in now if "user-new" not in line and not line.startswith(("staff:", "127.0.0.1"))], path
    assert machine.run("pwck", "-r")[1].count("user-new") <= 1  # its home may be missing, no line is broken
    assert machine.run("grpck", "-r")[0] == 0
    code, said = machine.kairos("run-stage", "s")
    assert code == 0, said
    assert machine.read("/srv/one").startswith("new")
    assert "user-new:" in machine.read("/etc/shadow")
    left = [p for p in Path(f"{machine.root}/srv").iterdir() if p.name not in {"one", "two", "environment"}]
    assert len(left) <= 1, left
