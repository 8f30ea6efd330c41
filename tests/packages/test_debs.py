"""Debian's packages: what is in them, built twice, installed, upgraded, removed, purged."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import package_build
import pytest
from package_tree import Chamber

TOP = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.root
NOISE = ("var/lib/dpkg", "var/lib/apt", "var/log", "var/cache", "run", "tmp", "proc", "dev", "sys", "root", "build", "new", "etc/ld.so.cache", "var/lib/systemd/catalog/database")
"""What every package operation changes."""
NAMES = ("kairos-boot", "kairos-boot-dracut", "kairos-boot-image")


def contents(deb: Path, to: Path) -> Path:
    """A package, unpacked."""
    subprocess.run(["dpkg-deb", "--extract", deb, to], check=True)
    return to


def listing(root: Path) -> dict[str, str]:
    """Every file and link below *root* with a digest of what is in it."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            found[str(path.relative_to(root))] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def changed(chamber: Chamber) -> dict[str, str]:
    """What is another one in the layer than in the tree, or new, or gone: a whiteout is a device."""
    found = {}
    for path in sorted(chamber.upper.rglob("*")):
        name = str(path.relative_to(chamber.upper))
        below = chamber.tree / name
        if name.startswith(NOISE) or (path.is_dir() and not path.is_symlink() and below.is_dir()):
            continue
        if path.is_file() and below.is_file() and path.read_bytes() == below.read_bytes() and path.stat().st_mode == below.stat().st_mode:
            continue
        found[name] = "gone" if path.is_char_device() else "changed" if below.exists() else "new"
    return found


def newer(debs: list[Path], folder: Path) -> list[Path]:
    """The same packages as the next version, in which one module of the program is another one and one is no more."""
    made = []
    for deb in debs:
        tree = folder / deb.stem
        subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace("0.1.0-1", "0.1.0-2"))
        program = tree / "usr/lib/kairos-boot/kairos_boot"
        if program.exists():
            (program / "__init__.py").write_text((program / "__init__.py").read_text().replace("0.1.0", "0.1.0.2"))
            (program / "nearest.py").rename(program / "other.py")
            for path in program.rglob("*.py"):
                path.write_text(path.read_text().replace("kairos_boot.nearest", "kairos_boot.other"))
        made.append(folder / deb.name.replace("0.1.0-1", "0.1.0-2"))
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, made[-1]], check=True, stdout=subprocess.DEVNULL)
    return made


def test_lintian_has_nothing_to_say(built: tuple[Path, str]) -> None:
    assert built[1] == ""


def test_two_builds_are_equal_byte_for_byte(suite: str, built: tuple[Path, str], tmp_path: Path) -> None:
    """Packages, source and debugging symbols; the record of a build names its time, and nothing else may."""
    package_build.deb(suite, tmp_path, look=False)
    first, second = ({name: text for name, text in listing(folder).items() if not name.endswith((".buildinfo", ".changes"))} for folder in (built[0], tmp_path))
    assert first == second


def test_every_installed_file_is_in_one_package(debs: list[Path], tmp_path: Path) -> None:
    """With the bytes that `packaging/install` writes; besides these there is the compiled module and what Debian asks for."""
    subprocess.run([TOP / "packaging/install", "--destdir", tmp_path / "ours"], check=True)
    subprocess.run([TOP / "packaging/install-image", "--destdir", tmp_path / "ours"], check=True)
    ours = {name: text for name, text in listing(tmp_path / "ours").items() if not name.startswith("usr/share/man/")}
    packed: dict[str, str] = {}
    for deb in debs:
        found = listing(contents(deb, tmp_path / deb.stem))
        assert not set(found) & set(packed)
        packed |= found
    added = {name for name in packed if name.startswith(("usr/share/doc/", "usr/share/man/", "usr/share/lintian/", "usr/lib/kairos-boot/blkid."))}
    assert {name: text for name, text in packed.items() if name not in added} == ours
    assert {name for name in listing(tmp_path / "ours") if name.startswith("usr/share/man/")} <= {name.removesuffix(".gz") for name in added}
    assert len([name for name in added if name.endswith(".so")]) == 1


