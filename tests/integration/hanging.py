"""What a run waits for that does not come back: the processes of its machine, where each of them waits in the kernel and in Python."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

FAULTHANDLER = ("/usr/bin/python3", "-X", "faulthandler", "-m", "kairos_boot")
"""The program, made to write the stacks of all its threads when it gets SIGABRT."""


def ended(run: subprocess.Popen[str], root: Path, seconds: float = 60.0) -> str:
    """Wait for *run* in the machine at *root*; what it said. AssertionError: it does not come back; with all that tells why."""
    try:
        return run.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        told = [f"the run did not come back within {seconds:g} s"]
    processes = sorted(int(entry.name) for entry in Path(f"{root}/proc").iterdir() if entry.name.isdigit())
    told += [_process(Path(f"{root}/proc/{number}")) for number in processes]
    _abort(root)
    try:
        said = run.communicate(timeout=5)[0]
    except subprocess.TimeoutExpired:
        run.kill()
        said = "(nothing, even then)"
    raise AssertionError("\n".join([*told, "its words and Python's stacks:", said]))


def _process(entry: Path) -> str:
    """One process: what it is, its parent, its state, and for each thread where it waits; the files that it has open."""
    def text(name: str) -> str:
        try:
            return (entry / name).read_bytes().replace(b"\0", b" ").decode(errors="backslashreplace").strip()
        except OSError as error:
            return f"({error.strerror})"

    status = dict(line.partition(":\t")[::2] for line in text("status").splitlines())
    wanted = {name: status.get(name, "").strip() for name in ("PPid", "State", "SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd")}
    lines = [f"{entry.name}: {text('cmdline') or status.get('Name', '')} {wanted}"]
    for thread in sorted(os.listdir(entry / "task")) if (entry / "task").is_dir() else ():
        stack = " < ".join(line.split()[-1].partition("+")[0] for line in text(f"task/{thread}/stack").splitlines())
        lines.append(f"  thread {thread}: {text(f'task/{thread}/wchan')}; {text(f'task/{thread}/syscall')}; {stack}")
    try:
        lines += [f"  file {number.name}: {os.readlink(number)}" for number in sorted((entry / "fd").iterdir())]
    except OSError:
        pass  # it has just ended
    return "\n".join(lines)


def _abort(root: Path) -> None:
    """Have every run of the program in the machine write its stacks, and end. Their numbers outside it are those of /proc here."""
    namespace = os.readlink(f"{root}/proc/1/ns/pid")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/pid") == namespace and b"kairos_boot" in (entry / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGABRT)
        except OSError:
            continue
