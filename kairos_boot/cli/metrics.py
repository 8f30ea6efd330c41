"""kairos-boot metrics [--textfile DIR] [--boot N] [--root DIR]

Prints this boot in numbers, as Prometheus reads them.

      --textfile DIR  write them to DIR/kairos_boot.prom instead, for node-exporter's textfile collector; the old file is replaced whole
      --boot N        N boots ago, or the beginning of a boot's id
      --root DIR      read the record below DIR

The units of the stages write them by themselves where /var/lib/prometheus/node-exporter or /var/lib/node_exporter/textfile_collector is a
directory.

Exit code: 0, or 3 when there is nothing to tell, or the file cannot be written.
"""

from __future__ import annotations

import os
import sys

from kairos_boot import __version__
from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import parse
from kairos_boot.errors import Explained, KairosError
from kairos_boot.reports.history import load
from kairos_boot.reports.metrics import text
from kairos_boot.system.host import Host

FLAGS = {"textfile": True, "boot": True, "root": True}
FILE = "kairos_boot.prom"


def run(words: list[str]) -> int:
    given = parse(words, FLAGS, bare=True)
    host = Host(wiring.root_of(given))
    told = text(load(host, given.value("boot", "0"), running=wiring.running(host)), __version__)
    if "textfile" in given:
        put(given.value("textfile"), told)
    else:
        sys.stdout.write(told)
    return 0


def put(directory: str, told: str) -> None:
    """Replace the file in *directory*; a collector never sees half of it. KairosError: it cannot be written."""
    import fcntl

    from kairos_boot.system.atomic import put_file
    from kairos_boot.system.descriptors import Held

    with Explained("cannot be written", f"{directory}/{FILE}"), Held(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as place:
        fcntl.flock(place, fcntl.LOCK_EX)  # the temporary file has one name, so that the next run finds what a cut one left
        put_file(place, FILE, told.encode(), 0o644, os.geteuid(), os.getegid(), lambda fd: None)  # noqa: ARG005


def of_unit(host: Host, directories: tuple[str, ...]) -> str:
    """Write them where node-exporter looks, those of *directories* that there are; what went wrong, or nothing."""
    try:
        told = text(load(host), __version__)
        for directory in directories:
            put(host.path(directory), told)
    except KairosError as error:
        return str(error)
    return ""
