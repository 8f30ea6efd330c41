"""`.kairos-state` on the persistent partition: when the node was installed, upgraded and reset, and from what.

The names and the form are those that Kairos' tools read: YAML of one level, times as RFC 3339 in UTC or `never`, sources as `type://value`.
"""

from __future__ import annotations

import os
import time

from kairos_boot.errors import Explained, KairosError

FILE = ".kairos-state"
EVENTS = ("first-install", "last-active-upgrade", "last-recovery-upgrade", "last-reset")
NAMES = ("first-install", "first-install-source", "last-active-upgrade", "last-active-source", "last-recovery-upgrade", "last-recovery-source",
         "last-reset", "last-reset-source")


def load(directory: str) -> dict[str, str]:
    """What stands in the file below *directory*; `never` and empty texts where there is none. A damaged one is kept as `.bak`. OSError: the disk fails."""
    from kairos_boot.system.plainyaml import load as parse

    path = f"{directory}/{FILE}"
    values = {name: "never" if name in EVENTS else "" for name in NAMES}
    try:
        with open(path, "rb") as file:
            found = parse(file.read(1 << 20))
    except FileNotFoundError:
        return values
    except KairosError:
        found = None
    if not isinstance(found, dict):
        os.replace(path, f"{path}.bak")
        return values
    return {**values, **{name: str(found[name]) for name in NAMES if isinstance(found.get(name), str)}}


def note(directory: str, event: str, source: str, now: float) -> None:
    """Write that *event* (`last-reset`, …) happened at *now*, seconds since the epoch, from *source*. KairosError: it cannot be written."""
    from kairos_boot.node.settings import from_data
    from kairos_boot.node.yamltext import dump
    from kairos_boot.system.atomic import write_file

    with Explained("cannot be written", f"{directory}/{FILE}"):
        values = load(directory)
        values[event] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        values[f"{event.removesuffix('-upgrade')}-source"] = source
        write_file(f"{directory}/{FILE}", dump(from_data(values)).encode(), 0o644)
