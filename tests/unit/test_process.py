"""The process door: what came out, how it ended, and nothing left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kairos_boot.errors import KairosError
from kairos_boot.system.process import KEEP, Processes

SHELL = ("/bin/sh", "-c")


def test_status_and_both_outputs_come_back() -> None:
    result = Processes().run((*SHELL, "echo out; echo err >&2; exit 7"))
    assert (result.code, result.output, result.timed_out) == (7, "out\nerr\n", False)
    assert result.explain() == "exit status 7"


def test_a_signal_is_told_from_a_status() -> None:
    result = Processes().run((*SHELL, "kill -9 $$"))
    assert result.code == -9
    assert result.explain() == "signal 9"


def test_standard_input_is_empty_unless_something_is_given() -> None:
    assert Processes().run(("cat",)).output == ""
    assert Processes().run(("cat",), stdin=b"given").output == "given"


def test_a_program_that_is_not_there_is_an_error_with_its_name() -> None:
    with pytest.raises(KairosError, match="no-such-program: No such file"):
        Processes().run(("no-such-program",))


def test_a_word_that_no_program_can_be_given_is_an_error() -> None:
    with pytest.raises(KairosError, match="null byte"):
        Processes().run(("echo", "a\0b"))


def test_a_time_limit_ends_the_whole_process_group() -> None:
    result = Processes().run((*SHELL, "sleep 300 & echo $!; sleep 300"), timeout=0.3)
    assert result.timed_out
    assert result.explain(0.3) == "time limit of 0.3 s"
    child = int(result.output)
    for _ in range(100):  # the kernel needs a moment to bury it
        try:
            if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the background child outlived the time limit")


def test_a_program_that_ignores_sigterm_is_killed() -> None:
    assert Processes().run((*SHELL, "trap '' TERM; while :; do sleep 0.1; done"), timeout=0.2).timed_out


def test_a_background_child_that_keeps_the_output_open_is_not_waited_for() -> None:
    before = time.monotonic()
    assert Processes().run((*SHELL, "sleep 60 & echo started")).output == "started\n"
    assert time.monotonic() - before < 30


def test_of_a_long_output_the_start_and_the_end_are_kept() -> None:
    result = Processes().run((*SHELL, "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo last"))
    assert result.output.startswith("first\n")
    assert result.output.endswith("last\n")
    assert "bytes left out" in result.output
    assert len(result.output) < 4 * KEEP


def test_bytes_that_are_no_text_come_back_readable() -> None:
    assert Processes().run((*SHELL, "printf '\\377'")).output == "\\xff"


def test_the_environment_is_inherited_added_to_and_has_a_path() -> None:
    runner = Processes(environment={"WORD": "quince"})
    assert runner.run((*SHELL, 'echo "$WORD $MORE"'), env={"MORE": "plum"}).output == "quince plum\n"
    assert "/usr/bin" in runner.run((*SHELL, "echo $PATH")).output


def test_no_descriptor_of_ours_stays_open() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    Processes().run(("true",))
    Processes().run(("sleep", "5"), timeout=0.1)
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.root
def test_below_another_root_programs_run_in_a_chroot_of_it() -> None:
    if os.geteuid():
        pytest.skip("needs root: chroot")
    assert Processes("/usr").run(("/bin/sh", "-c", "true")).code in (0, 127)
    assert Processes("/proc/self/root").run((*SHELL, "echo here")).output == "here\n"
