"""A shell at the console for real: on a terminal that stands for the console, in a mount namespace of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

START = """
import pty, signal, subprocess, threading
from kairos_boot.errors import Ended
from kairos_boot.system import console, mounts
from kairos_boot.system.host import Host
master, slave = pty.openpty()
mounts.mount(os.ttyname(slave), "/dev/console", flags=mounts.BIND)
seen = b""
def reads():
    global seen
    while b"THE-END" not in seen:
        seen += os.read(master, 4096)
reader = threading.Thread(target=reads, daemon=True)
reader.start()
"""


def test_the_shell_has_the_console_as_its_terminal_and_its_end_is_the_breakpoints_end(unshared: Callable[..., Any]) -> None:
    code, seen = unshared(START + """
os.write(master, b"echo $((6*7)) jobs:$- $PPID; ps -o tty= -o sid= -p $$; exit 3\\n")
code = console.shell(Host(home), "what stopped, and why\\n", prompt="boot (/)", gettys=False)
os.write(slave, b"THE-END")
reader.join(20)
tell([code, seen.decode()])
""")
    assert code == 3
    assert "what stopped, and why" in seen
    assert "boot (/)# " in seen
    assert "42 jobs:" in seen
    assert "m" in seen.partition("42 jobs:")[2].split()[0], "the shell has no job control: the console is not its terminal"
    assert "no job control" not in seen


def test_a_stop_of_the_run_ends_the_shell(unshared: Callable[..., Any]) -> None:
    told = unshared(START + """
def stop(*_):
    raise Ended("stopped")
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 1)
try:
    console.shell(Host(home), "text\\n", prompt="x", gettys=False)
    told = "it came back"
except Ended as error:
    told = str(error)
left = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
tell([told, [pid for pid in left if os.path.exists(f"/proc/{pid}/comm") and open(f"/proc/{pid}/comm").read().strip() == "sh"]])
""")
    assert told == ["stopped", []]


def test_a_run_by_hand_in_the_shell_does_not_wait_for_the_lock_of_the_run_that_stopped(unshared: Callable[..., Any]) -> None:
    """Who sits there tries a step out; ten minutes of waiting for oneself would be no help."""
    seen = unshared(START + """
from kairos_boot.system.lock import Lock
os.makedirs(home + "/lock", mode=0o700)
path = home + "/lock/lock"
lock = Lock(path, "stage boot")
lock.acquire(print)
script = f"import sys; sys.path[:0] = {sys.path!r}; from kairos_boot.system.lock import Lock; lock = Lock({path!r}); lock.acquire(print, 0.1); print('shared', lock.shared)"
open(home + "/try.py", "w").write(script)
os.write(master, f"/usr/bin/python3 {home}/try.py; exit\\n".encode())
console.shell(Host(home), "text\\n", prompt="x", gettys=False)
os.write(slave, b"THE-END")
reader.join(20)
tell(seen.decode())
""")
    assert "shared True" in seen
