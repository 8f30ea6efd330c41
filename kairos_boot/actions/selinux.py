"""SELinux labels of a system that is no running one yet: what was written into it gets those that its own policy says.

A copy of an image has its labels already, and a copied tree those of its files. Without labels for the rest, a node that enforces its policy
denies logins and services what was written there.
"""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

CONFIG, POLICIES = "/etc/selinux/config", "/etc/selinux"
BINDS = ("/dev", "/proc", "/sys")
LEFT = (*BINDS, "/run", "/oem", "/usr/local")
"""What is no part of the system, or is the running node's."""
SECONDS = 1800.0


def relabel(host: Host, root: str, *, must: bool = True) -> bool:
    """Label the system below *root* by its policy; False where it has none. KairosError: it *must* and has no setfiles, or that fails."""
    words = command(root, must=must)
    if not words:
        return False
    from kairos_boot.system import mounts
    from kairos_boot.system.host import Host

    inside = Host(root)  # links of the image lead inside it
    bound: list[str] = []
    try:
        for path in BINDS:
            if inside.is_directory(path):
                target = inside.real(path)
                mounts.mount(path, target, options=("bind",))
                bound.append(target)
        result = host.processes.run(("chroot", root, *words), timeout=SECONDS, env={"LC_ALL": "C"})
    finally:
        for target in reversed(bound):
            mounts.unmount(target, detach=True)
    if result.code or result.timed_out:
        raise KairosError(f"setfiles: {result.explain(SECONDS)}: {result.output.strip()[-400:]}", root, "look at the policy of the image: it must fit its file contexts")
    return True


def command(root: str, *, must: bool = True) -> tuple[str, ...]:
    """What labels the system below *root*, run inside it; nothing where it has no policy, or one that is disabled. KairosError: it *must*, and has no setfiles."""
    from kairos_boot.system.host import Host

    inside = Host(root)
    settings = _settings(inside)
    if settings.get("SELINUX", "enforcing") == "disabled":
        return ()
    kind = settings.get("SELINUXTYPE", "targeted")
    contexts, folder = f"{POLICIES}/{kind}/contexts/files/file_contexts", f"{POLICIES}/{kind}/policy"
    try:
        policies = [name for name in os.listdir(inside.path(folder)) if name.startswith("policy.")]
    except OSError:
        policies = []
    if not policies or not os.path.isfile(inside.path(contexts)):
        return ()
    program = next((path for path in ("/usr/sbin/setfiles", "/sbin/setfiles") if inside.exists(path)), "")
    if not program and not must:
        return ()
    if not program:
        raise KairosError(f"it has the SELinux policy {kind}, and no setfiles to label what is written into it", root, "build the image with policycoreutils")
    newest = max(policies, key=lambda name: int(name.partition(".")[2]) if name.partition(".")[2].isdigit() else -1)
    left = [word for path in LEFT for word in ("-e", path)]
    return (program, "-c", f"{folder}/{newest}", *left, "-F", contexts, "/")


def _settings(inside: Host) -> dict[str, str]:
    """What the image's own file says."""
    try:
        lines = (inside.read(CONFIG) or b"").decode("utf-8", "replace").splitlines()
    except OSError:
        return {}
    pairs = [line.partition("=") for line in lines if not line.lstrip().startswith("#")]
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}
