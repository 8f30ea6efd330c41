"""The byte code of the program in one file: found first, complete, and none at all for another Python."""

from __future__ import annotations

import marshal
import subprocess
import sys
from pathlib import Path

import pytest

from kairos_boot import bytecode

TOP = Path(__file__).parents[2]
USE = """
import sys
sys.path[:0] = [TOP]
from kairos_boot import bytecode
bytecode.use(PLACE)
sys.path[:1] = [PLACE]
import part, part.inner
print(part.__path__, part.inner.__file__, part.inner.VALUE, type(part.inner.__loader__).__name__)
try:
    import part.missing
except ModuleNotFoundError as error:
    print(error.name)
part.inner.fail()
"""


@pytest.fixture(name="place")
def a_place(tmp_path: Path) -> Path:
    """A directory with a package and its byte code."""
    (tmp_path / "part").mkdir()
    (tmp_path / "part/__init__.py").write_text("")
    (tmp_path / "part/inner.py").write_text("VALUE = 'compiled'\ndef fail(): raise ValueError\n")
    bytecode.write(str(tmp_path), map(str, (tmp_path / "part").glob("*.py")), str(tmp_path), "/shown")
    (tmp_path / "part/inner.py").write_text("VALUE = 'source'\ndef fail(): pass\n")
    return tmp_path


def use(place: Path) -> subprocess.CompletedProcess[str]:
    """Import it in a process of its own."""
    script = USE.replace("TOP", repr(str(TOP))).replace("PLACE", repr(str(place)))
    return subprocess.run([sys.executable, "-ISB", "-c", script], check=False, capture_output=True, text=True, timeout=60)


def test_modules_come_from_the_file_with_their_shown_places(place: Path) -> None:
    """Whatever the sources are by now; a module that is not in it is told as Python tells it."""
    run = use(place)
    assert run.stdout == "[] /shown/part/inner.py compiled ByteCode\npart.missing\n", run.stderr
    assert 'File "/shown/part/inner.py", line 2, in fail' in run.stderr


@pytest.mark.parametrize("other", [b"", b"\x01\x02", b"\x00\x00\r\n\x10\x00\x00\x00other"])
def test_that_of_another_python_counts_as_none(place: Path, other: bytes) -> None:
    """A system that got a new Python runs from the sources until its image is made again."""
    (place / bytecode.FILE).write_bytes(other)
    assert "source SourceFileLoader" in use(place).stdout


def test_an_installed_program_needs_no_file_but_this_one(tmp_path: Path) -> None:
    """Besides the two that find it: all verbs, all lazy imports, wherever the tree lies."""
    subprocess.run([TOP / "packaging/install", "--destdir", tmp_path, "--compile"], check=True)
    lib = tmp_path / "usr/lib/kairos-boot"
    for path in lib.rglob("*.py"):
        if path.name not in ("__init__.py", "bytecode.py") or path.parent.name != "kairos_boot":
            path.unlink()
    document = tmp_path / "a.yaml"
    document.write_text("stages: {s: [{name: made, directories: [{path: /x}], users: {joe: {}}}]}\n")
    run = subprocess.run([tmp_path / "usr/bin/kairos-boot", "plan", "s", document], check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert "make directory /x" in run.stdout


def test_what_every_stage_imports_lies_together_in_the_beginning(tmp_path: Path) -> None:
    """The first stage finds nothing of it in memory: a disk is asked a few times, not once for each module."""
    bytecode.write(str(tmp_path), map(str, (TOP / "kairos_boot").rglob("*.py")), str(TOP), "/shown")
    data = (tmp_path / bytecode.FILE).read_bytes()
    table = marshal.loads(data[bytecode.HEAD:bytecode.HEAD + int.from_bytes(data[bytecode.HEAD - 4:bytecode.HEAD], "little")])
    script = f"import sys; sys.path[:0] = [{str(TOP)!r}]\nfor n in {bytecode.BEGUN!r}: __import__('kairos_boot.' + n.replace('/', '.'))\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-ISB", "-c", script], check=True, capture_output=True, text=True, timeout=60)
    used = {name for name in run.stdout.split() if name.startswith("kairos_boot")}
    assert {"kairos_boot.stages.execution", "kairos_boot.cloudconfig.model", "kairos_boot.cli"} < used
    assert max(table[name][2] for name in used) < min(entry[2] for name, entry in table.items() if name not in used)
