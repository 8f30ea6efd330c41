"""Extensions in a booted system of each release: the verbs of the installed packages, systemd's own services, and a file in /usr and in /etc."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.packages.conftest import booted
from tests.packages.test_running_node import RELEASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.container.conftest import Container

pytestmark = [pytest.mark.root, pytest.mark.container]
LOOPS = "for number in $(seq 0 255); do [ -e /dev/loop$number ] || mknod -m 0600 /dev/loop$number b 7 $number; done"
"""What the kernel's /dev has of itself, and a container's has not."""
MOUNTED = "mkdir -p /etc/ssh /var/ssh && echo kept >/var/ssh/kept && mount --bind /var/ssh /etc/ssh"
"""A directory of /etc that is a mount of its own, as the persistent ones of a node are."""
TREES = {
    "sysext": {"usr/bin/of-one": "#!/bin/sh\necho hello\n", "usr/lib/extension-release.d/extension-release.one": "{release}"},
    "confext": {"etc/of-one": "hello\n", "etc/ssh/of-one": "hidden\n", "etc/extension-release.d/extension-release.one": "{release}"},
}


def extension(kind: str, suite: str, home: Path) -> Path:
    """An image for the release *suite*."""
    top, image = home / kind, home / f"{kind}.d/one.raw"
    image.parent.mkdir()
    for name, content in TREES[kind].items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content.format(release=f"ID=debian\nVERSION_ID={RELEASES[suite]}\n"))
        path.chmod(0o755)
    subprocess.run(["mksquashfs", top, image, "-quiet", "-no-progress", "-all-root"], check=True, stdout=subprocess.DEVNULL)
    return image


@pytest.fixture(params=["sysext", "confext"])
def kind(request: pytest.FixtureRequest) -> str:
    """What is merged into /usr, or into /etc."""
    return str(request.param)


@pytest.fixture
def system(suite: str, kind: str, debs: list[Path], tmp_path: Path) -> Iterator[Container]:
    """Debian, booted as a node's active system, with the packages; the image is /new/one.raw."""
    with booted(suite, tmp_path / "log", [*debs, extension(kind, suite, tmp_path)], {}, ["--bind=/dev/loop-control"]) as container:
        container.run("sh", "-c", f"{LOOPS}; {MOUNTED}; mkdir -p /run/cos && touch /run/cos/active_mode; apt-get install --yes /new/*.deb")
        yield container


def test_systemd_merges_what_is_enabled_and_takes_it_away_again(system: Container, kind: str, suite: str) -> None:
    """Debian 12 has no systemd-confext, so nothing is kept there that nobody would merge."""
    said = system.run("kairos-boot", kind, "install", "file:/new/one.raw", check=False)
    if (kind, suite) == ("confext", "bookworm"):
        assert "systemd-confext" in said
        assert system.run("kairos-boot", kind, "list") == ""
        return
    assert said == f"one.raw is installed: kairos-boot {kind} enable --active one.raw\n"
    assert system.run("kairos-boot", kind, "enable", "--active", "--now", "one") == "one.raw is enabled for active\none.raw is merged\n"
    look = {"sysext": ("of-one",), "confext": ("cat", "/etc/of-one")}[kind]
    assert system.run(*look) == "hello\n"
    assert system.run("kairos-boot", kind, "list") == "one.raw  for active  merged\n"
    assert system.run("cat", "/etc/ssh/kept") == "kept\n", "what is mounted in /etc is not hidden"
    system.run("useradd", "somebody")
    system.run("systemctl", "restart", f"systemd-{kind}.service")
    assert system.run(*look) == "hello\n"
    assert system.run("id", "-un", "somebody") == "somebody\n", "what a stage wrote into /etc is there after another merge"
    assert system.run("kairos-boot", kind, "disable", "--active", "--now", "one") == "one.raw is disabled for active\none.raw is not merged any more\n"
    assert "No such file" in system.run("ls", {"sysext": "/usr/bin/of-one", "confext": "/etc/of-one"}[kind], check=False)
