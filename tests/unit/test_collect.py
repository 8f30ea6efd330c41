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
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class Programs:
    """Answers by the program's name."""

    def run(self, argv: Sequence[str], *, timeout: float = 0, env: Mapping[str, str] | None = None, stdin: bytes = b"",
            waiting: Callable[[float], None] | None = None) -> Result:
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
    return Host(str(tmp_path), Programs(), clock=lambda: 1000.0)


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
            assert text.endswith("root=x\nnext\n")
            assert "(left out)" in text
