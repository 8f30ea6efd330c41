"""Requirements: `logs` makes one archive of what a fault report needs, and leaves out what may be secret."""

from __future__ import annotations

import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.reports.collect import collect
from kairos_boot.system.host import Host
from kairos_boot.system.process import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Programs:
    """Answers by the program's name."""

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"", whole: int = 0) -> Result:
        if argv[0] == "lsblk":
            raise KairosError("cannot run lsblk: No such file or directory")
        if argv[0] == "dmesg":
            return Result(1, "dmesg: not permitted\n")
        return Result(0, "-- No entries --\n" if "k3s" in argv else f"said by {' '.join(argv)}\n")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for path in ("run/cos/ledger/b1.jsonl", "var/log/kairos-boot/000001-b0.jsonl", "run/immucore/immucore.log", "oem/90_custom.yaml", "etc/shadow"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"content of {path}\n")
    return Host(str(tmp_path), Programs(), clock=lambda: 1000.0, online=True)


def test_the_archive_has_ledgers_logs_and_what_programs_say(host: Host, tmp_path: Path) -> None:
    target = str(tmp_path / "out.tar.gz")
    missed = collect(host, target)
    with tarfile.open(target) as archive:
        names = archive.getnames()
        ledger = archive.extractfile("files/run/cos/ledger/b1.jsonl")
        assert ledger is not None
        assert ledger.read() == b"content of run/cos/ledger/b1.jsonl\n"
    for name in ("files/var/log/kairos-boot/000001-b0.jsonl", "files/run/immucore/immucore.log", "journal/cos-setup-boot.log", "system/kernel.log"):
        assert f"{name}" in names
    assert "journal/k3s.log" not in names  # it has nothing to say
    assert missed == ["cannot run lsblk: No such file or directory", "dmesg: exit status 1"]
    assert not any("oem" in name or "shadow" in name for name in names)
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600


def test_a_place_that_cannot_be_written_is_named(host: Host, tmp_path: Path) -> None:
    with pytest.raises(KairosError, match=r"out\.tar\.gz"):
        collect(host, str(tmp_path / "no/out.tar.gz"))


@pytest.mark.parametrize("line", [
    "quiet stages.boot[0].users.amy.passwd=MARK root=x", 'quiet stages.boot[0].commands[0]="curl -u a:MARK \\"MARK\\"" root=x',
    "quiet stages.boot[0].hostname='a MARK' root=x", 'quiet "stages.boot[0].hostname=a MARK" root=x', 'quiet stages.a[0].x=1"MARK 2"MARK root=x',
    "quiet cos.setup=https://amy:MARK@config.example.com/x root=x", 'unknown parameters "quiet stages.a[0].x=MARK", passed on root=x'])
def test_configuration_and_passwords_of_the_kernel_command_line_are_left_out_wherever_they_stand(host: Host, tmp_path: Path, line: str) -> None:
    for path in ("proc/cmdline", "run/immucore/immucore.log"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(f"{line}\nnext\n")
    target = str(tmp_path / "out.tar.gz")
    collect(host, target)
    with tarfile.open(target) as archive:
        for name in ("files/proc/cmdline", "files/run/immucore/immucore.log"):
            member = archive.extractfile(name)
            assert member is not None
            text = member.read().decode()
            assert "MARK" not in text
            assert "quiet" in text
            if "unknown" not in line or name != "files/proc/cmdline":  # no kernel command line: its quotes are not those of words
                assert text.endswith("root=x\nnext\n")
            assert "(left out)" in text


def texts(target: str) -> dict[str, str]:
    """Everything in an archive."""
    with tarfile.open(target) as archive:
        return {member.name: file.read().decode() for member in archive if (file := archive.extractfile(member))}


@pytest.mark.parametrize("mode", [0o666, 0o644, 0o600])
def test_an_archive_that_is_there_is_replaced_whole(host: Host, tmp_path: Path, mode: int) -> None:
    """Whoever may read or holds the old one never sees the new one (attack: another user's file in /tmp)."""
    target = tmp_path / "out.tar.gz"
    target.write_text("old")
    target.chmod(mode)
    with open(target, encoding="utf-8") as old:
        collect(host, str(target))
        assert old.read() == "old"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert texts(str(target))
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == ["out.tar.gz"]


def test_what_is_no_plain_file_is_not_replaced(host: Host, tmp_path: Path) -> None:
    """A device, or a link that somebody planted."""
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "out.tar.gz").symlink_to(tmp_path / "victim")
    with pytest.raises(KairosError, match="no plain file"):
        collect(host, str(tmp_path / "out.tar.gz"))
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_file_that_cannot_be_taken_is_named_and_costs_itself_only(host: Host, tmp_path: Path) -> None:
    """A FIFO, a link that goes round, a link to a password file, a log that is too large."""
    logs = tmp_path / "var/log"
    os.mkfifo(logs / "fifo.log")
    (logs / "round.log").symlink_to("round.log")
    (logs / "link.log").symlink_to("/etc/shadow")
    (tmp_path / "run/cos/cos-layout.env").symlink_to("../../../../../etc/shadow")
    with open(logs / "large.log", "wb") as file:
        file.write(b"password=MA")
        file.truncate(300 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"RK\nthe end\n")
    target = str(tmp_path / "out.tar.gz")
    missed = collect(host, target)
    assert {line.partition(":")[0].rpartition("/")[2]: line.partition(": ")[2] for line in missed[:5]} == {
        "fifo.log": "no plain file", "round.log": "it is a link", "link.log": "it is a link", "cos-layout.env": "it is a link", "large.log": "its first 284 MiB"}
    found = texts(target)
    assert found["files/var/log/large.log"] == "the end\n"
    assert "files/run/cos/ledger/b1.jsonl" in found
    assert not any("shadow" in text for text in found.values())


def test_nothing_of_another_root_is_executed(tmp_path: Path) -> None:
    """Its programs are whoever's; its journal is read by this system's own journalctl."""
    class Nothing(Programs):
        def run(self, argv: Sequence[str], **_: object) -> Result:
            raise AssertionError(argv)

    (tmp_path / "var/log/journal").mkdir(parents=True)
    (tmp_path / "var/log/a.log").write_text("a\n")
    target = str(tmp_path / "out.tar.gz")
    missed = collect(Host(str(tmp_path), Nothing()), target, Programs())
    assert missed == ["systemctl, lsblk, dmesg: it is not the system that runs here"]
    found = texts(target)
    assert found["files/var/log/a.log"] == "a\n"
    assert f"--directory={tmp_path}/var/log/journal" in found["journal/boot.log"]
    assert not any(name.startswith("system/") for name in found)


def test_a_long_name_is_kept(host: Host, tmp_path: Path) -> None:
    name = f"var/log/kairos-boot/{'x' * 80}.jsonl"
    (tmp_path / name).write_text("long\n")
    target = str(tmp_path / "out.tar.gz")
    collect(host, target)
    assert texts(target)[f"files/{name}"] == "long\n"
