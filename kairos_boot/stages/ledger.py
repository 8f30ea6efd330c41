"""The ledger: what happened in this boot, one append-only file of JSON lines (E1).

Each record is one line and one write to a file opened for appending, so a cut costs at most the line being written; several
processes may write at once. The writer has its own small encoder, since a boot must not pay for importing `json`.

Every record has `kind`, `time` (seconds since the epoch) and `uptime` (seconds since the kernel started), both of the moment of
writing; one with a `duration` was `duration` seconds long and ended then. The kinds and their further fields:

- `boot`: `mode` and other facts of the boot, each a field.
- `stage`: `stage`, `event` start or end. The start has who began the run, `by` unit (with `unit`), hand, or step (of another run; the
  initrd's own two have none), `process` (when the process began, as uptime), and `sources` where they are not the default ones; the end has `result` done, degraded or interrupted
  (something ended the run in order), `done`, `skipped`, `failed`, `duration`.
- `begin`: `stage`, `step`, `file`: the step is at work from here on; a run that is cut off was at the last of them that has no `step`.
- `step`: `stage`, `step`, `file`, `result` done, unchanged, skipped or failed, `content` (a number that tells it from
  another step's; not of a skipped one), `reason`, `duration`.
- `item`: `stage`, `step`, `module`, `action`, `result` changed, unchanged, failed or warning, `error`, `where`, `hint`, `duration`.
- `problem`: `stage`, `step`, `severity`, `where`, `message`, `hint`: a document, an `after` entry or a condition that is wrong.
- `mount`: `what`, `where`, `type`, `options`, `result` done, missing or failed, `error`: a part of the initrd's work.
- `failed-boot`: `entry`, `where`, `message`, `hint`, `log`, `boot` (its id, where its own ledger was left), `happened`: an entry of the boot menu that was tried before this boot, and why it failed.
- `difference`: `stage`, `step`, `file`, `module`, `path`, `wanted`, `found`, `where`: something that a step of this boot declared is otherwise now.
- `drift`: a comparison has ended, its `difference` records stand before it: `steps`, `things` that were compared, `differences`,
  `again` (the steps that run again), `left` (those that their `frequency` leaves out), `changed` (the documents that were changed since, and so not compared), `duration`.
- `assessment`: `result` good or not good, `trial` (after which action, or nothing), `reasons`: the boot was judged.
- `kept`: `result` failed, `error`: the copy on the persistent partition could not be made.
"""

from __future__ import annotations

import errno
import os
import time

from kairos_boot.errors import reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from kairos_boot.system.host import Host

DIRECTORY = "/run/cos/ledger"
KEPT = "/var/log/kairos-boot"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
NO_BOOT = "unknown"
"""What a boot is called where nothing names it: in a tree that is not running, and without /proc."""
BOOTS = 10
"""So many boots are kept, this one included."""
TEXT = 4096
"""Characters kept of a text: half from its start, half from its end."""
NESTED = 64
"""A record that is nested deeper is damaged."""
ITEMS = 256
"""Entries kept of a list or a map."""

_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x20), 0x7f)}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n", ord("\t"): "\\t", ord("\r"): "\\r"}


