"""Apply a plan as the runner does, so that it hears what became of its actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kairos_boot.errors import KairosError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kairos_boot.actions.base import Action, Effect
    from kairos_boot.modules import Plan


def heard(plan: Plan, do: Callable[[Action], Effect | None]) -> Iterator[tuple[Action, Effect | KairosError | None]]:
    """Each action of *plan* with what *do* made of it, or its error."""
    told: Effect | None = None
    while True:
        try:
            action = plan.send(told)
        except StopIteration:
            return
        came: Effect | KairosError | None
        try:
            came = told = do(action)
        except KairosError as error:
            came, told = error, False
        yield action, came
