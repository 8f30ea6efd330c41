"""Requirement: a command that needs no shell ends as it would in one, in success and in failure."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kairos_boot.system.directly import PROGRAMS, SHELL, SHELLS, words
from kairos_boot.system.process import Processes

pytestmark = pytest.mark.skipif(os.path.basename(os.path.realpath("/bin/sh")) not in SHELLS, reason="the shell is another one")


@pytest.mark.parametrize(("text", "found"), [
    ("ln -sf /a /b", ("ln", "-sf", "/a", "/b")), ("  systemctl  enable a@b.timer ", ("systemctl", "enable", "a@b.timer")), ("chown -R root:admin /oem", ("chown", "-R", "root:admin", "/oem")),
    ("sync", ("sync",)), ("", ()), (" ", ()), ("echo a", ()), ("cd /", ()), ("test -e /a", ()), ("/bin/ln a b", ()), ("A=b ln a b", ()), ("ln=a b", ()), ("kill 1", ())])
def test_a_plain_call_of_a_known_program_needs_no_shell(text: str, found: tuple[str, ...]) -> None:
    assert words((*SHELL, text)) == found


@pytest.mark.parametrize("sign", list("\n\t|&;<>()$`\\\"'*?[]#~!{}^\0\u00e9\udc80"))
def test_whatever_a_shell_may_read_otherwise_is_left_to_it(sign: str) -> None:
    for text in (f"rm a{sign}b", f"rm {sign}", f"{sign}rm a", f"rm a {sign} b"):
        assert words((*SHELL, text)) == ()


def test_other_calls_are_left_as_they_are() -> None:
    for argv in (("rm", "-c", "rm a"), ("/bin/sh", "-e", "rm a"), ("/bin/sh", "-c", "rm a", "x"), ("/bin/bash", "-c", "rm a"), ("rm",), ("chroot", "/x", "/bin/sh", "-c", "rm a")):
        assert words(argv) == ()


def test_no_program_is_a_word_of_a_shell() -> None:
    for shell in ("dash", "bash"):
        told = Processes().run((shell, "-c", "; ".join(f"command -V {name}" for name in sorted(PROGRAMS))))
        assert "builtin" not in told.output
        assert "keyword" not in told.output


PROGRAM = {
    "success": "#!/bin/sh\necho $# $*; cat\n", "failure": "#!/bin/sh\necho no >&2; exit 3\n", "without an interpreter": "echo read by a shell $*\n",
    "with one that is missing": "#!/no/such/file\n", "that may not be run": None, "that is missing": "",
}


@pytest.mark.parametrize("kind", PROGRAM)
def test_a_program_ends_as_the_shell_would_tell(kind: str, tmp_path: Path) -> None:
    program, text = tmp_path / "touch", PROGRAM[kind]
    if text != "":
        program.write_text(text or "#!/bin/sh\n")
        program.chmod(0o755 if text else 0o644)
    processes = Processes(environment={"PATH": f"{tmp_path}:/no/such/directory" if kind in ("that may not be run", "that is missing") else f"{tmp_path}:{os.environ['PATH']}"})
    file = tmp_path / "b"  # the shell goes on to the system's program where the first one has no interpreter
    assert words((*SHELL, f"touch -a {file}"))
    assert processes.run((*SHELL, f"touch -a {file}")) == processes.run((*SHELL, f"touch '-a' {file}"))


def test_the_end_by_a_signal_is_told(tmp_path: Path) -> None:
    (tmp_path / "touch").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "touch").chmod(0o755)
    assert Processes(environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).run((*SHELL, "touch a")).code == -9
