"""An upgrade in a pod of the node itself: the node's root is mounted at $HOST_DIR, and the pod's own root is what the node is to become (G7)."""

from __future__ import annotations

import os

from kairos_boot.errors import KairosError, reason
from kairos_boot.system import mounts
from kairos_boot.system.private import private_directory

VARIABLE, INSIDE, DEFAULT = "HOST_DIR", "KUBERNETES_SERVICE_HOST", "/host"
"""Names the directory with the node's root; is set in each pod; the directory where nothing else is named."""
NEEDED = ("/dev", "/run", "/oem", "/usr/local")
"""Places of the node that an action works on or reads its documents from."""
OPTIONAL = ("/etc/kairos", "/etc/elemental")
SOURCE = "/run/kairos-boot/pod"
"""The pod's root without anything that is mounted in it: the node's tree, and files that the cluster lays over those of the image."""


def host_directory() -> str:
    """Where the node's root is mounted; nothing outside of a pod."""
    named = os.environ.get(VARIABLE, "")
    if not named and INSIDE not in os.environ:
        return ""
    return (named or DEFAULT).rstrip("/")


def enter(directory: str) -> None:
    """Let this process see the node's devices, documents and data in their places, and nobody else what it mounts. KairosError: it is no node's root, or not permitted."""
    if not os.path.isdir(f"{directory}/run/cos"):
        raise KairosError("this is not the root directory of a node", directory, f"mount the node's root there, or name its place by {VARIABLE}")
    try:
        mounts.leave_namespace()
        for path in (*NEEDED, *(path for path in OPTIONAL if os.path.isdir(path) and os.path.isdir(directory + path))):
            mounts.mount(directory + path, path, options=("rbind",))
        private_directory(SOURCE)
        mounts.mount("/", SOURCE, options=("bind",))
    except OSError as error:
        raise KairosError(f"the node cannot be seen from here: {reason(error)}", str(error.filename or directory),
                          "the pod has to be privileged, and its image one of a node") from error


def source(named: str) -> str:
    """The source *named*, where the pod's own root is meant by it."""
    return f"dir:{SOURCE}" if named.partition(":")[0] == "dir" and not named.partition(":")[2].strip("/") else named
