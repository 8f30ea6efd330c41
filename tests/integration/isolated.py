"""A machine of its own for a test: private namespaces over an overlay of this system's tree, thrown away afterwards.

The program is the checkout's, run as it runs on a node. Nothing outside changes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SETUP = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=0755 isolated "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/code"
mount --bind -o ro "$2" "$1/code"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind -o ro /sys "$root/sys"
for dir in run tmp oem system/oem srv home usr/local/cloud-config var/log var/tmp; do
    mkdir -p "$root/$dir" && mount -t tmpfs -o mode=0755 none "$root/$dir"
done
mkdir -p "$root/run/code" "$root/run/lock" && mount --bind "$1/code" "$root/run/code"
ip link set lo up
exec chroot "$root" /bin/sh -c 'echo ready; exec sleep infinity'
"""
PROGRAM = ("/usr/bin/python3", "-m", "kairos_boot")


class Isolated:
    """A running machine; files are read and written through it, programs run in it as root."""

    def __init__(self, scratch: Path) -> None:
        argv = ["unshare", "--mount", "--uts", "--pid", "--net", "--ipc", "--fork", "--kill-child", "sh", "-c", SETUP, "sh", str(scratch), str(TOP)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"
        [child] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.pid = int(child)
        self.root = Path(f"/proc/{child}/root")

    def put(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file of the machine, with its parents."""
        target = Path(f"{self.root}{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)

    def read(self, path: str) -> str:
        """A file's text; nothing where there is none."""
        target = Path(f"{self.root}{path}")
        return target.read_text(errors="backslashreplace") if target.exists() else ""

    def start(self, *argv: str, **more: object) -> subprocess.Popen[str]:
        """Start a program in the machine, in the checkout's directory."""
        # Whoever runs the tests may ignore signals, as nohup and background jobs of a shell do; a program in the machine starts as from a login.
        enter = ["env", "--default-signal=HUP,INT,QUIT,TERM", "nsenter", f"--target={self.pid}", "--mount", "--uts", "--pid", "--net", "--ipc", "--root", "--wd", "--", "sh", "-c", 'cd /run/code && exec "$@"', "sh"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "/run/code", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/root"}
        given: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **more}
        return subprocess.Popen([*enter, *argv], text=True, env=environment, stdin=subprocess.DEVNULL, **given)  # type: ignore[call-overload,no-any-return]

    def serve(self, *argv: str) -> subprocess.Popen[str]:
        """Start a program that goes on beside the test. Nobody reads what it says, so it is thrown away: a full pipe would stop it."""
        return self.start(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, *argv: str) -> tuple[int, str]:
        """Run a program in the machine; its exit code, and everything it said."""
        process = self.start(*argv)
        said = process.communicate(timeout=120)[0]
        return process.returncode, said

    def kairos(self, *words: str) -> tuple[int, str]:
        """Run the program with *words*."""
        return self.run(*PROGRAM, *words)

    def close(self) -> None:
        """Throw it away."""
        self.process.kill()
        self.process.wait()
