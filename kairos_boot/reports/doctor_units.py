"""Units: ours and those that a boot cannot do without, by what systemd would see: an entry of /etc goes before those of the image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from kairos_boot.reports.examined import Examined, Fault

DIRECTORIES = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
STARTED = {"cos-setup-fs.service": "sysinit.target", "cos-setup-boot.service": "multi-user.target", "cos-setup-network.service": "multi-user.target",
           "cos-setup-reconcile.timer": "timers.target", "kairos-boot-assess.timer": "timers.target"}
"""Units of the stages, and what starts them."""
OTHERS = ("cos-setup-reconcile.service", "kairos-boot-assess.service", "kairos-boot-assess-late.service", "kairos-reset.target", "kairos-reset.service")
VITAL = ("systemd-udevd.service", "systemd-logind.service", "getty.target")
KINDS = (".service", ".timer", ".socket", ".path", ".mount")
STARTS = ("ExecStart", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload", "ExecCondition")


def found(examined: Examined, name: str) -> str:
    """Where systemd reads the unit *name*; empty: nowhere."""
    return next((f"{directory}/{name}" for directory in DIRECTORIES if name in examined.names(directory)), "")


def is_masked(examined: Examined, path: str) -> bool:
    status = examined.status(path)
    return examined.link(path) == "/dev/null" or (status is not None and status.st_mode & 0o170000 == 0o100000 and not status.st_size)


def ours(examined: Examined) -> Iterator[Fault]:
    """The stages of a boot are emitted by units."""
    for name in (*STARTED, *OTHERS):
        path = found(examined, name)
        if not path:
            yield "error", name, "this unit is missing", "install the package kairos-boot-image"
        elif is_masked(examined, path):
            yield "error", path, "it is masked: its stage never runs", f"systemctl unmask {name}"
        elif name in STARTED and not any(name in examined.names(f"{directory}/{STARTED[name]}.{how}") for directory in DIRECTORIES for how in ("wants", "requires", "upholds")):
            yield "error", path, f"{STARTED[name]} does not start it: its stage never runs", f"systemctl enable {name}, or install kairos-boot again"


def masked(examined: Examined) -> Iterator[Fault]:
    """What every node needs."""
    for name in VITAL:
        path = found(examined, name)
        if not path:
            yield "error", name, "this unit is missing", "install the package of systemd that has it (systemd, udev)"
        elif is_masked(examined, path):
            yield "error", path, "it is masked", f"systemctl unmask {name}"


def programs(examined: Examined) -> Iterator[Fault]:
    """The programs of units that were added to the image, and of ours."""
    paths = [f"{DIRECTORIES[0]}/{name}" for name in examined.names(DIRECTORIES[0]) if name.endswith(KINDS)]
    paths += [path for name in (*STARTED, *OTHERS) if (path := found(examined, name))]
    for path in dict.fromkeys(paths):
        target = examined.link(path)
        if target and target != "/dev/null" and not examined.status(path):
            yield "error", path, f"it leads to {target}, which is not there", "remove the link, or install the unit"
        for number, key, value in _settings(examined.text(path)):
            if key in STARTS and (missing := _missing(examined, value)):
                yield "error", f"{path}:{number}", f"{key} calls {missing}, which is not there or cannot be run", "install it, or correct the path"


def _settings(text: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        key, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith(("#", ";")):
            yield number, key.strip(), value.strip()


def _missing(examined: Examined, command: str) -> str:
    """The program of *command* that is not there. One whose lack systemd forgives (`-`), and one that only the running system can name, count as there."""
    word = command.split(None, 1)[0] if command else ""
    bare = word.lstrip("@-:+!|")
    if not bare or "-" in word[:len(word) - len(bare)] or any(char in bare for char in "%$\"'\\"):
        return ""
    return "" if examined.program(bare) else bare
