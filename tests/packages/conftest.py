"""Packages are built and tried in a Debian tree of their own, which `packaging/packages/build deb` makes; in layers that are thrown away."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import package_build
import package_tree
import pytest

from tests.container.conftest import Container, Layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ASKED = "KAIROS_PACKAGES" in os.environ
"""Set by `make packages-test`: it makes the trees that packages are built in, which takes minutes, and is long without that."""


def need_trees() -> None:
    """Skip where nobody asked for the trees."""
    if not ASKED:
        pytest.skip("`make packages-test` builds packages in trees of Debian")


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def suite(request: pytest.FixtureRequest) -> str:
    """A release of Debian, if its tree is there."""
    need_trees()
    return str(request.param)


@pytest.fixture(scope="session")
def built(suite: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The directory with the packages of the work tree for a release, and what lintian says of them."""
    out = tmp_path_factory.mktemp(f"debs-{suite}")
    return out, package_build.deb(suite, out)[1]


@pytest.fixture(scope="session")
def debs(built: tuple[Path, str]) -> list[Path]:
    """The three packages that people install."""
    return sorted(path for path in built[0].glob("*.deb") if "dbgsym" not in path.name)


@pytest.fixture
def chamber(suite: str) -> Iterator[package_tree.Chamber]:
    """A tree that has what our packages depend on, and no package of ours."""
    made = package_tree.Chamber(package_tree.tools(suite), "test")
    yield made
    made.close()


@contextmanager
def booted(suite: str, log: Path, new: Sequence[Path], files: Mapping[str, str], options: Sequence[str] = ()) -> Iterator[Container]:
    """Debian, booted, with copies of *new* in /new and *files*; *options* are systemd-nspawn's."""
    home = package_tree.scratch("boot")
    layer = Layer(home / "upper")
    (layer.path / "new").mkdir(parents=True)
    layer.write(files)
    for path in new:
        shutil.copy(path, layer.path / "new")
    container = Container(package_tree.tools(suite), layer.path, log, options)
    try:
        container.wait()
        yield container
    finally:
        container.process.terminate()
        container.process.wait(timeout=60)
        shutil.rmtree(home)
