"""os-release(5) is read in one way by everybody who asks (review 13)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.packages import family_of
from kairos_boot.system.host import Host
from kairos_boot.system.identity import os_release
from kairos_boot.system.keyvalue import lines, values

if TYPE_CHECKING:
    from pathlib import Path

FILES = [
    ("ID=debian\n", "debian"), ('ID="debian"\n', "debian"), ("ID='debian'\n", "debian"), ("# ID=alpine\nID=debian # not alpine\n", "debian"), ("ID=alpine\nID=debian", "debian"),
    ("  ID=debian  \n", "debian"), ('PRETTY_NAME="a \\"b\\" \\$c \\`d\\` \\\\e"\nID=debian\r\n', "debian"), ("ID=deb\\\nian\n", "debian"), ('ID="debi"an\n', "debian"), ("not a line\nID=debian\n=x\n", "debian"),
    ('NAME="open\nID=debian\n', "debian"), ("ID=\n", ""), ("", ""), ("id=debian\n", ""),
]


@pytest.mark.parametrize(("text", "name"), FILES)
def test_everybody_reads_the_same_id(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_bytes(text.encode())
    host = Host(str(tmp_path))
    assert os_release(host).get("ID", "") == name
    assert family_of(host.read)[0] == ("apt" if name else "")


@pytest.mark.parametrize("text", ['A="a \\"b\\" \\$c \\`d\\` \\\\e"', "A='b \\n'", "A=x\\ y", 'A="x\\!y"', 'A="two\nlines"', "A=a#b", 'A="b"\'c\'d', "A=", "A='' # c"])
def test_values_are_those_of_a_shell(text: str) -> None:
    said = subprocess.run(["/bin/sh", "-c", f'{text}\nprintf %s "$A"'], capture_output=True, text=True, check=True).stdout
    assert values(text) == {"A": said}


def test_nothing_of_a_file_is_lost() -> None:
    """The sources add up, faults have their line."""
    text = "# c\n\n  export A=1\nB='x\ny'\nrm -rf /\nC=\"open\nD=2"
    found = list(lines(text))
    assert "".join(source for _, _, source, _ in found) == text
    assert [(source, fault) for _, _, source, fault in found if fault] == [("rm -rf /\n", "not NAME=value: 'rm -rf /'"), ('C="open\n', "a quote is never closed")]
    assert values(text) == {"A": "1", "B": "x\ny", "D": "2"}
