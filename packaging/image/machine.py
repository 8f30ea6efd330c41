"""A virtual machine under QEMU: its serial console, its power button, and ssh into the node that runs in it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import rootfs
from common import CACHE, ENV, discard, locked, say
from variant import SSH_KEY

FIRMWARE = Path("/usr/share/ovmf/OVMF.fd")
SECURE = Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
"""The firmware with Secure Boot."""
SNAKEOIL, MICROSOFT = Path("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd")
"""Stores of its variables in which it is on: one knows the test keys of Debian's ovmf, one the keys that machines are sold with."""
MEASURED = Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
"""Firmware that keeps its variables and measures them into a TPM, and never checks a signature."""
ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[a-zA-Z]|\r")
FAILED = re.compile(r"(?i)emergency mode|THIS NODE CANNOT BOOT|kernel panic|system halted|error: (?!no such device: COS_OEM\.).*(no such|not found)|grub rescue>")
EARLY = re.compile(r"\[ +[0-2]\.\d+\] ")
STILL = 180.0
"""Seconds in which the console says nothing, the kernel being in its first three: a processor or clock of the emulator has stopped then. They take one or two."""
TRIAL = 20  # seconds in which a kernel under KVM must have said something; without trouble it takes one


class MachineError(Exception):
    """The machine did not do what was waited for; the text ends with the end of its console."""


