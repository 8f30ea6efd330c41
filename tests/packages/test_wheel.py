"""The wheel and the source distribution: the tools for documents on any machine with Python."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import package_build
import pytest

from tests.packages.test_debs import TOP, listing


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with both."""
    out = tmp_path_factory.mktemp("wheel")
    package_build.wheel("", out)
    return out


@pytest.mark.slow
def test_two_builds_are_equal_byte_for_byte(built: Path, tmp_path: Path) -> None:
    package_build.wheel("", tmp_path)
    assert listing(built) == listing(tmp_path)


@pytest.mark.slow
def test_it_checks_and_plans_documents_where_pip_installed_it(built: Path, tmp_path: Path) -> None:
    """With PyYAML and nothing else: no program of a node, no module that only Linux has."""
    [wheel] = built.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", tmp_path / "venv"], check=True)
    subprocess.run([tmp_path / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", wheel], check=True)
    document = tmp_path / "a.yaml"
    document.write_text("stages: {boot: [{name: Greeting, files: [{path: /etc/greeting, content: hello}]}]}\n")
    for words, said in ((["validate", document], ""), (["plan", "boot", document], "/etc/greeting"), (["schema"], '"$schema"'), (["version"], "0.1.0")):
        done = subprocess.run([tmp_path / "venv/bin/kairos-boot", *words], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


@pytest.mark.slow
def test_the_source_distribution_has_all_that_git_has(built: Path) -> None:
    [source] = built.glob("*.tar.gz")
    listed = subprocess.run(["git", "-C", TOP, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=True).stdout
    with tarfile.open(source) as archive:
        inside = {member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()}
    assert inside == {name for name in listed.split("\0") if name and os.path.lexists(TOP / name)} | {"PKG-INFO"}
