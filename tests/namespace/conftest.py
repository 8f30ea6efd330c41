"""Mounts for real, in a mount namespace of their own: nothing of it is seen outside, and nothing is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

TOP = Path(__file__).resolve().parents[2]
PRELUDE = """\
import json, os, sys
sys.path.insert(0, {top!r})
sys.path.insert(0, {here!r})
home = sys.argv[1]
def tell(value):
    sys.stdout.write(json.dumps(value))
"""


@pytest.fixture
def unshared(tmp_path: Path) -> Callable[..., Any]:
    """Run Python text in its own mount namespace, `home` being a directory on a file system that overlays can use; what it `tell`s."""

    def run(text: str, *, code: int = 0) -> Any:
        prelude = PRELUDE.format(top=str(TOP), here=str(Path(__file__).parent))
        script = f'mount -t tmpfs tmpfs {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, prelude + text],
                              capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    return run
