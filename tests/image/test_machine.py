"""When an emulated machine counts as one that has stopped: in the kernel's first seconds, and no later."""

from __future__ import annotations

import machine
import pytest


@pytest.mark.parametrize(("screen", "early"), [
    ("", False),
    ("GRUB loading\nWelcome to GRUB!\n", False),
    ("[    1.306766] vgaarb: loaded\n[    1.314083] clocksource: Switched to clocksource hpet\n\n", True),
    ("[    0.889990] smp: Brought up 1 node, 2 CPUs", True),
    ("[    1.314083] clocksource: Switched to clocksource hpet\n[    3.000100] Run /init as init process\n", False),
    ("[   11.314083] EXT4-fs (loop0): mounted\n", False),
    ("[    1.314083] clocksource: Switched to clocksource hpet\nlogin: ", False),
])  # fmt: skip
def test_a_console_that_ends_in_the_kernels_first_seconds(screen: str, *, early: bool) -> None:
    assert machine.is_early(screen) is early
