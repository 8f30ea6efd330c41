"""A node that is one signed file (trusted boot): what this program does not do there yet, it refuses before anything is changed."""

from __future__ import annotations

from kairos_boot.errors import KairosError
from kairos_boot.node.mode import one_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kairos_boot.system.host import Host

PAGE = "docs/trusted-boot.md says what is there"


def refuse(host: Host, what: str, hint: str = PAGE) -> None:
    """KairosError: *host* is such a node, for which there is no *what*."""
    if one_file(host):
        raise KairosError(f"this system is one signed file (trusted boot), for which there is no {what} yet; nothing was changed", hint=hint)
