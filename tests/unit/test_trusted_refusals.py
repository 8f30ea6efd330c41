"""On a node that is one signed file a verb that is not there for it refuses before anything else: nothing is locked, mounted, read or written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kairos_boot.cli.installer import kind_of
from kairos_boot.errors import KairosError
from kairos_boot.lifecycle import entries, installing
from kairos_boot.node.config import Config
from kairos_boot.records import replace
from kairos_boot.system.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VERBS: dict[str, Callable[[Any], object]] = {"rollback": lambda wired: entries.roll_back(wired.host)}


class Untouched:
    """A machine of which nothing but its root may be asked for."""

    cmdline = ""

    def __init__(self, root: Path) -> None:
        self.host = Host(str(root))

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"{name} was asked for")


@pytest.fixture(params=["active_mode", "recovery_mode", "autoreset_mode"])
def wired(tmp_path: Path, request: pytest.FixtureRequest) -> Untouched:
    (tmp_path / "run/cos").mkdir(parents=True)
    for name in (request.param, "uki_boot_mode"):
        (tmp_path / "run/cos" / name).write_text("1")
    return Untouched(tmp_path)


@pytest.mark.parametrize("verb", VERBS)
def test_it_refuses_in_one_line_and_touches_nothing(wired: Untouched, verb: str) -> None:
    with pytest.raises(KairosError) as caught:
        VERBS[verb](wired)
    assert caught.value.message == f"this system is one signed file (trusted boot), for which there is no {verb.split(maxsplit=1)[0]} yet; nothing was changed"
    assert "\n" not in str(caught.value)


def test_an_installation_refuses_on_such_a_node_but_not_into_a_file(wired: Untouched) -> None:
    asked = installing.Asked("/dev/vda", "dir:/")
    kind = kind_of(wired, asked)  # type: ignore[arg-type]
    with pytest.raises(KairosError, match="runs from its node's disk: it installs none; nothing was changed"):
        kind(wired, Config(), asked).check()  # type: ignore[arg-type]
    assert kind_of(wired, replace(asked, image=True)) is installing.Installation  # type: ignore[arg-type]
