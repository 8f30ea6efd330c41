"""The example on each page of docs/reference is a document that loads without a word, and does what its page says, once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kairos_boot.actions.base import Invalid, Note
from kairos_boot.cloudconfig.decode import decode
from kairos_boot.errors import KairosError
from kairos_boot.facts import Facts
from kairos_boot.modules import ORDER
from kairos_boot.stages.runner import planned
from kairos_boot.system.facts import gather, hostname_data

if TYPE_CHECKING:
    from kairos_boot.cloudconfig.model import Document
    from tests.modules.conftest import Node, Recorder

PAGES = sorted((Path(__file__).parents[2] / "docs/reference").glob("*.md"))
RUN = ("directories", "dns", "environment", "files", "hostname", "package_pins", "packages", "sysctl", "systemctl", "timesyncd")
"""Keys whose example a small node with recorded programs can do to its end."""
TREE = {
    "/etc/hosts": "127.0.0.1 localhost\n", "/etc/machine-id": "3f1c0a5d9b7e4c2896d1e0f2a4b6c8da\n", "/etc/hostname": "lab\n",
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\n", "/etc/group": "root:x:0:\n", "/etc/os-release": "ID=alpine\n",
    "/run/systemd/system/.keep": "", "/proc/sys/net/ipv4/ip_forward": "0", "/proc/sys/vm/swappiness": "60", "/proc/sys/net/ipv4/conf/eth0.100/rp_filter": "0",
}


def example(page: Path) -> Document:
    """The first YAML block of a page."""
    text = page.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    return decode(text.encode(), str(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_loads_and_plans(page: Path, host: Node) -> None:
    """No problem, no wrong item; a page that bears a key's name shows that key."""
    for path, text in TREE.items():
        host.put(path, text)
    document = example(page)
    assert [str(problem) for problem in document.problems] == []
    steps = [step for stage in document.stages for step in document.steps(stage)]
    assert steps
    facts = Facts(lambda: gather(host), lambda: hostname_data(host), host.read)
    for step in steps:
        wrong = [str(action) for _, action in planned(step, facts) if isinstance(action, (KairosError, Invalid, Note))]
        assert wrong == []
    assert facts.warnings == []
    if page.stem in dict(ORDER):
        assert any(page.stem in step.keys for step in steps)


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in RUN], ids=lambda page: page.stem)
def test_the_example_runs_and_then_changes_nothing(page: Path, host: Node, recorder: Recorder) -> None:
    """On a small node, whose programs are recorded."""
    for path, text in TREE.items():
        host.put(path, text)
    recorder.answer("apk", "info", code=0, output="htop\nvim\n")
    recorder.answer("apk", "info", "-e", "nano", code=1)
    document = example(page)
    facts = Facts(lambda: gather(host), lambda: hostname_data(host), host.read)

    def run() -> list[bool]:
        return [action.apply(host) for stage in document.stages for step in document.steps(stage)
                for _, action in planned(step, facts) if not isinstance(action, KairosError)]

    first, before = run(), host.state()
    assert any(first) or page.stem == "packages"
    assert not any(run())
    assert host.state() == before
    assert not os.path.exists(host.root + "/tmp")
