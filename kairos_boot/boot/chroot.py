"""Run a piece of this process inside the new root, with the kernel's own file systems in it."""

from __future__ import annotations

import os
import sys

from kairos_boot.errors import Explained, KairosError
from kairos_boot.system import mounts
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = ("/proc", "/sys", "/dev", "/run")
"""Bound with everything that is mounted below them."""


def inside(root: str, work: Callable[[], int]) -> int:
    """Fork, enter *root*, do *work* there and return the number that it returned (0 to 100).

    The interpreter and what is imported already come along: no code of *root* is started for it. The mounts that *work* makes stay;
    those that this function makes go. KairosError: *root* cannot be entered, or the work ended otherwise.
    """
    bound: list[str] = []
    try:
        for path in SHARED:
            target = Host(root).real(path)  # a link of the image leads inside it
            with Explained(f"cannot bind {path} for the stage", target):
                if os.path.isdir(path) and not _is_mounted(target):
                    os.makedirs(target, exist_ok=True)
                    mounts.mount(path, target, flags=mounts.BIND | mounts.REC)
                    bound.append(target)
                    mounts.mount("", target, flags=mounts.SLAVE | mounts.REC)  # what is unmounted here must not go there
        return _fork(root, work)
    finally:
        for target in reversed(bound):
            try:
                mounts.unmount(target, detach=True)
            except OSError:
                continue  # a step unmounted it itself


def _is_mounted(target: str) -> bool:
    return mounts.at(target, mounts.mounted()) is not None


def _fork(root: str, work: Callable[[], int]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        code = 120
        try:
            _keep_modules_in_sight()
            os.chroot(root)
            os.chdir("/")
            sys.path_importer_cache.clear()  # directories of the same names are others here
            code = min(work(), 100)
        except BaseException as error:  # noqa: BLE001 -- the parent must never run on in here
            import traceback

            os.write(2, "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace"))
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not 0 <= code <= 100:
        raise KairosError(f"the stage was cut off ({'status' if code > 0 else 'signal'} {abs(code)})", root, "see journalctl -b")
    return code


def _keep_modules_in_sight() -> None:
    """Let what is imported from here on come from where this program lies now: in the other root may be another version, or none.

    An open directory can be entered by its name in /proc from any root that has /proc.
    """
    names: dict[str, str] = {}
    for path in sys.path:
        try:
            names[path] = f"/proc/self/fd/{os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)}"
        except OSError:
            continue  # not there, or an archive
    sys.path[:] = [names.get(path, path) for path in sys.path]
    for module in list(sys.modules.values()):
        places = getattr(module, "__path__", None)
        if isinstance(places, list):
            places[:] = [next((new + place[len(old):] for old, new in names.items() if place == old or place.startswith(f"{old}/")), place) for place in places]
