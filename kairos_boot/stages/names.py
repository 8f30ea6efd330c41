"""The names of steps, as `after` uses them and the printed graph shows them (A6, A7)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

INIT = "init"
"""What everything comes after; `after: init` frees a step from the plain steps before it in its document."""


def names(root: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """For each step of a list: its full name before documents are compared, and the name it bears for `after` (A6).

    Equal names in a list give every step of it its index. A step that has a name of its own still bears it without index.
    """
    numbered = len(set(given)) < len(given)
    result = []
    for index, name in enumerate(given):
        full = f"{root}.{name}.{index}" if numbered else f"{root}.{name or index}"
        result.append((full, f"{root}.{name}" if name else full))
    return result
