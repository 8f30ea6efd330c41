"""A step may forbid an installation; what forbade an earlier one does not forbid the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kairos_boot.lifecycle.install import FORBIDDEN, Options, before
from kairos_boot.lifecycle.wired import Surroundings
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path


def test_the_veto_of_an_earlier_installation_is_removed_before_any_step_runs(tmp_path: Path) -> None:
    veto = tmp_path / FORBIDDEN.lstrip("/")
    veto.parent.mkdir(parents=True)
    veto.write_text("wrong rack")
    seen: list[bool] = []

    def emit(stage: str, root: str) -> str:
        seen.append(veto.exists())
        return ""

    [phase] = before(Options(), Surroundings(emit, lambda _stage, _root: 0, lambda _name: lambda _done, _total: None))
    for action in phase.actions[:2]:
        action.apply(Host(str(tmp_path)))
    assert seen == [False]
