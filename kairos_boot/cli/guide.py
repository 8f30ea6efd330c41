"""What the kernel command line of this boot says about its stages and steps (docs/operating.md)."""

from __future__ import annotations

from kairos_boot.boot.cmdline import Cmdline
from kairos_boot.cloudconfig.catalog import names, suggest
from kairos_boot.stages.breakpoints import ALLOWED, BREAK, SKIP, Guide, Place
from kairos_boot.system import mounts
from kairos_boot.system.console import shell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from kairos_boot.stages.runner import Log, Records
    from kairos_boot.system.host import Host

EARLY = ("rootfs", "initramfs")
"""Stages that run before there are login prompts."""
OTHERS = frozenset(("proc", "sysfs", "devpts", "cgroup2", "cgroup", "mqueue", "debugfs", "tracefs", "securityfs", "pstore", "bpf", "autofs", "hugetlbfs", "configfs", "fusectl",
                    "binfmt_misc", "ramfs", "efivarfs", "rpc_pipefs", "nsfs"))
"""File systems that every system has, and that nobody looks for."""


def counts(host: Host, line: Cmdline) -> bool:
    """Whether the words count: a locked console takes none, unless the image allows it."""
    return not line.console_locked or any(host.exists(f"{root}{ALLOWED}") for root in ("", "/sysroot"))


def skipped(host: Host, line: Cmdline) -> list[Place]:
    """The steps that a boot with *line* leaves out."""
    return [skip_place(word) for word in line.values(SKIP)] if counts(host, line) else []


def words(host: Host, line: Cmdline) -> list[tuple[str, list[Place]]]:
    """What *line* says, by its keys."""
    return [(BREAK, [break_place(word) for word in line.values(BREAK)]), (SKIP, skipped(host, line))] if counts(host, line) else []


def break_place(word: str) -> Place:
    """`STAGE[.before|.after][:STEP]`."""
    stage, _, step = word.partition(":")
    return Place(word, stage, step)


def skip_place(word: str) -> Place:
    """`[STAGE:]STEP`; what stands before a colon is a stage only if there is one of that name."""
    stage, colon, step = word.partition(":")
    return Place(word, stage, step) if colon and step and stage in names() else Place(word, "", word)


def is_repeated(place: Place) -> bool:
    """Whether a timer runs that stage for as long as the node is up: a breakpoint is for the boot."""
    return place.stage.partition(".")[0] == "reconcile"


def guide_of(host: Host, line: Cmdline, log: Log, ledger: Records) -> Guide | None:
    """The words of *line*, if it has any, and they count."""
    breaks, skips = [break_place(word) for word in line.values(BREAK)], [skip_place(word) for word in line.values(SKIP)]
    if not breaks and not skips:
        return None
    first = host.exists("/etc/initrd-release")  # the record has it once in a boot

    def tell(where: str, what: str, hint: str) -> None:
        log(4, f"{where}: {what}; {hint}", kind="warning")
        if first:
            ledger.write("problem", stage="", severity="warning", where=where, message=what, hint=hint)

    if not counts(host, line):
        tell(", ".join(f"{key}={place.word}" for key, places in ((BREAK, breaks), (SKIP, skips)) for place in places), "does not count, since the console is locked (rd.shell=0)", f"write rd.shell=1 behind it, or let the image have {ALLOWED}")
        return None
    for place in breaks:
        if first and (meant := suggest(place.stage)):
            tell(f"{BREAK}={place.word}", f"there is no stage {place.stage!r}", f"did you mean {meant!r}?")
        if first and is_repeated(place):
            tell(f"{BREAK}={place.word}", f"stage {place.stage} runs again and again, long after the boot: nothing stops there", f"write {BREAK}=network.after, and run it in that shell")
    breaks = [place for place in breaks if not is_repeated(place)]

    def at_console(text: str, stage: str) -> None:
        early = stage.partition(".")[0] in EARLY
        shell(host, text, prompt=f"{stage} ({'/' if stage.startswith(EARLY[1]) or not early else 'initrd'})", gettys=host.online and not early)

    return Guide(breaks, skips, at_console, mounted, log, ledger)


def mounted() -> Sequence[str]:
    """What is mounted, a line for each file system, in the order in which it was; directories bound from them are counted."""
    there = [item for item in mounts.mounted() if item.fstype not in OTHERS and not item.target.startswith(("/dev/", "/sys/", "/run/credentials"))]
    lines = [f"{item.target} ({item.fstype}, {'read-only' if 'ro' in item.options else 'writable'})" for item in there if item.root == "/"]
    bound = len(there) - len(lines)
    return [*lines, *([f"{bound} directories bound from these: findmnt shows them"] if bound else [])]
