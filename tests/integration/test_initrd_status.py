"""Requirement: in the initrd's emergency shell `status` tells why the node cannot boot, with nothing but what the initrd has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.isolated import Isolated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root
# The program's own closure, and the interpreter with its libraries, which dracut would copy.
INITRD = r"""
set -e
cd /run/code && mkdir -p /usr/lib/kairos-boot && cp -r kairos_boot /usr/lib/kairos-boot/
/usr/bin/python3 -ISB dracut/50kairos-boot/closure.py /srv/initrd >/srv/libraries
for file in /usr/bin/python3 $(cat /srv/libraries) $(ldd /usr/bin/python3 $(cat /srv/libraries) | grep -o '/[^ :]*' | sort -u); do
    mkdir -p "/srv/initrd$(dirname "$file")" && cp -L "$file" "/srv/initrd$file"
done
mkdir -p /srv/initrd/usr/bin /srv/initrd/proc && cp packaging/entry /srv/initrd/usr/bin/kairos-boot
mount --rbind /proc /srv/initrd/proc
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Isolated]:
    made = Isolated(tmp_path)
    yield made
    made.close()


def test_status_tells_why_the_node_cannot_boot(machine: Isolated) -> None:
    code, said = machine.run("sh", "-c", INITRD)
    assert code == 0, said
    boot = machine.run("cat", "/proc/sys/kernel/random/boot_id")[1].strip()
    records = [{"kind": "boot", "time": 1000.0, "uptime": 2.0, "mode": "active"},
               {"kind": "problem", "time": 1001.0, "uptime": 3.0, "severity": "error", "where": "/cOS/active.img",
                "message": "the node cannot boot: the state image is missing", "hint": "boot another entry"}]
    machine.put(f"/srv/initrd/run/cos/ledger/{boot}.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    call = ("chroot", "/srv/initrd", "/usr/bin/python3", "-I", "-S", "/usr/bin/kairos-boot")
    code, said = machine.run(*call, "status", "--check")
    assert code == 1, said
    for words in ("DEGRADED", "/cOS/active.img: the node cannot boot: the state image is missing", "boot another entry", "active system"):
        assert words in said
    code, said = machine.run(*call, "analyze")
    assert (code, "it is not in the initrd" in said) == (3, True)
