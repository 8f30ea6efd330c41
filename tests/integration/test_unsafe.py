"""Users who try to be given what is root's, on a machine of their own (C12): by a link, by a home, by a path with two slashes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.isolated import Isolated

pytestmark = pytest.mark.root
DOCUMENT = """
stages:
  boot:
    - directories: [{path: /home/u/data, owner: 2000, group: 2000, permissions: 0755}]
      files:
        - {path: /home/u/.profile, ownerstring: u, content: hello}
        - {path: /tmp/u, owner: 2000, content: hello}
      users: {n: {homedir: //etc/ssl}, bob: {homedir: /home/shared/bob}}
      environment: {A: b}
      environment_file: /home/u/environment
"""


def test_nobody_is_given_the_system(machine: Isolated) -> None:
    """Each attempt is one error with its place; the system stays root's, and the run goes on."""
    for file, line in (("passwd", "u:x:2000:2000::/home/u:/bin/sh"), ("group", "u:x:2000:"), ("shadow", "u:!:1::::::")):
        machine.put(f"/etc/{file}", f"{machine.read(f'/etc/{file}')}{line}\n", 0o600 if file == "shadow" else 0o644)
    root = machine.root
    (root / "etc/ssl").mkdir(exist_ok=True)
    for name, mode, owner in (("home/u", 0o755, 2000), ("home/shared", 0o1777, 0), ("tmp", 0o1777, 0)):
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(mode)
        os.chown(root / name, owner, owner)
    for name, target in (("home/u/data", "/etc"), ("home/u/.profile", "/etc/shadow"), ("tmp/u", "../etc/shadow"), ("home/shared/bob", "/etc"),
                         ("home/u/environment", "/etc/group")):
        (root / name).symlink_to(target)
        os.chown(root / name, 2000, 2000, follow_symlinks=False)
    shadow = [line for line in machine.read("/etc/shadow").splitlines() if line.startswith(("root:", "u:"))]
    machine.put("/oem/a.yaml", DOCUMENT)
    for _ in range(2):
        code, said = machine.kairos("run-stage", "boot", "/oem")
        assert code == 1, said
        for where in ("directories[0]: step", "files[0]: step", "files[1]: step", "environment: step"):
            assert f"stages.boot[0].{where}" in said, said
        assert said.count("unsafe path") >= 4, said
        for name, mode in (("etc", 0o755), ("etc/ssl", 0o755), ("etc/shadow", 0o600)):
            now = (root / name).stat()
            assert (now.st_uid, now.st_mode & 0o7777) == (0, mode), f"{name}: {said}"
        assert [line for line in machine.read("/etc/shadow").splitlines() if line.startswith(("root:", "u:"))] == shadow
    code, said = machine.kairos("plan", "boot", "/oem")
    assert code == 1
    assert said.count("! /oem/a.yaml:") >= 4, said
