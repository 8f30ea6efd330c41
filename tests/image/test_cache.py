"""The image scripts' cache: each result is made once, whole or not at all, and none is taken away under a user."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import common
import pytest

HERE = Path(common.__file__).parent
MAKE = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
import common
def make(draft):
    with open(os.environ["MADE"], "a") as file:
        file.write("made\\n")
    draft.write_text("half")
    time.sleep(0.3)
    draft.write_text("whole")
print(common.cached("kind", "key", make).read_text())
"""


def write(cache: Path, text: str, age: float = 0) -> Path:
    """A result of the kind `kind`, last asked for *age* seconds ago."""
    path = common.cached("kind", text, lambda draft: (draft.write_text(text), None)[1], keep=99, cache=cache)
    if age:
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    return path


def test_two_builders_at_once_make_one_whole_result(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "MADE": str(tmp_path / "made")}
    builders = [subprocess.Popen([sys.executable, "-c", MAKE, HERE], env=env, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [builder.communicate(timeout=60)[0].strip() for builder in builders] == ["whole"] * 3
    assert (tmp_path / "made").read_text() == "made\n"


def test_a_build_that_was_interrupted_leaves_no_result(tmp_path: Path) -> None:
    def broken(draft: Path) -> None:
        draft.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        common.cached("kind", "key", broken, cache=tmp_path)
    assert write(tmp_path, "key").read_text() == "key"


def test_old_results_go_and_young_ones_and_those_in_use_stay(tmp_path: Path) -> None:
    old, used, locked, young = (write(tmp_path, name, age) for name, age in (("old", 900), ("used", 800), ("locked", 700), ("young", 10)))
    common.hold(used)
    with locked.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        common.cached("kind", "new", lambda draft: (draft.write_text("new"), None)[1], keep=1, rest=300, cache=tmp_path)
        assert [path.exists() for path in (old, used, locked, young)] == [False, True, True, True]


def test_the_digest_tells_contents_names_modes_and_links_apart(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_text("1")
    seen = {common.digest(tree)}
    (tree / "a").chmod(0o755)
    seen.add(common.digest(tree))
    (tree / "a").rename(tree / "b")
    seen.add(common.digest(tree))
    (tree / "b").write_text("2")
    seen.add(common.digest(tree))
    (tree / "b").unlink()
    (tree / "b").symlink_to("c")
    seen.add(common.digest(tree))
    assert len(seen) == 5