class Ledger:
    """Writes the records of the boot *boot_id* to a file in *directory* (a real path, made when missing).

    *clock* gives seconds since the epoch, *monotonic* seconds since the kernel started. Writing never raises: when it fails,
    *error* says why from then on, and later records are tried all the same.
    """

    def __init__(self, directory: str, boot_id: str, clock: Callable[[], float] = time.time,
                 monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = f"{directory}/{boot_id}.jsonl"
        self.boot_id = boot_id
        self.error = ""
        self._clock = clock
        self._monotonic = monotonic
        self._fd = -1
        self._torn = False
        self._complained = False

    def write(self, kind: str, **fields: Any) -> None:
        """Append a record. Long texts are cut in their middle; secrets must not be given (C5)."""
        record = {"kind": kind, "time": round(self._clock(), 6), "uptime": round(self._monotonic(), 6), **fields}
        line = (encode(record) + "\n").encode("utf-8", "backslashreplace")
        try:
            if self._fd < 0:
                self._open()
            data = b"\n" + line if self._torn else line
            self._torn = True
            self._torn = os.write(self._fd, data) != len(data)
        except OSError as error:
            self.error = f"{self.path}: {reason(error)}"

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        size = os.fstat(self._fd).st_size
        self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"

    def keep(self, host: Host, directory: str = KEPT, boots: int = BOOTS) -> bool:
        """Copy this boot's ledger to *directory* of the node, where the last *boots* boots stay; whether it was possible.

        The copy is atomic, and its name begins with a number that grows with each boot, since the clock of a node without a
        battery does not. A log directory that cannot be written is recorded once and nothing more.
        """
        try:
            for earlier in adopted(os.path.dirname(self.path), self.boot_id):
                path = f"{os.path.dirname(self.path)}/{earlier}.jsonl"
                _keep(path, earlier, host.path(directory), boots)
                os.unlink(path)
            _keep(self.path, self.boot_id, host.path(directory), boots)
        except OSError as error:
            if error.errno == errno.ENOENT and not os.path.exists(self.path):
                return False  # nothing was written yet
            if not self._complained:
                self._complained = True
                self.write("kept", result="failed", where=directory, error=reason(error))
            return False
        return True

    def adopt(self, boot_id: str, data: bytes) -> bool:
        """Take over *data*, the record of an earlier boot that could not keep it; `keep` keeps it as the one before this boot's. Whether it is there.

        An id that is none is nothing.
        """
        if not boot_id or set(boot_id) - set("0123456789abcdef-") or boot_id == self.boot_id:
            return True
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with open(os.open(f"{os.path.dirname(self.path)}/{boot_id}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640), "wb") as file:
                file.write(data)
        except FileExistsError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close the file; a later record opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class NoLedger(Ledger):
    """That of a build: nobody reads it, and nothing of a build stays on its machine, however it ends."""

    def __init__(self) -> None:
        super().__init__("", "build")

    def write(self, kind: str, **fields: Any) -> None:
        """Forget the record."""

    def keep(self, host: Host, directory: str = KEPT, boots: int = BOOTS) -> bool:  # noqa: ARG002
        """There is nothing to keep."""
        return False

    def adopt(self, boot_id: str, data: bytes) -> bool:  # noqa: ARG002
        """No boot is looked at."""
        return False


def _keep(path: str, boot_id: str, directory: str, boots: int) -> None:
    with open(path, "rb", buffering=0) as source:
        size = os.fstat(source.fileno()).st_size
        os.makedirs(directory, mode=0o750, exist_ok=True)
        known = kept(directory)
        own = next((name for _, boot, name in known if boot == boot_id), "")
        name = own or f"{known[-1][0] + 1 if known else 1:06d}-{boot_id}.jsonl"
        target = f"{directory}/{name}"
        if not own or os.stat(target).st_size != size:
            _copy(source.fileno(), size, target)
        for left in os.listdir(directory):  # of a boot that was cut while it copied
            if left.endswith(".jsonl.new"):
                os.unlink(f"{directory}/{left}")
        others = [entry for entry in known if entry[1] != boot_id]
        for _, _, old in others[:max(0, len(others) - (boots - 1))]:
            os.unlink(f"{directory}/{old}")


def _copy(source: int, size: int, target: str) -> None:
    new = f"{target}.new"
    out = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        with open(out, "wb") as file:
            at = 0
            while at < size and (data := os.pread(source, min(size - at, 1 << 20), at)):
                at += file.write(data)
            file.flush()
            os.fsync(out)
        os.rename(new, target)
    except OSError:
        os.unlink(new)
        raise


def adopted(directory: str, boot_id: str) -> list[str]:
    """The ids of earlier boots whose ledgers lie in *directory* beside that of *boot_id*, the oldest first."""
    try:
        found = [(entry.stat(follow_symlinks=False).st_mtime_ns, entry.name.removesuffix(".jsonl")) for entry in os.scandir(directory) if entry.name.endswith(".jsonl")]
    except OSError:
        return []
    return [name for _, name in sorted(found) if name not in (boot_id, NO_BOOT)]


def boot_id(host: Host) -> str:
    """The id of the boot that *host* is in, NO_BOOT where there is none: who writes a ledger and who reads it call it the same."""
    return (host.read(BOOT_ID) or b"").decode("ascii", "replace").strip() or NO_BOOT


def kept(directory: str) -> list[tuple[int, str, str]]:
    """Number, boot id and file name of each ledger in *directory*, the oldest first."""
    found = []
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    for name in names:
        number, dash, boot = name.removesuffix(".jsonl").partition("-")
        if name.endswith(".jsonl") and dash and number.isdecimal():
            found.append((int(number), boot, name))
    return sorted(found)


def encode(value: Any) -> str:
    """*value* (text, numbers, booleans, None, lists, maps) as JSON on one line; anything else as its text."""
    if isinstance(value, str):
        if len(value) > TEXT:
            value = f"{value[:TEXT // 2]} [… {len(value) - TEXT} characters left out …] {value[-TEXT // 2:]}"
        if value.isprintable() and '"' not in value and "\\" not in value:
            return f'"{value}"'  # most are such
        return f'"{value.translate(_ESCAPES)}"'
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return repr(round(value, 6)) if abs(value) < 1e15 else "null"
    if isinstance(value, dict):
        items = [f"{encode(str(key))}: {encode(entry)}" for key, entry in list(value.items())[:ITEMS]]
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple):
        entries = [encode(entry) for entry in value[:ITEMS]]
        if len(value) > ITEMS:
            entries.append(encode(f"… {len(value) - ITEMS} more"))
        return f"[{', '.join(entries)}]"
    return encode(str(value))


def read(data: bytes) -> tuple[list[dict[str, Any]], int]:
    """The records of a ledger's content, and how many lines were damaged (a torn last line is one)."""
    records = []
    damaged = 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            record = _parsed(line) if _is_flat(line) else None
        except (ValueError, RecursionError):
            record = None
        if isinstance(record, dict) and isinstance(record.get("kind"), str):
            records.append(record)
        else:
            damaged += 1
    return records, damaged


def _parsed(line: bytes) -> Any:
    """The value of a line. ValueError, RecursionError: it is no JSON.

    Python's own `json` imports `re`, and both take longer than all the records of a boot; the half of it that is C does not. What that half refuses is
    looked at by the whole.
    """
    try:
        import _json

        scanner: Any = _json.make_scanner
        text = line.strip().decode()
        value, end = scanner(_Strict)(text, 0)
        if end == len(text):
            return value
    except Exception:  # noqa: BLE001, S110 -- without `json` it has no error of its own to raise
        pass
    import json

    return json.loads(line, parse_constant=_finite, parse_float=_finite)


def _finite(text: str) -> float:
    """A number; NaN, Infinity and what is larger than any are no time. ValueError."""
    value = float(text)
    if value - value:
        raise ValueError(text)
    return value


class _Strict:
    """How `_json` reads."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = _finite
    parse_int = int


def _is_flat(line: bytes) -> bool:
    """Whether a line is nested as a record may be: whoever prints one goes as deep as it does."""
    return line.count(b"[") + line.count(b"{") <= NESTED or max(_depths(line)) <= NESTED


def _depths(line: bytes) -> Iterator[int]:
    depth = 0
    for byte in line:
        depth += (byte in b"[{") - (byte in b"]}")
        yield depth
