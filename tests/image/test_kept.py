"""`make boot`: whose node it ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import kept
import pytest

HERE = Path(kept.__file__).parent
WORKS = "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import kept; kept.alone(pathlib.Path(sys.argv[2])); print(flush=True); sys.stdin.read()"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for QEMU with the disk of *tmp_path*, and is noted as kept."""
    with subprocess.Popen(["sh", "-c", "echo; read word", f"file={tmp_path}/node.qcow2,if=virtio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        (tmp_path / "pid").write_text(str(process.pid))
        yield process
        process.kill()


def test_a_node_that_was_kept_is_ended_and_that_is_said(tmp_path: Path, node: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert kept.end(tmp_path, tmp_path / "node.qcow2")
    assert node.wait(10) == -15
    assert f"process {node.pid}" in capsys.readouterr().err


def test_a_node_that_does_not_end_keeps_its_disk(tmp_path: Path) -> None:
    with subprocess.Popen(["sh", "-c", "trap '' TERM; echo; read word", f"file={tmp_path}/node.qcow2,if=virtio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as deaf:
        assert deaf.stdout
        deaf.stdout.readline()
        (tmp_path / "pid").write_text(str(deaf.pid))
        with pytest.raises(kept.BusyError, match=f"process {deaf.pid}\\) does not end"):
            kept.end(tmp_path, tmp_path / "node.qcow2", 0.2)
        deaf.kill()


def test_a_process_that_has_the_number_of_an_older_node_is_left_alone(tmp_path: Path, node: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]) -> None:
    """Be it another machine of these tests."""
    assert not kept.end(tmp_path, tmp_path / "other.qcow2")
    assert node.poll() is None
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("noted", ["", "x", "999999999"])
def test_where_none_runs_nothing_is_ended(tmp_path: Path, noted: str) -> None:
    (tmp_path / "pid").write_text(noted)
    assert not kept.end(tmp_path, tmp_path / "node.qcow2")


def test_a_run_that_is_at_work_is_left_alone_and_named(tmp_path: Path) -> None:
    """With its node, which is noted while it boots."""
    with subprocess.Popen([sys.executable, "-c", WORKS, HERE, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(kept.BusyError, match=f"process {other.pid}\\)"):
            kept.alone(tmp_path)
        other.kill()
    kept.alone(tmp_path)
