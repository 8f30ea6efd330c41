"""One container for all tests here: systemd as PID 1 over the image's Debian tree, the program installed by its own script.

The cached tree is the lower layer of an overlay and is never written. The container has no network and no devices.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
LIMIT = 180
"""Seconds for the boot, against hanging only."""
NSPAWN = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--boot", "--console=pipe")


class Container:
    """A booted container."""

    def __init__(self, root: Path, upper: Path, log: Path, options: Sequence[str] = ()) -> None:
        """Boot *upper* above *root*; *options* are more of systemd-nspawn's."""
        layers = f"lowerdir={root},upperdir={upper},workdir={upper.parent / 'work'}"
        merged = upper.parent / "merged"
        for folder in (merged, upper.parent / "work"):
            folder.mkdir()
        script = 'mount -t overlay overlay -o "$1" "$2" && shift 2 && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", script, "sh", layers, str(merged), *NSPAWN, *options, "-D", str(merged)]
        with log.open("wb") as output:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.log = log
        self.leader = 0

    def wait(self) -> None:
        """Wait until systemd has an end of the boot to tell, good or bad."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            self.leader = self.leader or self._find()
            state = self.run("systemctl", "is-system-running", check=False).strip() if self.leader else ""
            if state in {"running", "degraded", "maintenance"}:
                return
            time.sleep(0.2)
        seen = self.run("systemctl", "list-jobs", check=False) if self.leader else ""
        raise AssertionError(f"the container is not up after {LIMIT} s\n{seen}\n{self.log.read_text(errors='replace')[-3000:]}")

    def _find(self) -> int:
        """The container's PID 1 as this machine numbers it, or 0."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split() if children.exists() else []:
            status = Path(f"/proc/{child}/status")
            spaces = [line.split() for line in status.read_text().splitlines() if line.startswith("NSpid:")] if status.exists() else []
            if spaces and spaces[0][-1] == "1" and len(spaces[0]) > 2:
                return int(child)
        return 0

    def run(self, *words: str, check: bool = True) -> str:
        """Run a program inside; standard output and error together."""
        inside = ["nsenter", "-m", "-u", "-i", "-n", "-p", "-C", "-t", str(self.leader), "env", "-i", "PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8"]
        done = subprocess.run([*inside, *words], capture_output=True, text=True, check=False, timeout=LIMIT)
        text = done.stdout + done.stderr
        assert not check or done.returncode == 0, f"{' '.join(words)}: status {done.returncode}\n{text}"
        return text

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit."""
        said = self.run("systemctl", "show", unit, f"--property={','.join(properties)}")
        return dict(line.split("=", 1) for line in said.splitlines())

    def journal(self, *match: str) -> list[dict[str, Any]]:
        """Journal entries of this boot, oldest first."""
        said = self.run("journalctl", "--boot", "--output=json", "--quiet", *match)
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def read(self, path: str) -> str:
        """A file of the container."""
        return self.run("cat", path)

    def end(self) -> None:
        """Power it off as its manager's documentation says, and by force if that does not help."""
        if self.leader and self.process.poll() is None:
            os.kill(self.leader, signal.SIGRTMIN + 4)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Layer:
    """The writable layer of a container, before it is booted."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, files: Mapping[str, str]) -> None:
        """Files by their names in the container."""
        for name, content in files.items():
            self._place(name).write_text(content)

    def link(self, name: str, target: str) -> None:
        """A link that points to *target*."""
        self._place(name).symlink_to(target)

    def _place(self, name: str) -> Path:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture(scope="session")
def debian() -> Path:
    """The image's Debian tree without the program; made by the image's own script, or already there."""
    if os.geteuid():
        pytest.skip("a container needs root")
    if not shutil.which("systemd-nspawn"):
        pytest.skip("systemd-nspawn is not installed (Debian: systemd-container)")
    made = subprocess.run([TOP / "packaging/image/rootfs.py"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(made.stdout.split()[-1])


@pytest.fixture(scope="module")
def layer(debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Layer:
    """The writable layer with the program in it; a test module adds its configurations."""
    upper = tmp_path_factory.mktemp("container") / "upper"
    subprocess.run(["sh", TOP / "packaging/install", "--destdir", upper, "--compile"], check=True)
    upper.chmod(0o755)
    return Layer(upper)


@pytest.fixture(scope="module")
def container(debian: Path, node: Layer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """The booted container. *node* is the test module's: the writable layer with what it wants to boot with."""
    booted = Container(debian, node.path, tmp_path_factory.mktemp("log") / "console")
    try:
        booted.wait()
        yield booted
    finally:
        booted.end()
