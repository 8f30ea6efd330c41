"""PID 1 and the kernel at the end of a boot: quiet consoles, and a restart that waits for nobody."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

_STATUS_OFF = 34 + 21
"""SIGRTMIN+21: systemd shows no more status lines on the console (systemd(1))."""
_RESTART = 0x01234567


def quiet(host: Host) -> None:
    """Let neither PID 1 nor the kernel write on the consoles any more, but for a kernel that dies."""
    try:
        with open(host.path("/proc/sys/kernel/printk"), "w", encoding="ascii") as file:
            file.write("1")
        if host.online:
            os.kill(1, _STATUS_OFF)
    except OSError:
        return


def restart(host: Host) -> None:
    """Restart the machine: by PID 1, which ends processes and file systems; should it not listen, by the kernel."""
    from kairos_boot.errors import KairosError

    os.sync()
    try:
        done = host.processes.run(("systemctl", "--force", "--no-wall", "reboot"), timeout=30).code == 0
    except KairosError:
        done = False
    if done:
        import time

        time.sleep(60)
    import ctypes

    ctypes.CDLL(None).reboot(_RESTART)
