"""The process door: what came out, how it ended, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kairos_boot.errors import Ended, KairosError
from kairos_boot.system.process import KEEP, Processes, _Kept

SHELL = ("/bin/sh", "-c")


def test_status_and_both_outputs_come_back() -> None:
    result = Processes().run((*SHELL, "echo out; echo err >&2; exit 7"))
    assert (result.code, result.output, result.timed_out) == (7, "out\nerr\n", False)
    assert result.explain() == "exit status 7"


def test_an_answer_is_whole_and_what_is_said_beside_it_is_not_in_it() -> None:
    """Lists of tags and manifests are longer than what people read of an output, and a warning must not be in the middle of them."""
    result = Processes().run((*SHELL, "echo warning >&2; head -c 3000000 /dev/zero | tr '\\0' x; echo more >&2; exit 3"), whole=4 << 20)
    assert result.output == "x" * 3_000_000
    assert (result.code, result.errors, result.said) == (3, "warning\nmore\n", "warning\nmore\n")


def test_an_answer_of_any_length_is_an_error_that_says_so() -> None:
    with pytest.raises(KairosError, match="/bin/sh answers with more than 2 MiB"):
        Processes().run((*SHELL, "head -c 9000000 /dev/zero"), whole=2 << 20)
    assert len(Processes().run((*SHELL, "head -c 2097152 /dev/zero"), whole=2 << 20).output) == 2 << 20


def test_an_output_that_never_runs_dry_is_left_for_the_time_limit() -> None:
    """Many writers fill a pipe faster than one reader empties it; /dev/zero is such an output for sure."""
    with open("/dev/zero", "rb") as endless:
        assert _Kept().read(endless.fileno())


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
    assert gone(int(result.output)), "the background child outlived the time limit"


def gone(pid: int) -> bool:
    """Whether a process has ended; the kernel needs a moment to bury it."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


FAR = "setsid sh -c 'echo $$; exec sleep 300' & "
"""A daemon: a session of its own, its parent gone."""


@pytest.mark.parametrize("start", [FAR, f"({FAR}); ", f"env -i {FAR}", "setsid env -i /bin/sh -c 'echo $$; trap \"\" TERM; while :; do sleep 1; done' & "])
def test_a_time_limit_reaches_what_went_into_a_session_of_its_own(start: str) -> None:
    """Also what took every variable away, or does not care for SIGTERM."""
    result = Processes().run((*SHELL, start + "sleep 300"), timeout=0.5)
    assert result.timed_out
    assert gone(int(result.output))


def test_a_daemon_of_a_command_that_succeeds_lives_on() -> None:
    runner = Processes()
    pid = int(runner.run((*SHELL, FAR.replace("exec sleep 300", "exec sleep 300 >&- 2>&-") + "sleep 0.3")).output)
    assert runner.run(("sleep", "300"), timeout=0.1).timed_out  # nor does a later command's limit reach it
    os.kill(pid, signal.SIGKILL)


NESTED = """
import sys
from kairos_boot.system.process import Processes
from kairos_boot.errors import Ended
import signal
def end(*_): raise Ended("ended")
signal.signal(signal.SIGTERM, end)
try:
    Processes().run(("/bin/sh", "-c", "echo $$ >&3; trap '' TERM; while :; do sleep 1; done"))
except Ended:
    print("ended in order", flush=True)
"""


def test_a_time_limit_reaches_the_commands_of_a_nested_run_which_ends_in_order(tmp_path: Path) -> None:
    """Its patience is shorter than that of the run around it, so it has the time to say so."""
    (tmp_path / "nested.py").write_text(NESTED.replace("&3", str(tmp_path / "pid")))
    runner = Processes(environment={"PATH": os.environ["PATH"]})
    result = runner.run((*SHELL, f'cd {Path(__file__).parents[2]} && exec {sys.executable} -c "$(cat {tmp_path}/nested.py)"'), timeout=1.5)
    assert result.timed_out
    assert result.output == "ended in order\n"
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_stop_from_another_thread_ends_what_runs_and_lets_nothing_more_begin(tmp_path: Path) -> None:
    runner = Processes()
    ended: list[str] = []

    def work() -> None:
        try:
            runner.run((*SHELL, f"echo $$ >{tmp_path}/pid; sleep 300"))
        except Ended as end:
            ended.append(str(end))

    thread = threading.Thread(target=work)
    thread.start()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    runner.stop()
    thread.join(30)
    assert ended == ["the run was ended before the step was done"]
    assert gone(int((tmp_path / "pid").read_text()))
    with pytest.raises(Ended):
        runner.run(("touch", str(tmp_path / "late")))
    assert not (tmp_path / "late").exists()


IGNORED = f"""
import signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
from kairos_boot.system.process import Processes
print(Processes().run(("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")).output)
"""


def test_signals_are_at_their_default_whatever_the_caller_ignores_or_blocks() -> None:
    said = subprocess.run([sys.executable, "-c", IGNORED], check=True, capture_output=True, text=True, timeout=60).stdout
    own = 0b11 << 31  # 32 and 33 are the C library's
    assert [int(line.split()[1], 16) & ~own for line in said.splitlines() if line] == [0, 0]


def test_a_reader_that_goes_ends_its_writer() -> None:
    """SIGPIPE is at its default: the writer of a pipe dies of it, as in every shell."""
    assert Processes().run(("/bin/bash", "-c", "seq 100000000 | head -1; echo ${PIPESTATUS[0]}")).output == "1\n141\n"


@pytest.mark.slow
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


def test_what_steers_programs_is_not_inherited_and_what_a_login_sets_is_there() -> None:
    steering = {"GIT_DIR": "/tmp/evil", "LD_PRELOAD": "/tmp/evil.so", "PYTHONPATH": "/tmp", "BASH_ENV": "/tmp/evil", "ENV": "/tmp/evil", "IFS": "x", "PERL5OPT": "-Mevil",
                "SYSTEMD_UNIT_PATH": "/tmp", "BASH_FUNC_ls%%": "() { evil; }", "ls": "() { evil; }", "NOTIFY_SOCKET": "/run/x", "TAR_OPTIONS": "--to-command=evil"}
    kept = {"http_proxy": "http://proxy:3128", "TMPDIR": "/var/tmp", "SSL_CERT_FILE": "/etc/own.pem", "WORD": "quince"}
    said = Processes(environment={**steering, **kept}).run(("env",)).output.splitlines()
    found = dict(line.split("=", 1) for line in said)
    assert not steering.keys() & found.keys()
    assert kept.items() <= found.items()
    assert found["LANG"] == "C.UTF-8"
    assert found["HOME"] == ("/" if os.geteuid() else "/root")
    assert found["PATH"].endswith("/bin")
    assert Processes(environment=steering).run(("env",), env={"GIT_DIR": "/own"}).output.count("GIT_DIR=/own") == 1


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