def test_installed_upgraded_removed_and_purged_nothing_is_left(chamber: Chamber, debs: list[Path], tmp_path: Path) -> None:
    """Byte code is made for the files that there are, and goes with them."""
    old, new = chamber.put(*debs, into="/new"), chamber.put(*newer(debs, tmp_path), into="/new")
    chamber.run("apt-get", "install", "--yes", *old)
    code = chamber.upper / "usr/lib/kairos-boot/bytecode"
    first = code.read_bytes()
    assert "0.1.0" in chamber.run("kairos-boot", "version")
    assert len(list(chamber.upper.glob("usr/lib/kairos-boot/**/*.pyc"))) == 2  # of those that find the one file
    chamber.run("apt-get", "install", "--yes", *new)
    assert code.read_bytes() != first
    assert "0.1.0.2" in chamber.run("kairos-boot", "version")
    assert not (chamber.upper / "usr/lib/kairos-boot/kairos_boot/nearest.py").exists()
    # What root's start writes where there is no byte code goes, too.
    code.unlink()
    chamber.run("kairos-boot", "version")
    assert len(list(chamber.upper.glob("usr/lib/kairos-boot/**/*.pyc"))) > 2
    chamber.run("dpkg", "--remove", *NAMES)
    assert changed(chamber) == {}
    chamber.run("dpkg", "--purge", *NAMES)
    assert changed(chamber) == {}
    assert [name for name in chamber.run("dpkg-query", "-W", "-f", "${Package}\n").split() if "kairos" in name] == []


def test_an_upgrade_that_is_cut_off_runs_from_the_sources(chamber: Chamber, debs: list[Path]) -> None:
    """Between the removal of the old byte code and the end of the new one's making, the program is there, too."""
    old = chamber.put(*debs, into="/new")
    chamber.run("apt-get", "install", "--yes", *old)
    chamber.run("dpkg", "--unpack", *old)
    assert not (chamber.upper / "usr/lib/kairos-boot/bytecode").exists()
    assert "0.1.0" in chamber.run("kairos-boot", "version")
    chamber.run("dpkg", "--configure", "--pending")
    assert (chamber.upper / "usr/lib/kairos-boot/bytecode").exists()


def test_the_tests_of_the_packages_pass(chamber: Chamber, debs: list[Path]) -> None:
    """Those that autopkgtest runs on the installed packages."""
    chamber.run("apt-get", "install", "--yes", *chamber.put(*debs, into="/new"))
    for name in chamber.put(*(TOP / "packaging/debian/tests" / name for name in ("installed", "image")), into="/new"):
        chamber.run("sh", name)
    assert sorted(path.name for path in (chamber.upper / "system/oem").iterdir()) == sorted(path.name for path in (TOP / "packaging/image/oem").iterdir())


def test_the_command_for_images_keeps_what_others_wrote(chamber: Chamber, debs: list[Path]) -> None:
    """It names it; with --force ours is written; what is missing for an initrd is told."""
    chamber.run("apt-get", "install", "--yes", *chamber.put(*debs, into="/new"))
    theirs = chamber.upper / "system/oem/30_system.yaml"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("stages: {}\n")
    said = chamber.run("kairos-boot-image", "--without-initrd")
    assert said.count("/system/oem/30_system.yaml stays as it is; --force replaces it") == said.count("stays as it is") == 1
    assert theirs.read_text() == "stages: {}\n"
    assert chamber.run("kairos-boot-image", "--without-initrd", "--force") == ""
    assert theirs.read_bytes() == (TOP / "packaging/image/oem/30_system.yaml").read_bytes()
    assert "there is no kernel in /usr/lib/modules; install one, or say --without-initrd" in chamber.run("kairos-boot-image", check=False)