class Machine:
    """One QEMU process at a time on one disk; a reboot ends it, since a warm reboot under emulation takes minutes."""

    def __init__(self, disk: Path, scratch: Path, *, uefi: bool = False, secure: bool = False, keys: Path = SNAKEOIL, tpm: bool = False, memory: int = 2048,
                 others: Sequence[Path] = ()) -> None:
        """Describe the machine, *secure* with Secure Boot, whose variables it keeps and first has from *keys*; with a *tpm* 2, and the firmware's variables are kept, too; *disk* and the
        *others*, vdb and on, are qcow2 files, *scratch* takes console logs and sockets, and what firmware and TPM remember.
        """
        self.disk, self.scratch, self.uefi, self.secure, self.keys, self.tpm, self.memory, self.others = disk, scratch, uefi, secure, keys, tpm, memory, others
        self.counted = False
        """One emulated processor whose clock counts its instructions: the guest's times are the work that it does, whatever else the host does meanwhile."""
        self.boots = 0
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.chip: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self._how: dict[str, Any] = {}

    def start(self, *, kernel: Path | None = None, initrd: Path | None = None, append: str = "", reboots: bool = False,
              disc: Path | None = None, stick: Path | None = None, keyboard: bool = False) -> None:
        """Switch on; with a *keyboard* something can be typed at the serial console. A kernel and an initrd given here are started directly, without the disk's boot loader. A medium, the image of a disc or of a
        stick, is started before the disk.
        """
        self._how = {"kernel": kernel, "initrd": initrd, "append": append, "reboots": reboots, "disc": disc, "stick": stick, "keyboard": keyboard}
        self.boots += 1
        self.port = free_port()
        discard(self.monitor)
        discard(self.keyboard)
        self.console.write_text("")
        words = ["qemu-system-x86_64", "-name", "kairos-boot", "-machine", "q35,smm=on" if self.secure else "q35", *processors("tcg" if self.counted else acceleration(), 1 if self.counted else 2), "-m", str(self.memory)]
        words += ["-icount", "shift=3"] if self.counted else []
        serial = f"socket,id=serial,path={self.keyboard},server=on,wait=off,logfile={self.console}" if keyboard else f"file,id=serial,path={self.console}"
        words += ["-display", "none", "-chardev", serial, "-serial", "chardev:serial", "-qmp", f"unix:{self.monitor},server=on,wait=off"]
        words += ["-nic", f"user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:{self.port}-:22", "-device", "virtio-rng-pci"]
        for disk in (self.disk, *self.others):
            words += ["-drive", f"file={disk},if=virtio,format=qcow2,cache=unsafe"]
        for medium, device in ((disc, "scsi-cd"), (stick, "virtio-blk-pci,addr=1e")):  # behind the disks, whose names count from the first slot
            if medium:
                words += ["-device", "virtio-scsi-pci"] if medium == disc else []
                words += ["-drive", f"file={medium},if=none,id=medium,format=raw,read-only=on", "-device", f"{device},drive=medium,bootindex=0"]
        words += [] if reboots else ["-action", "reboot=shutdown"]
        words += self._secured() if self.secure else self._flash(*MEASURED) if self.tpm else ["-bios", str(FIRMWARE)] if self.uefi else []
        words += self._with_tpm() if self.tpm else []
        words += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", append] if kernel else []
        errors = (self.scratch / "qemu.log").open("ab")
        self.started = time.monotonic()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True, env=ENV)

    def _secured(self) -> list[str]:
        """What QEMU needs for Secure Boot: memory that only the firmware writes, and a store of variables of this machine's own."""
        return ["-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1", *self._flash(SECURE, self.keys)]

    def _flash(self, code: Path, variables: Path) -> list[str]:
        """Firmware with *variables* in the beginning, which it may change."""
        if not self.variables.exists():
            shutil.copyfile(variables, self.variables)
        return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}", "-drive", f"if=pflash,unit=1,format=raw,file={self.variables}"]

    def _with_tpm(self) -> list[str]:
        """Start this machine's TPM, which ends with QEMU; what it remembers stays."""
        link = self.scratch / "tpm.sock"
        self.secrets.mkdir(exist_ok=True)
        self._end_chip()
        discard(link)
        with (self.scratch / "swtpm.log").open("ab") as errors:
            self.chip = subprocess.Popen(["swtpm", "socket", "--tpm2", "--terminate", "--tpmstate", f"dir={self.secrets}", "--ctrl", f"type=unixio,path={link}"],
                                         stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True, env=ENV)  # fmt: skip
        end = time.monotonic() + TRIAL
        while not link.exists():
            if self.chip.poll() is not None or time.monotonic() > end:
                raise MachineError(f"the TPM does not start: {(self.scratch / 'swtpm.log').read_text()}")
            time.sleep(0.1)
        return ["-chardev", f"socket,id=tpm,path={link}", "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm"]

    def _end_chip(self) -> None:
        """Wait for the end of a TPM whose machine ended; one that no machine ever asked is ended."""
        if self.chip:
            try:
                self.chip.wait(5)
            except subprocess.TimeoutExpired:
                self.chip.kill()
                self.chip.wait()

    @property
    def variables(self) -> Path:
        """What the firmware remembers, its keys for Secure Boot among it."""
        return self.scratch / "variables.fd"

    @property
    def secrets(self) -> Path:
        """What the TPM remembers; without it this is another TPM."""
        return self.scratch / "tpm"

    @property
    def console(self) -> Path:
        """The file with all that the serial console showed in this boot."""
        return self.scratch / f"console-{self.boots}.log"

    @property
    def monitor(self) -> Path:
        """QEMU's control socket."""
        return self.scratch / "qmp.sock"

    @property
    def keyboard(self) -> Path:
        """What is typed at the serial console."""
        return self.scratch / "keyboard.sock"

    def type(self, text: str) -> None:
        """Type at the serial console of a machine that was started with a keyboard."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(self.keyboard))
            link.sendall(text.encode())
            time.sleep(1)  # a terminal that is closed at once takes the end of it along

    def screen(self) -> str:
        """The console's text so far, without colours."""
        return ESCAPES.sub("", self.console.read_text(errors="replace"))

    def running(self) -> bool:
        """Is QEMU there?"""
        return self.process is not None and self.process.poll() is None

    def fail(self, what: str) -> MachineError:
        """An error that shows the end of the console."""
        tail = "\n".join(line for line in self.screen().splitlines()[-60:] if line.strip())
        log = (self.scratch / "qemu.log").read_text(errors="replace")[-1000:]
        return MachineError(f"{what} (boot {self.boots}, {time.monotonic() - self.started:.0f} s after its start)\n{log}{tail}")

    def wait(self, what: str, test: Callable[[], Any], seconds: float, *, failed: re.Pattern[str] | None = FAILED) -> Any:
        """Poll until *test* is true and return its value; end at once when QEMU ends or the console shows a failed boot."""
        end = time.monotonic() + seconds
        while not (value := test()):
            if failed and (found := failed.search(self.screen())):
                time.sleep(2)  # what it says after that is the cause
                raise self.fail(f"{found[0]!r} instead of {what}")
            if not self.running():
                raise self.fail(f"QEMU ended before {what}")
            if time.monotonic() > end:
                raise self.fail(f"no {what} within {seconds:.0f} s")
            self._start_again_if_stopped()
            time.sleep(0.2)
        return value

    def _start_again_if_stopped(self) -> None:
        """Start the machine once more where its emulator has stopped before anything of the node ran. What the boot loader wrote stays: a try more is counted."""
        if self.running() and time.time() - self.console.stat().st_mtime > STILL and is_early(self.screen()):
            self.kill()
            with (self.scratch / "qemu.log").open("a") as log:
                log.write(f"boot {self.boots}: the emulator stopped in the kernel's first seconds, once more: {self.screen().strip().splitlines()[-1]}\n")
            self.boots -= 1
            self.start(**self._how)

    def wait_console(self, pattern: str, seconds: float, *, failed: re.Pattern[str] | None = FAILED) -> re.Match[str]:
        """Wait until the console shows *pattern*."""
        wanted = re.compile(pattern, re.MULTILINE)
        found = self.wait(f"{pattern!r}", lambda: wanted.search(self.screen()), seconds, failed=failed)
        assert isinstance(found, re.Match)
        return found

    def wait_ssh(self, seconds: float = 300) -> None:
        """Wait until the node's ssh server greets."""
        self.wait("an answer of the node's ssh server", self.greets, seconds)

    def greets(self) -> bool:
        """Does the ssh server answer? QEMU itself accepts each connection, so only what is said counts."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=3) as link:
            return link.recv(4) == b"SSH-"
        return False

    def ssh_command(self) -> list[str]:
        """The words that log in; without those that only keep it quiet."""
        options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes", "ConnectTimeout=30"]
        return ["ssh", "-i", str(SSH_KEY), "-p", str(self.port), *(word for option in options for word in ("-o", option)), "root@127.0.0.1"]

    def ssh(self, script: str, seconds: float = 180, *, check: bool = True) -> str:
        """Run a shell script on the node and return what it printed."""
        done = subprocess.run([*self.ssh_command(), script], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False, env=ENV)
        if check and done.returncode:
            raise self.fail(f"{script!r} on the node: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def wait_up(self, seconds: float = 300) -> str:
        """Wait until the boot is over, as systemd sees it; returns `running` or `degraded`."""
        self.wait_ssh(seconds)
        return self.ssh("systemctl is-system-running --wait", seconds, check=False).strip()

    def press_power(self, seconds: float = 300) -> None:
        """Press the power button and wait until the node has shut itself down."""
        self.control("system_powerdown")
        self.wait_off(seconds)

    def reboot(self, seconds: float = 300, **how: Any) -> None:
        """Let the node reboot itself, and start it in a new process."""
        self.ssh("systemctl reboot", check=False)
        self.wait_off(seconds)
        self.start(**how)

    def wait_off(self, seconds: float = 300) -> None:
        """Wait until QEMU has ended."""
        assert self.process
        end = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > end:
                raise self.fail("the machine does not switch off")
            self._start_again_if_stopped()
            time.sleep(0.2)

    def press(self, *names: str) -> None:
        """Press keys, one after the other, by QEMU's names of them."""
        for name in names:
            self.control("send-key", keys=[{"type": "qcode", "data": name}])

    def throttle(self, bytes_per_second: int) -> None:
        """Let the first disk be no faster than that; 0 is no limit."""
        limits = dict.fromkeys(("bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr"), 0)
        self.control("block_set_io_throttle", device="virtio0", bps=bytes_per_second, **limits)

    def control(self, command: str, **arguments: Any) -> None:
        """Give QEMU one command."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(self.monitor))
            with link.makefile("rw") as talk:
                for words, given in (("qmp_capabilities", {}), (command, arguments)):
                    talk.write(json.dumps({"execute": words, "arguments": given}) + "\n")
                    talk.flush()
                    while '"return"' not in (line := talk.readline()):
                        if not line or '"error"' in line:
                            raise MachineError(f"QEMU refuses {words}: {line}")

    def kill(self) -> None:
        """Pull the plug."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._end_chip()


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_early(screen: str) -> bool:
    """Does this console end in the kernel's first three seconds?"""
    lines = screen.strip().splitlines()
    return bool(lines and EARLY.match(lines[-1]))


