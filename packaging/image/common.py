"""What the image scripts share: the cache, digests, one door to other programs, file systems written without mounting them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kairos-boot"
EPOCH = 1735689600  # the one time stamp of everything that is built: 2025-01-01
MIB = 1 << 20
SECTOR = 512
# What GRUB 2.06 reads; newer e2fsprogs would turn the excluded ones on.
EXT4 = "^metadata_csum,^metadata_csum_seed,^orphan_file,^casefold,^encrypt,^verity"
ENV = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "SOURCE_DATE_EPOCH": str(EPOCH),
    "E2FSPROGS_FAKE_TIME": str(EPOCH),
    "MTOOLS_SKIP_CHECK": "1",
}
PASSED = ("HOME", "http_proxy", "https_proxy", "no_proxy", "PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "TMPDIR", "XDG_CACHE_HOME")


def say(text: str) -> None:
    """Tell the person who waits; standard output belongs to results."""
    print(text, file=sys.stderr, flush=True)


def run(*argv: str | os.PathLike[str], cwd: Path | None = None, stdin: str = "", quiet: bool = True) -> str:
    """Run a program and return its standard output; the error shows its own words."""
    env = {**ENV, **{name: os.environ[name] for name in PASSED if name in os.environ}}
    words = [os.fspath(word) for word in argv]
    done = subprocess.run(words, cwd=cwd, env=env, input=stdin, text=True, errors="replace", capture_output=quiet, check=False)
    if done.returncode:
        tail = "\n".join(f"{done.stdout or ''}{done.stderr or ''}".splitlines()[-40:])
        raise SystemExit(f"{' '.join(words[:6])} … ended with status {done.returncode}\n{tail}")
    return done.stdout or ""


def digest(*parts: object) -> str:
    """A short name for what something is built from: paths count with their names, modes and contents, anything else as text."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for path in [part] if part.is_file() else sorted(p for p in part.rglob("*") if "__pycache__" not in p.parts):
                name = str(path.relative_to(part)) if path != part else path.name
                body = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
                total.update(f"{name}\0{path.lstat().st_mode & 0o170111}\0{len(body)}\0".encode() + body)
        else:
            total.update(f"{part}\0".encode())
    return total.hexdigest()[:16]


def cached(kind: str, key: str, make: Callable[[Path], None], *, keep: int = 3, rest: int = 3600, cache: Path = CACHE) -> Path:
    """CACHE/kind/key, made by make(temporary path) if it is not there; a second builder of the same kind waits for the first.

    The *keep* youngest results of a kind stay. An older one goes when it has not been asked for during *rest* seconds and nobody
    holds it (see `hold`; QEMU locks its disks itself).
    """
    home = cache / kind
    home.mkdir(parents=True, exist_ok=True)
    final = home / key
    with locked(home / ".lock"):
        if not final.exists():
            for left in home.glob(".*.new"):  # of a builder that was stopped; nobody else has the lock
                discard(left)
            draft = home / f".{key}.new"
            make(draft)
            draft.rename(final)
        os.utime(final)
        others = sorted((p for p in home.iterdir() if not p.name.startswith(".")), key=lambda p: p.stat().st_mtime, reverse=True)
        for old in others[keep:]:
            if time.time() - old.stat().st_mtime > rest and not held(old):
                discard(old)
    return final


def hold(path: Path) -> None:
    """Keep a file of the cache from being removed as long as this process lives."""
    fcntl.flock(os.open(path, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)


def held(result: Path) -> bool:
    """Does any process hold a file of *result*, by `hold` or by the locks that QEMU puts on its disks?"""
    for path in [result] if result.is_file() else [p for p in result.iterdir() if p.is_file()]:
        with path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def discard(path: Path) -> None:
    """Remove a file or a tree, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on *path*; the kernel lets go of it when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def phase(text: str) -> Iterator[None]:
    """Say what is being made, and afterwards how long it took."""
    start = time.monotonic()
    say(f"  {text} …")
    yield
    say(f"  {text}: {time.monotonic() - start:.1f} s")


def stable_uuid(name: str) -> str:
    """The same identifier for the same name, at every build."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"kairos-boot/{name}"))


def make_ext4(target: Path, size: int, label: str, source: Path | None = None, *, offset: int = 0, features: str = "", name: str = "") -> None:
    """An ext4 file system of *size* bytes at *offset* of a file, filled from the directory *source*."""
    unique = stable_uuid(name or label)
    extended = f"hash_seed={unique},offset={offset},lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    filled: list[str | Path] = ["-d", source] if source else []
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", EXT4 + features, "-L", label, "-U", unique, "-m", "0", "-E", extended,
        *filled, target, f"{size // 1024}k")  # fmt: skip


def debugfs(image: Path, *commands: str, offset: int = 0) -> str:
    """Run debugfs commands that write, on a file system inside a file; debugfs itself never reports failure by its exit code."""
    env = {**ENV, "DEBUGFS_PAGER": "cat"}
    argv = ["debugfs", "-w", "-f", "-", f"{image}?offset={offset}"]
    done = subprocess.run(argv, env=env, input="\n".join(commands) + "\n", text=True, capture_output=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if line and not line.startswith(("debugfs 1.", "Allocated inode"))]
    if done.returncode or complaints:
        raise SystemExit("debugfs: " + "\n".join(complaints))
    return done.stdout


def partition_start(disk: Path, name: str) -> int:
    """Where the partition *name* of the disk begins, in bytes."""
    table = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    return next(int(part["start"]) * SECTOR for part in table["partitions"] if part["name"] == name)


def write_tree(root: Path, files: Mapping[str, str | bytes], mode: int = 0o644) -> None:
    """Small files below *root*, each with its parents."""
    for name, body in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)
        path.chmod(mode)


def debian(scratch: Path, *packages: str) -> Path:
    """A directory in *scratch* with the files of Debian *packages*, each NAME or NAME=VERSION, of this machine's package sources; nothing is installed."""
    os.chmod(scratch, 0o755)
    run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages, cwd=scratch)
    for package in sorted(scratch.glob("*.deb")):
        run("dpkg-deb", "-x", package, scratch / "tree")
    return scratch / "tree"


def need_root(argv: Sequence[str]) -> None:
    """A root file system has files of other owners; only root can make one."""
    if os.geteuid() != 0:
        raise SystemExit(f"{Path(argv[0]).name}: run this as root: it makes files of other owners and uses chroot")
