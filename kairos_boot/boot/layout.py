"""What the root is made of: cos-layout.env, extra-layout.env and the kernel command line (keys and defaults are immucore's)."""

from __future__ import annotations

import os

from kairos_boot.records import record
from kairos_boot.system.keyvalue import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kairos_boot.boot.cmdline import Cmdline

FILE, EXTRA_FILE = "/run/cos/cos-layout.env", "/run/cos/extra-layout.env"
RW_PATHS = ("/etc", "/root", "/home", "/opt", "/srv", "/usr/local", "/var")
STATE_TARGET = "/usr/local/.state"
PERSISTENT = "COS_PERSISTENT"


@record
class Volume:
    """A further file system: `spec` names its device, `options` how it is mounted."""

    spec: str
    path: str
    options: tuple[str, ...] = ("ro",)


@record
class RootLayout:
    """Paths are absolute and plain. `problems` is what is wrong with the files, in words."""

    rw_paths: tuple[str, ...] = RW_PATHS
    state_paths: tuple[str, ...] = ()
    state_target: str = STATE_TARGET
    overlay: str = "tmpfs:20%"
    volumes: tuple[Volume, ...] = ()
    problems: tuple[str, ...] = ()
    found: bool = True
    """Whether there was a layout at all."""


def load(read: Callable[[str], bytes | None], cmdline: Cmdline, *, recovery: bool = False) -> RootLayout:
    """The layout of this boot. In recovery (a reset is one, D8) the persistent partition stays out, and the defaults are writable."""
    problems: list[str] = []
    values = _file(read, FILE, problems)
    extra = _file(read, EXTRA_FILE, problems) or {}
    given = values or {}
    rw_paths = paths(given.get("RW_PATHS", ""), "RW_PATHS", problems) or RW_PATHS
    state_paths = paths(f"{given.get('PERSISTENT_STATE_PATHS', '')} {given.get('CUSTOM_BIND_MOUNTS', '')} {extra.get('PERSISTENT_STATE_PATHS', '')}",
                        "PERSISTENT_STATE_PATHS", problems)
    volumes = _volumes([*cmdline.mounts, *given.get("VOLUMES", "").split()], problems)
    if recovery:
        rw_paths = tuple(dict.fromkeys((*RW_PATHS, *rw_paths)))
        volumes = tuple(v for v in volumes if PERSISTENT not in v.spec)
        state_paths = ()
    target = paths(given.get("PERSISTENT_STATE_TARGET", ""), "PERSISTENT_STATE_TARGET", problems)
    overlay = given.get("OVERLAY", "").strip() or cmdline.overlay
    return RootLayout(rw_paths, state_paths, target[0] if target else STATE_TARGET, overlay, volumes, tuple(problems), values is not None)


def _file(read: Callable[[str], bytes | None], path: str, problems: list[str]) -> dict[str, str] | None:
    data = read(path)
    if data is None:
        return None
    values: dict[str, str] = {}
    number = 1
    for name, value, source, fault in lines(data.decode("utf-8", "surrogateescape"), os.environ):
        if fault:
            problems.append(f"{path}:{number}: {fault}")
        elif name:
            values[name] = value
        number += source.count("\n")
    return values


def paths(text: str, key: str, problems: list[str]) -> tuple[str, ...]:
    """The paths of a list, each once, in order; what is no absolute path is a problem."""
    found = []
    for word in text.split():
        parts = [part for part in word.split("/") if part not in ("", ".")]
        if not word.startswith("/") or ".." in parts or not parts:
            problems.append(f"{key}: not a path below /: {word!r}")
        else:
            found.append("/" + "/".join(parts))
    return tuple(dict.fromkeys(found))


def _volumes(words: Iterable[str], problems: list[str]) -> tuple[Volume, ...]:
    """The volumes, each device and each mount point once, the last one wins."""
    found: dict[str, Volume] = {}
    for word in words:
        spec, _, where = word.rpartition(":")
        path = paths(where, "VOLUMES", problems) if spec else ()
        if not path:
            if not spec:
                problems.append(f"VOLUMES: not DEVICE:PATH: {word!r}")
            continue
        found = {s: v for s, v in found.items() if s != spec and v.path != path[0]}
        found[spec] = Volume(spec, path[0], ("rw",) if PERSISTENT in spec else ("ro",))
    return tuple(found.values())
