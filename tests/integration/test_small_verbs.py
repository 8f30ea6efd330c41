"""Verbs of Kairos' agent that scripts call: what they print is theirs to the byte."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


def verb(*words: str, stdin: str = "", **env: str) -> tuple[int, str, str]:
    run = subprocess.run([sys.executable, "-m", "kairos_boot", *words], cwd=TOP, env={"PATH": "/usr/bin:/bin", **env}, input=stdin, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def test_uuid_is_machine_id_and_host_name_without_a_newline() -> None:
    _, machine, _ = verb("state", "get", "uuid")
    assert verb("uuid") == (0, machine, "")
    assert machine.count("-") >= 1
    assert not machine.endswith("\n")
    assert verb("uuid", UUID="a-b") == (0, "a-b", "")
    assert verb("uuid", "x")[0] == 2


def test_a_template_gets_the_configuration_and_the_state(tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_text('{{ .State.boot }} {{ if .Config }}some{{ else }}none{{ end }} {{ "a" | upper }}\n')
    code, said, _ = verb("render-template", "--file", str(file))
    assert (code, said.split()[1:]) == (0, [said.split()[1], "A"])
    assert said.split()[0] == verb("state", "get", "boot")[1]
    assert verb("render-template", "-f", "-", stdin="{{ add 1 2 }}") == (0, "3", "")


def test_what_is_no_template_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a\n{{ nothing 1 }}")
    code, said, complaint = verb("render-template", "--file", str(tmp_path / "t"))
    assert (code, said) == (1, "")
    assert complaint.startswith(f"error: {tmp_path}/t: ")
    assert '"nothing" not defined' in complaint
    assert verb("render-template", "--file", str(tmp_path / "absent"))[0] == 3
    assert verb("render-template")[0] == 2
