"""Who started a run is in its record: a boot's unit is told from a person, and from a step of another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kairos_boot.cli import wiring
from kairos_boot.cli.run_stage import is_judged_behind
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from pathlib import Path

UNIT = "0::/system.slice/cos-setup-boot.service\n"


@pytest.mark.parametrize(("cgroup", "environment", "words", "told"), [
    (UNIT, {"INVOCATION_ID": "x"}, [], {"by": "unit", "unit": "cos-setup-boot.service"}),
    (UNIT, {}, [], {"by": "hand"}),
    ("0::/user.slice/user-0.slice/session-3.scope\n", {"INVOCATION_ID": "x"}, [], {"by": "hand"}),
    ("0::/user.slice/user-0.slice/user@0.service/app.slice/term.service\n", {"INVOCATION_ID": "x"}, [], {"by": "hand"}),
    (UNIT, {"INVOCATION_ID": "x", "KAIROS_BOOT_COMMAND": "1-2-3"}, [], {"by": "step", "unit": "cos-setup-boot.service"}),
    ("", {}, ["/srv/a.yaml", "http://u:secret@h/x?token=y"], {"by": "hand", "sources": ["/srv/a.yaml", "http://h/x"]}),
])
def test_who_started_a_run(cgroup: str, environment: dict[str, str], words: list[str], told: dict[str, object], tmp_path: Path,
                           monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup)
    for name in ("INVOCATION_ID", "KAIROS_BOOT_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    host = Host(str(tmp_path))
    assert wiring.origin(host, wiring.sources_of(host, words)) == told


@pytest.mark.parametrize(("stage", "by", "unit", "judged"), [
    ("network", "unit", "cos-setup-network.service", True),
    ("network", "step", "cos-setup-network.service", False),
    ("network", "unit", "mine.service", False),
    ("network", "hand", "", False),
    ("boot", "unit", "cos-setup-boot.service", False),
])  # fmt: skip
def test_a_boot_is_judged_behind_its_own_last_stage_alone(stage: str, by: str, unit: str, *, judged: bool) -> None:
    assert is_judged_behind(stage, {"by": by, "unit": unit} if unit else {"by": by}) is judged
