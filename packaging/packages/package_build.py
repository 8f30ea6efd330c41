"""Each kind of package, from the source archive to the files that people install."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import package_source as source
from package_tree import Chamber, tools

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "image"))
from common import CACHE, TOP, need_root, phase, run

LINTIAN = ("lintian", "--allow-root", "--tag-display-limit", "0", "--display-info", "--fail-on", "none")
ONE_SOURCE = ("out-of-date-standards-version", "package-supports-alternative-init-but-no-init.d-script")
"""What only some releases' lintian says; one source serves them all, so no override can be right in each: the standards are those of the oldest, and nodes have systemd."""
DEB = """
set -e
cd /build
tar -xf "kairos-boot_$1.orig.tar.gz"
cd "kairos-boot-$1"
mkdir pylibblkid && tar -xf "../kairos-boot_$1.orig-pylibblkid.tar.gz" -C pylibblkid --strip-components=1
cp -a packaging/debian debian
exec dpkg-buildpackage -us -uc
"""


def deb(suite: str, out: Path, *, look: bool = True) -> tuple[list[Path], str]:
    """Debian's packages, their source, and what lintian says of them if it shall *look*."""
    need_root(sys.argv)
    name, number = "kairos-boot", source.version()
    with phase(f"debs for {suite}"), tempfile.TemporaryDirectory() as folder:
        chamber = Chamber(tools(suite), "deb")
        try:
            archive = source.archive(Path(folder))
            for file, target in ((archive, f"{name}_{number}.orig.tar.gz"), (source.blkid(), f"{name}_{number}.orig-pylibblkid.tar.gz")):
                chamber.put(Path(shutil.copy(file, f"{folder}/{target}")), into="/build")
            chamber.run("sh", "-c", DEB, "sh", number, DEB_BUILD_OPTIONS="parallel=2")
            [changes] = [path.name for path in (chamber.upper / "build").glob("*.changes")]
            said = chamber.run(*LINTIAN, f"/build/{changes}") if look else ""
            remarks = [line for line in said.splitlines() if line.strip() and not any(f": {tag} " in line for tag in ONE_SOURCE)]
            return sorted(Path(shutil.copy(path, out)) for path in (chamber.upper / "build").iterdir() if path.is_file()), "\n".join(remarks)
        finally:
            chamber.close()


def rpm(suite: str, out: Path) -> tuple[list[Path], str]:
    """RPM packages; those of a release of Debian are for looking at: they ask for its libraries."""
    need_root(sys.argv)
    with phase(f"rpms in {suite}"), tempfile.TemporaryDirectory() as folder:
        chamber = Chamber(tools(suite), "rpm")
        try:
            chamber.put(source.archive(Path(folder)), source.blkid(), into="/build/SOURCES")
            [spec] = chamber.put(TOP / "packaging/rpm/kairos-boot.spec", into="/build")
            chamber.run("rpmbuild", "-ba", "--nodeps", "--define", "_topdir /build", "--define", "use_source_date_epoch_as_buildtime 1", "--define",
                        "clamp_mtime_to_source_date_epoch 1", "--define", "_buildhost reproducible", spec)  # fmt: skip
            packages = [*(chamber.upper / "build").glob("RPMS/*/*.rpm"), *(chamber.upper / "build").glob("SRPMS/*.rpm")]
            return sorted(Path(shutil.copy(path, out)) for path in packages), ""
        finally:
            chamber.close()


def wheel(_suite: str, out: Path) -> tuple[list[Path], str]:
    """For pip: a wheel, and the source distribution, which is the source archive as pip wants it."""
    with phase("wheel"), tempfile.TemporaryDirectory() as folder:
        name = f"kairos-boot-{source.version()}"
        source.unpack(Path(folder, name))
        pip = [CACHE / "venv/bin/pip"] if (CACHE / "venv/bin/pip").exists() else [sys.executable, "-m", "pip"]
        run(*pip, "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--wheel-dir", folder, f"{folder}/{name}")
        [made] = Path(folder).glob("*.whl")
        shutil.rmtree(f"{folder}/{name}")
        target = Path(folder, name.replace("kairos-", "kairos_"))
        source.unpack(target)
        with zipfile.ZipFile(made) as archive:
            [metadata] = [inner for inner in archive.namelist() if inner.endswith("/METADATA")]
            (target / "PKG-INFO").write_bytes(archive.read(metadata))
        return [Path(shutil.copy(path, out)) for path in (made, source.pack(target))], ""


KINDS: dict[str, Callable[[str, Path], tuple[list[Path], str]]] = {"deb": deb, "rpm": rpm, "wheel": wheel}
