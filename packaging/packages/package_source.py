"""The source as packagers get it: an archive of the work tree's files, and one of the binding of libblkid, which no distribution has."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "image"))
from common import CACHE, EPOCH, TOP, cached, run

BLKID = "pylibblkid-0.3"
BLKID_SHA256 = "e1da36b47b96345199abbc383051cfa1470555f1dc624a012d1c8b9b0aff75fc"


def version() -> str:
    """The program's version."""
    [found] = re.findall(r'(?m)^version = "(.+)"$', (TOP / "pyproject.toml").read_text())
    return str(found)


def files() -> list[str]:
    """What belongs to the source: what git knows or would take."""
    listed = run("git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return sorted(name for name in listed if name and (TOP / name).is_symlink() | (TOP / name).is_file())


def unpack(target: Path) -> None:
    """A copy of the source in the directory *target*."""
    for name in files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, target / name, follow_symlinks=False)


def pack(folder: Path) -> Path:
    """*folder* as an archive beside it; the same bytes for the same files, whenever, wherever and by whom it is made."""
    tar = f"{folder}.tar"
    run("tar", "--create", "--file", tar, "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX", f"--mtime=@{EPOCH}",
        "-C", folder.parent, folder.name)  # fmt: skip
    run("gzip", "-n", "-9", tar)
    return Path(f"{tar}.gz")


def archive(folder: Path) -> Path:
    """kairos-boot-VERSION.tar.gz in *folder*."""
    inner = folder / f"kairos-boot-{version()}"
    unpack(inner)
    return pack(inner)


def blkid() -> Path:
    """The archive of the binding of libblkid, fetched once from the package index; its contents are the ones that are known here."""

    def fetch(draft: Path) -> None:
        draft.mkdir()
        pip = [CACHE / "venv/bin/pip"] if (CACHE / "venv/bin/pip").exists() else [sys.executable, "-m", "pip"]
        run(*pip, "download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", draft, BLKID.replace("-", "=="))
        if hashlib.sha256((draft / f"{BLKID}.tar.gz").read_bytes()).hexdigest() != BLKID_SHA256:
            raise SystemExit(f"{BLKID}.tar.gz of the package index is not the one that this was made with")

    return cached("packages-blkid", BLKID, fetch) / f"{BLKID}.tar.gz"
