"""logs: what a report of a fault needs, in one archive. Nothing that may hold secrets is taken: no cloud-config, no shadow.

The kernel command line may hold both; it is in a file, in the kernel's messages and in journals.
"""

from __future__ import annotations

import os
import stat
import zlib

from kairos_boot.errors import KairosError, reason
from kairos_boot.shown import masked_cmdline, masked_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kairos_boot.system.host import Host
    from kairos_boot.system.process import ProcessRunner, Result

UNITS = ("kairos-boot-image", "kairos-boot-initrd", "cos-setup-fs", "cos-setup-boot", "cos-setup-network", "cos-setup-reconcile", "kairos-agent",
         "kairos-installer", "k3s", "k3s-agent", "k0scontroller", "k0sworker")
"""Units whose journal is taken."""
FILES = ("/run/cos/ledger", "/var/log/kairos-boot", "/run/immucore", "/var/log/kairos", "/run/cos/cos-layout.env", "/run/cos/fatal", "/oem/.kairos", "/etc/os-release",
         "/proc/cmdline", "/proc/mounts", "/proc/partitions")
"""Files, and directories whose files are taken."""
COMMANDS = {
    "journal/boot.log": ("journalctl", "-b", "--no-pager", "-o", "short-monotonic", "-t", "kairos-boot"),
    "system/failed-units.txt": ("systemctl", "--failed", "--no-pager"),
    "system/blocks.txt": ("lsblk", "-o", "NAME,SIZE,TYPE,FSTYPE,LABEL,PARTLABEL,PARTUUID,MOUNTPOINTS"),
    "system/kernel.log": ("dmesg",),
}
LIMIT = 30.0
"""Seconds a command may take."""
LARGEST = 16 << 20
"""Bytes taken of a file, from its end."""
LINKS = ("/etc/os-release", "/proc/mounts")
"""Links everywhere. Any other would take what nobody meant, a password file for one."""


class Archive:
    """A .tar.gz of texts in a new file; it is made here, since no archive module is in an initrd."""

    def __init__(self, fd: int, now: int) -> None:
        self._fd, self._now = fd, now
        self._gzip = zlib.compressobj(wbits=31)

    def add(self, name: str, data: bytes) -> None:
        """Add a file of mode 0600, without what looks like a login."""
        text = data.decode("utf-8", "surrogateescape")
        data = (masked_cmdline if name == "files/proc/cmdline" else masked_log)(text).encode("utf-8", "surrogateescape")
        self._put(_header(name, len(data), self._now) + data + bytes(-len(data) % 512))

    def close(self) -> None:
        self._put(bytes(1024))
        _write(self._fd, self._gzip.flush())
        os.fsync(self._fd)

    def _put(self, data: bytes) -> None:
        _write(self._fd, self._gzip.compress(data))


def _header(name: str, size: int, now: int) -> bytes:
    """The block before a file, as POSIX has it; a long name is cut in two at a slash."""
    raw = os.fsencode(name)
    cut = raw.find(b"/", max(0, len(raw) - 101)) if len(raw) > 100 else -1
    prefix, raw = (raw[:cut][:155], raw[cut + 1:][:100]) if cut > 0 else (b"", raw[:100])
    block = bytearray(512)
    for at, value in ((0, raw), (100, b"0000600"), (108, b"0000000"), (116, b"0000000"), (124, b"%011o" % size), (136, b"%011o" % now), (148, b" " * 8),
                      (156, b"0"), (257, b"ustar\x0000"), (345, prefix)):
        block[at:at + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data):]


