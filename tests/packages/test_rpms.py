"""RPM packages: one spec file, and in them what `make install` installs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import package_build
import package_tree
import pytest
from package_tree import Chamber

from tests.packages.conftest import need_trees
from tests.packages.test_debs import TOP, listing

pytestmark = pytest.mark.root
OTHERS = ("usr/share/doc/", "usr/share/licenses/", "usr/lib/kairos-boot/blkid.")
"""What a packager adds."""
ELSEWHERE = {"usr/share/zsh/site-functions/_kairos-boot": "usr/share/zsh/vendor-completions/_kairos-boot"}
"""Where the family of Red Hat has it."""


@pytest.fixture(scope="module")
def suite() -> str:
    """One release has rpmbuild."""
    need_trees()
    return package_tree.SUITE


def test_they_are_what_is_installed_and_equal_in_two_builds(suite: str, chamber: Chamber, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        out.mkdir()
        package_build.rpm(suite, out)
    assert listing(first) == listing(second)
    subprocess.run([TOP / "packaging/install", "--destdir", tmp_path / "ours", "--compile"], check=True)
    subprocess.run([TOP / "packaging/install-image", "--destdir", tmp_path / "ours"], check=True)
    found: dict[str, str] = {}
    for path in sorted(first.glob("*.rpm")):
        if not path.name.endswith(".src.rpm"):
            [inside] = chamber.put(path, into="/new")
            chamber.run("sh", "-c", f"mkdir -p /new/{path.stem} && cd /new/{path.stem} && rpm2cpio {inside} | cpio --extract --make-directories --quiet")
            packed = listing(chamber.upper / "new" / path.stem)
            assert not set(packed) & set(found)
            found |= packed
    found = {ELSEWHERE.get(name, name): text for name, text in found.items() if not name.startswith(OTHERS)}
    assert found == listing(tmp_path / "ours")
