"""A plain boot is judged in the process of its last stage; whatever is not plain is left to the unit of the judgement, as it was (G4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.root

NODE = """
from kairos_boot.cli import assess, wiring
from kairos_boot.lifecycle.assessment import NEEDED, known_failures
from kairos_boot.node import grubenv
from kairos_boot.node.mode import STATE_MOUNT
from kairos_boot.system import mounts
from kairos_boot.system.host import Host
from kairos_boot.system.lock import ACTIONS, Lock
mounts.mount("tmpfs", "/run", "tmpfs")
os.makedirs("/run/kairos-boot", 0o700)
os.makedirs("/run/cos")
open("/run/cos/active_mode", "w").close()
os.makedirs(STATE_MOUNT)
mounts.mount("tmpfs", STATE_MOUNT, "tmpfs")
os.mkdir(STATE_MOUNT + "/cOS")
BLOCK = STATE_MOUNT + "/grubenv"
node, said = Host("/"), []
record = wiring.ledger_of(node)
def ended(*stages):
    for stage in stages:
        record.write("stage", stage=stage, event="end", result="done")
def judged():
    mounts.mount("", STATE_MOUNT, options=("remount", "ro"))
    assess.at_once(node, record, lambda priority, text, **about: said.append(text))
    return {"block": grubenv.load(BLOCK), "judged": os.path.exists(assess.JUDGED), "said": said, "records": node.read(record.path).count(b'"assessment"'),
            "known": known_failures(STATE_MOUNT), "readonly": "ro" in mounts.at(STATE_MOUNT, mounts.mounted()).options}
"""


def test_a_good_boot_without_a_trial_is_judged_once(unshared: Callable[..., Any]) -> None:
    first, again = unshared(NODE + """
grubenv.save(BLOCK, {"boot_tries": "x", "mine": "stays"})
ended(*NEEDED)
record.write("step", stage="network", step="Mine", result="failed")
first = {**judged(), "said": list(said)}
mounts.mount("", STATE_MOUNT, options=("remount", "rw"))
grubenv.save(BLOCK, {"boot_tries": "xx"})
tell([first, judged()])
""")
    assert first == {"block": {"mine": "stays"}, "judged": True, "said": ["this boot is good"], "records": 1, "known": ["network Mine"], "readonly": True}
    assert (again["block"]["boot_tries"], again["records"]) == ("xx", 1), "somebody restarted the stage"


@pytest.mark.parametrize(("begin", "told"), [
    ("variables['trial'] = 'upgrade'", False),
    ("stages = NEEDED[:-1]", False),
    ("open(STATE_MOUNT + '/cOS/action.json', 'w').close()", False),
    ("os.rename('/run/cos/active_mode', '/run/cos/recovery_mode')", False),
    ("open('/run/cos/uki_boot_mode', 'w').close()", False),
    ("os.read(holding(), 1)", True),
    ("open(BLOCK, 'w').write('this is no block')", False),
], ids=["a trial", "a stage without end", "an action that was begun", "recovery", "one signed file", "an action at work", "a damaged block"])  # fmt: skip
def test_whatever_is_not_plain_is_left_to_the_unit(unshared: Callable[..., Any], begin: str, *, told: bool) -> None:
    before, after = unshared(NODE + f"""
def holding():
    (ready, go), (stay, alive) = os.pipe(), os.pipe()
    if not os.fork():
        os.close(alive)
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        os.dup2(1, 2)
        Lock(ACTIONS).acquire(print)
        os.write(go, b"x")
        os.read(stay, 1)  # until its parent ends
        os._exit(0)
    return ready
variables, stages = {{"boot_tries": "x"}}, NEEDED
{begin}
if not os.path.exists(BLOCK):
    grubenv.save(BLOCK, variables)
ended(*stages)
before = open(BLOCK).read()
try:
    found = judged()
except Exception as error:
    found = {{"judged": os.path.exists(assess.JUDGED), "records": 0, "said": said}}
tell([before, {{**found, "block": open(BLOCK).read()}}])
""")
    assert after["block"] == before
    assert (after["judged"], after["records"]) == (False, 0)
    assert any("another run holds the lock" in line for line in after["said"]) == told
