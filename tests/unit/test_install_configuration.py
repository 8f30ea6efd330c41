"""What an installation leaves on COS_OEM: the configuration as it was written (F2), and what the section install asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.lifecycle.configuration import BLOCK, HARDENING, MOUNTS, documents
from kairos_boot.node import grubenv
from kairos_boot.node.config import Collector, Config
from kairos_boot.system.host import Host
from kairos_boot.system.reader import HostReader

if TYPE_CHECKING:
    from pathlib import Path

ONE = b"""#cloud-config
# A comment that stays.
users:
- {name: kairos, passwd: 012345, groups: [admin]}
write_files: [{path: /etc/x, permissions: 0644}]
version: 1.10
"""


class Reader(HostReader):
    """Files of *root*, and addresses out of a table."""

    pages: dict[str, bytes] = {}  # noqa: RUF012

    def fetch(self, url: str) -> bytes:
        """The page."""
        if url not in self.pages:
            raise KairosError("404 Not Found", url)
        return self.pages[url]


def config(root: Path, *texts: bytes, cmdline: str = "", pages: dict[str, bytes] | None = None) -> Config:
    """The configuration of documents in /oem."""
    (root / "oem").mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (root / f"oem/{number}.yaml").write_bytes(text)
    reader = Reader(Host(str(root)))
    reader.pages = pages or {}
    return Collector(reader, dict).collect(cmdline, ("/oem",))


def files(found: Config, cmdline: str = "") -> dict[str, tuple[bytes, int]]:
    """The files by name."""
    return {name: (content, mode) for name, content, mode in documents(found, cmdline, lambda path: f"#cloud-config\n# {path}\n".encode())}


def test_one_document_arrives_byte_for_byte_and_private(tmp_path: Path) -> None:
    assert files(config(tmp_path, ONE))["90_custom.yaml"] == (ONE, 0o640)


def test_settings_of_the_command_line_that_count_for_the_installation_alone_leave_it_as_it_is(tmp_path: Path) -> None:
    line = "install.auto=true install.device=auto debug config_url=http://nowhere.invalid/x root=live:X"
    assert files(config(tmp_path, ONE, cmdline=line), line)["90_custom.yaml"][0] == ONE


def test_of_several_documents_it_is_their_merge_with_each_scalar_as_written(tmp_path: Path) -> None:
    text = files(config(tmp_path, ONE, b"#cloud-config\ninstall: {bundles: [{targets: ['container://once']}]}\nstages: {boot: [{name: a}]}\n"))["90_custom.yaml"][0].decode()
    assert text.startswith("#cloud-config\n")
    for written in ("permissions: 0644", "passwd: 012345", "version: 1.10"):
        assert written in text
    assert text.count("container://once") == 1


def test_the_document_of_config_url_is_part_of_it_once(tmp_path: Path) -> None:
    page = b"#cloud-config\nstages: {boot: [{name: remote}]}\n"
    text = files(config(tmp_path, b"#cloud-config\nconfig_url: http://x/y\n", pages={"http://x/y": page}))["90_custom.yaml"][0].decode()
    assert text.count("remote") == 1
    assert "\nconfig_url:" not in text, "read again, its lists would be there twice"


def test_a_config_url_that_cannot_be_had_stays_for_later(tmp_path: Path) -> None:
    text = b"#cloud-config\nconfig_url: http://x/y\n"
    assert files(config(tmp_path, text))["90_custom.yaml"][0] == text


def test_documents_of_cloud_init_come_before_the_configuration(tmp_path: Path) -> None:
    found = files(config(tmp_path, b"#cloud-config\ninstall: {cloud-init: [/a.yaml, 'http://x/b']}\n"))
    assert [name for name in found if name.startswith("9")] == ["90_custom.yaml", "91_custom.yaml", "92_custom.yaml"]
    assert b"/a.yaml" in found["90_custom.yaml"][0]
    assert b"cloud-init" in found["92_custom.yaml"][0]


def test_custom_mounts_are_a_step_of_rootfs_that_reads_back(tmp_path: Path) -> None:
    """MNT-1: one blank between them, in the order of the configuration."""
    content, mode = files(config(tmp_path, b"#cloud-config\ninstall: {bind_mounts: [/var/bind1, /var/bind2], ephemeral_mounts: [/var/e1, /var/e2]}\n"))[MOUNTS]
    assert mode == 0o400
    assert b'"/var/bind1 /var/bind2"' in content
    assert b'"/var/e1 /var/e2"' in content


def test_grub_options_are_the_environment_block(tmp_path: Path) -> None:
    content, _ = files(config(tmp_path, b"#cloud-config\ninstall: {grub_options: {extra_cmdline: 'a=b c', default_fallback: 1, menu: true, none: null}}\n"))[BLOCK]
    path = tmp_path / "block"
    path.write_bytes(content)
    assert grubenv.load(str(path)) == {"extra_cmdline": "a=b c", "default_fallback": "1", "menu": "true"}
    assert len(content) == 1024


def test_ssh_hardening_needs_a_user_with_a_key(tmp_path: Path) -> None:
    with pytest.raises(KairosError, match="no user has a key"):
        files(config(tmp_path, b"#cloud-config\ninstall: {ssh_hardening: true}\nusers: [{name: a, groups: [admin]}]\n"))
    found = files(config(tmp_path, b"#cloud-config\ninstall: {ssh_hardening: true}\nusers: [{name: a, ssh_authorized_keys: [k]}]\n"))
    assert b"PasswordAuthentication no" in found[HARDENING][0]


@pytest.mark.parametrize("mount", ["relative", "/with blank", '/"quoted"', "/$HOME"])
def test_a_mount_that_cannot_be_is_refused(tmp_path: Path, mount: str) -> None:
    with pytest.raises(KairosError, match="not a directory that can be mounted"):
        files(config(tmp_path, f"#cloud-config\ninstall: {{bind_mounts: ['{mount}']}}\n".encode()))


def test_a_named_document_has_to_be_one(tmp_path: Path) -> None:
    """What `manual-install` is given."""
    reader = Reader(Host(str(tmp_path)))
    (tmp_path / "plain").write_bytes(b"users: []\n")
    (tmp_path / "bad").write_bytes(b"#cloud-config\nusers: [\n")
    (tmp_path / "good").write_bytes(b"#node-config\nusers: []\n")
    for name, said in (("/plain", "#cloud-config is missing"), ("/bad", "bad"), ("/none", "no such file"), ("http://x", "404")):
        with pytest.raises(KairosError) as caught:
            Collector(reader, dict).given(name, "")
        assert said in f"{caught.value.where} {caught.value}"
    assert Collector(reader, dict).given("/good", "").sources == ["/good"]
