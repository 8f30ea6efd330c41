"""Providers are told of events; who fails, hangs or answers nonsense is an error with its own words, and the others are told all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kairos_boot.providers import bus
from kairos_boot.system.host import Host

TOP = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a provider belongs to it")]

GOOD = """cat > "$0.heard"; echo '{"state": "well", "data": {"a": 1}, "error": "", "log": "hello"}'"""
KINDS = {
    "fails": ("echo no such cluster >&2; exit 3", "exit status 3: no such cluster"),
    "says so": ("""echo '{"error": "no token"}'""", "no token"),
    "says so and fails": ("""echo '{"error": "no token"}'; exit 1""", "no token"),
    "nonsense": ("echo hello", "it answered with no JSON"),
    "too deep": ("head -c 200000 /dev/zero | tr '\\000' '['", "it answered with no JSON"),
    "no object": ("echo '[1]'", "it answered with no JSON (not an object)"),
    "hangs": ("sleep 600", "1 s"),
    "too much": ("head -c 9000000 /dev/zero", "answers with more than 8 MiB"),
}


def provider(directory: Path, name: str, script: str, mode: int = 0o755) -> Path:
    path = directory / f"agent-provider-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_goes_wrong_keeps_nobody_from_hearing(tmp_path: Path, kind: str) -> None:
    script, words = KINDS[kind]
    provider(tmp_path, "a", script)
    good = provider(tmp_path, "b", GOOD)
    found, refused = bus.providers(Host("/"), str(tmp_path))
    assert refused == []
    bad, well = bus.publish(Host("/"), found, "agent.boot", {"config": "x"}, seconds=1)
    assert words in bad.error
    assert (well.state, well.data, well.error, well.log) == ("well", '{"a": 1}', "", "hello")
    assert Path(f"{good}.heard").read_text() == '{"name": "agent.boot", "data": "{\\"config\\": \\"x\\"}", "file": ""}'


def test_root_executes_nothing_that_others_can_put_there(tmp_path: Path) -> None:
    provider(tmp_path, "a", GOOD, 0o777)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    provider(theirs, "b", GOOD)
    os.chown(theirs, 65534, 65534)
    provider(tmp_path, "c", GOOD, 0o644)
    link = tmp_path / "agent-provider-d"
    link.symlink_to(theirs / "agent-provider-b")
    found, refused = bus.providers(Host("/"), f"{tmp_path}:{theirs}:.:relative")
    assert found == {}
    assert [why.partition(" is not used: ")[2].partition(str(tmp_path))[0] for why in refused] == ["others than root can write ", "it is not executable", "", ""]
    assert all("belongs to user 65534, not to root" in why for why in refused[2:])


def test_the_working_directory_is_no_place_for_providers(tmp_path: Path) -> None:
    provider(tmp_path, "a", "touch was-run")
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "notify", "agent.boot"], cwd=tmp_path, env={"PATH": ":.:/usr/bin:/bin", "PYTHONPATH": str(TOP)}, capture_output=True, text=True,
                         check=False)
    assert (run.returncode, run.stdout) == (0, "no provider is installed: nothing to do for agent.boot\n")
    assert not (tmp_path / "was-run").exists()


def test_the_verb_says_what_came_of_it(tmp_path: Path) -> None:
    provider(tmp_path, "a", "echo it broke >&2; exit 1")
    provider(tmp_path, "b", GOOD)
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "notify", "agent.boot"], cwd=TOP, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"agent.boot: agent-provider-a ({tmp_path}/agent-provider-a) failed: exit status 1: it broke" in run.stderr
    assert "agent.boot: agent-provider-b: well" in run.stderr


def test_an_event_that_there_is_not_is_wrong_usage() -> None:
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "notify", "agent.bot"], cwd=TOP, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "event 'agent.bot' not defined; did you mean 'agent.boot'?" in run.stderr


def test_what_of_the_configuration_is_not_handed_on_is_said(tmp_path: Path) -> None:
    """A provider that gets half a configuration does half its work, and nobody would know why."""
    provider(tmp_path, "b", GOOD)
    (tmp_path / "a.yaml").write_text("#cloud-config\nk3s: {enabled: true}\n")
    (tmp_path / "b.yaml").write_text("#cloud-config\nk3s: [\n")
    (tmp_path / "c.yaml").write_text("#cloud-config\nk3s: text\n")
    run = subprocess.run([sys.executable, "-m", "kairos_boot", "notify", "agent.boot", str(tmp_path)], cwd=TOP, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert f"{tmp_path}/b.yaml:" in run.stderr
    assert "cannot merge" in run.stderr
    assert "enabled" in Path(f"{tmp_path}/agent-provider-b.heard").read_text()