def collect(host: Host, target: str, processes: ProcessRunner | None = None) -> list[str]:
    """Write the archive *target* (.tar.gz, mode 0600) and return what could not be taken, with reasons. KairosError: it cannot be written.

    Of a tree that is not the running system, nothing is executed: *processes* runs this system's own journalctl on its journal.
    """
    beside = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.new")
    fd = -1
    try:
        if os.path.lexists(target) and not stat.S_ISREG(os.lstat(target).st_mode):
            raise KairosError("is there, and is no plain file", target, "name another file with -o")
        if os.path.lexists(beside):
            os.unlink(beside)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(fd, 0o600)
        archive = Archive(fd, int(host.clock()))
        missed = [line for path in files(host) for line in _file(host, archive, path)]
        missed += _programs(host, archive, processes)
        archive.close()
        os.rename(beside, target)
    except OSError as error:
        if fd >= 0:
            os.unlink(beside)
        raise KairosError(f"cannot be written: {reason(error)}", target) from error
    finally:
        if fd >= 0:
            os.close(fd)
    return missed


def _programs(host: Host, archive: Archive, processes: ProcessRunner | None) -> list[str]:
    run = host.processes.run
    commands: dict[str, Sequence[str]] = {**COMMANDS, **{f"journal/{unit}.log": _journal(unit) for unit in UNITS}}
    missed = []
    if not host.online:
        missed = [f"{', '.join(argv[0] for name, argv in COMMANDS.items() if name.startswith('system/'))}: it is not the system that runs here"]
        if processes is None or not host.is_directory("/var/log/journal"):
            return [*missed, "/var/log/journal: there is none"]
        run = processes.run
        there = f"--directory={host.path('/var/log/journal')}"
        commands = {name: (argv[0], there, *(word for word in argv[1:] if word != "-b")) for name, argv in commands.items() if argv[0] == "journalctl"}
    return missed + [line for name, argv in commands.items() for line in _output(run, archive, name, argv)]


def _journal(unit: str) -> Sequence[str]:
    return ("journalctl", "-u", unit, "--no-pager", "-o", "short-iso")


def files(host: Host) -> list[str]:
    """The files of FILES that there are, and the logs of /var/log itself."""
    found = [f"/var/log/{name}" for name in _names(host, "/var/log") if name.endswith(".log")]
    for path in FILES:
        found += [f"{path}/{name}" for name in _names(host, path)] or [path]
    return found


def _names(host: Host, path: str) -> list[str]:
    """What is in a directory; nothing where there is none."""
    try:
        return sorted(os.listdir(host.path(path)))
    except (OSError, KairosError):
        return []


def _file(host: Host, archive: Archive, path: str) -> list[str]:
    """Add the end of a plain file; nothing is waited for, and no link is followed but LINKS."""
    try:
        fd = os.open(host.path(path) if path in LINKS else host.entry(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if path in LINKS else os.O_NOFOLLOW))
        try:
            found = os.fstat(fd)
            if stat.S_ISDIR(found.st_mode):
                return []
            if not stat.S_ISREG(found.st_mode):
                return [f"{path}: no plain file"]
            cut = max(0, found.st_size - LARGEST)
            data = _bounded(fd, cut)
        finally:
            os.close(fd)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        return [f"{path}: {'it is a link' if os.path.islink(host.entry(path)) else reason(error)}"]
    except KairosError as error:
        return [str(error)]
    archive.add(f"files{path}", data.partition(b"\n")[2] if cut else data)  # half a line may be half a login
    return [f"{path}: its first {cut >> 20} MiB"] if cut else []


def _bounded(fd: int, start: int) -> bytes:
    os.lseek(fd, start, os.SEEK_SET)
    parts, rest = [], LARGEST
    while rest:
        part = os.read(fd, min(rest, 1 << 20))
        if not part:
            break
        parts.append(part)
        rest -= len(part)
    return b"".join(parts)


def _output(run: Callable[..., Result], archive: Archive, name: str, argv: Sequence[str]) -> list[str]:
    try:
        result = run(argv, timeout=LIMIT)
    except KairosError as error:
        return [str(error)]
    if result.output.strip() and "-- No entries --" not in result.output:
        archive.add(name, result.output.encode("utf-8", "backslashreplace"))
    return [] if result.code == 0 and not result.timed_out else [f"{' '.join(argv)}: {result.explain(LIMIT)}"]