def acceleration() -> str:
    """`kvm` where a kernel was seen to start under it, else `tcg`; remembered until this machine's next boot.

    That the device opens proves nothing: there are machines where the firmware runs under KVM and no kernel ever speaks.
    """
    memory = CACHE / "acceleration.json"
    this = {"boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "kernel": platform.release()}
    with locked(CACHE / ".acceleration.lock"):
        with contextlib.suppress(OSError, ValueError):
            known: dict[str, str] = json.loads(memory.read_text())
            if {name: known.get(name) for name in this} == this:
                return known["answer"]
        answer = "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) and kvm_trial() else "tcg"
        memory.write_text(json.dumps({**this, "answer": answer}))
    return answer


def processors(accelerator: str, count: int = 1) -> list[str]:
    """QEMU's words for so many processors. An emulated one clears and copies eight bytes at a time, and not single ones, as the kernel would with `erms` and `fsrm`.

    With them both processors were seen clearing pages for 16 s: the emulator searches for translated code, and discards it, at each store into a page of a program.
    """
    return ["-accel", accelerator, "-cpu", "max,-erms,-fsrm" if accelerator == "tcg" else "max", "-smp", str(count)]


def kvm_trial() -> bool:
    """Start a kernel under KVM and see whether it speaks."""
    say("  does KVM work here? A kernel is started under it once …")
    with tempfile.TemporaryDirectory() as scratch:
        console = Path(scratch) / "console"
        kernel = (rootfs.tree() / "boot/vmlinuz").resolve()
        words = ["qemu-system-x86_64", "-machine", "q35", *processors("kvm"), "-m", "512", "-display", "none", "-no-reboot"]
        words += ["-serial", f"file:{console}", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV) as trial:
            end = time.monotonic() + TRIAL
            spoke = False
            while time.monotonic() < end and not spoke:
                time.sleep(0.2)
                spoke = console.exists() and b"Linux version" in console.read_bytes()
                if trial.poll() is not None:
                    break
            trial.kill()
    say("  KVM works" if spoke else "  KVM does not work here: emulation, about ten times slower")
    return spoke
