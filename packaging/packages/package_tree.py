"""A tree of Debian packages in which packages are built and tried, so that this machine needs no tool for them, and each release has its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "image"))
from common import CACHE, ENV, cached, digest, discard, phase, run

SUITE = os.environ.get("KAIROS_BOOT_SUITE", "bookworm")
TOOLS = "build-essential,debhelper,dh-python,python3-dev,python3-setuptools,python3-yaml,libblkid-dev,pkgconf,lintian,rpm,man-db,cpio"
RUNS = "systemd,systemd-sysv,udev,dbus,dracut,zstd,e2fsprogs,fdisk,grub-common,python3-pyudev,python3-pystemd"
"""What our packages depend on: they are installed there without a network."""
ENTER = """
set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mount -t tmpfs -o mode=0755 tmpfs "$1/root/run"
root=$1/root
shift 2
exec chroot "$root" "$@"
"""


def key(suite: str) -> str:
    """What the tree of a release depends on."""
    return digest(suite, TOOLS, RUNS)


def tools(suite: str = SUITE) -> Path:
    """The cached tree of a release, with compilers and all that our packages depend on; never write to it."""

    def make(draft: Path) -> None:
        with phase(f"Debian {suite} with what builds packages (minutes the first time)"):
            options = ["--dpkgopt=path-exclude=/usr/share/locale/*", f"--include={TOOLS},{RUNS}"]
            run("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory", *options, suite, draft)

    return cached("packages-tree", key(suite), make, keep=2)


class Chamber:
    """A writable layer over a tree; *kind* is a part of its directory's name. What is done in it never reaches the tree."""

    def __init__(self, tree: Path, kind: str) -> None:
        """Make the layer."""
        home = scratch(kind) / "layer"
        self.tree, self.home = tree, home
        for name in ("upper", "work", "root"):
            (home / name).mkdir(parents=True)
        self.upper = home / "upper"

    def run(self, *words: str, check: bool = True, **variables: str) -> str:
        """Run a program inside, without a network; its output, standard error included. SystemExit: it failed, and *check* asks."""
        environment = {**{name: ENV[name] for name in ("PATH", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH")}, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive", **variables}
        inside = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh", str(self.home), str(self.tree), *words]
        done = subprocess.run(inside, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if check and done.returncode:
            tail = "\n".join(done.stdout.splitlines()[-60:])
            raise SystemExit(f"{' '.join(words)[:200]} ended with status {done.returncode}\n{tail}")
        return done.stdout

    def put(self, *files: Path, into: str) -> list[str]:
        """Copy *files* into a directory inside; their paths there."""
        folder = self.upper / into.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        return [f"{into}/{Path(shutil.copy(file, folder)).name}" for file in files]

    def close(self) -> None:
        """Throw the layer away, and the directory that was made for it."""
        discard(self.home.parent)


def scratch(kind: str) -> Path:
    """An own, empty directory on the file system of the cache, where an overlay may lie."""
    import tempfile

    home = CACHE / "packages-scratch"
    home.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=home))
