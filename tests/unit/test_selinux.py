"""SELinux labels of an image that was written into: by its own policy, with its own setfiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.selinux import command, relabel
from kairos_boot.errors import KairosError
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Recorder:
    """A process runner that only notes what it is asked to run."""

    def __init__(self, code: int = 0, output: str = "") -> None:
        self.result = Result(code, output)
        self.ran: list[Sequence[str]] = []

    def run(self, argv: Sequence[str], **_: object) -> Result:
        self.ran.append(argv)
        return self.result


def system(root: Path, *, config: str = "SELINUX=enforcing\nSELINUXTYPE=mls\n", kind: str = "mls", setfiles: str = "usr/sbin/setfiles") -> str:
    """A system with a policy."""
    paths = [f"etc/selinux/{kind}/policy/policy.9", f"etc/selinux/{kind}/policy/policy.33", f"etc/selinux/{kind}/contexts/files/file_contexts", setfiles]
    for path in filter(None, paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    if config:
        (root / "etc/selinux/config").write_text(config, encoding="utf-8")
    return str(root)


def test_it_is_labelled_by_its_newest_policy_and_nothing_of_the_node_is(tmp_path: Path) -> None:
    runner = Recorder()
    assert relabel(Host("/", processes=runner), system(tmp_path))
    [words] = runner.ran
    text = " ".join(words)
    assert words[:3] == ("chroot", str(tmp_path), "/usr/sbin/setfiles")
    assert "-c /etc/selinux/mls/policy/policy.33 " in text
    assert text.endswith(" -F /etc/selinux/mls/contexts/files/file_contexts /")
    assert all(f"-e {path} " in text for path in ("/dev", "/proc", "/sys", "/run", "/oem", "/usr/local"))


def test_without_a_setting_the_policy_is_the_targeted_one(tmp_path: Path) -> None:
    assert "/etc/selinux/targeted/policy/policy.33" in command(system(tmp_path, config="", kind="targeted"))


@pytest.mark.parametrize("how", ["none at all", "disabled", "no contexts", "no policy"])
def test_a_system_without_a_policy_is_left_alone(tmp_path: Path, how: str) -> None:
    """And no program is started."""
    if how != "none at all":
        system(tmp_path, config="# SELINUX=enforcing\nSELINUX=disabled\n" if how == "disabled" else "SELINUXTYPE=mls\n")
    if how == "no contexts":
        (tmp_path / "etc/selinux/mls/contexts/files/file_contexts").unlink()
    if how == "no policy":
        for path in (tmp_path / "etc/selinux/mls/policy").iterdir():
            path.unlink()
    runner = Recorder()
    assert not relabel(Host("/", processes=runner), str(tmp_path))
    assert runner.ran == []


def test_a_policy_without_its_tool_is_told(tmp_path: Path) -> None:
    """Files without labels would be denied to all who enforce it."""
    with pytest.raises(KairosError, match="no setfiles") as caught:
        relabel(Host("/"), system(tmp_path, setfiles=""))
    assert "policycoreutils" in caught.value.hint
    assert not relabel(Host("/"), str(tmp_path), must=False)


def test_a_tool_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="exit status 255: invalid context x"):
        relabel(Host("/", processes=Recorder(255, "invalid context x\n")), system(tmp_path))


def test_links_of_the_image_lead_inside_it(tmp_path: Path) -> None:
    """The policy of the node, or its settings, never count for an image."""
    (tmp_path / "node").mkdir()
    (tmp_path / "image/etc").mkdir(parents=True)
    system(tmp_path / "node")
    (tmp_path / "image/etc/selinux").symlink_to(tmp_path / "node/etc/selinux")
    assert command(str(tmp_path / "image")) == ()
    (tmp_path / "image/etc/selinux").unlink()
    (tmp_path / "image/etc/selinux").symlink_to("/usr/etc/selinux")
    system(tmp_path / "image/usr", setfiles="sbin/setfiles")
    assert "/etc/selinux/mls/policy/policy.33" in command(str(tmp_path / "image"))
