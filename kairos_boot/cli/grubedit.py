"""kairos-boot grubedit [--grub-file FILE] [set NAME=VALUE]

Lists the variables of the boot loader's environment block, or sets one of them; an empty VALUE removes it.

      --grub-file FILE  the block (default: /oem/grubenv)

Exit code: 0 done, 2 wrong usage, 3 the block is damaged, or cannot be written: nothing was changed.
"""

from __future__ import annotations

import os
import sys

from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.lifecycle import trusted
from kairos_boot.lifecycle.entries import OEM
from kairos_boot.node import grubenv
from kairos_boot.shown import one_line
from kairos_boot.system.host import Host

FLAGS = {"grub-file": True}


def run(words: list[str]) -> int:
    given = parse(words, FLAGS)
    path = given.value("grub-file", f"{OEM}/grubenv")
    if not given.words:
        if not os.path.exists(path):
            sys.stdout.write(f"{path}: there is no such file\n")
            return 0
        variables = grubenv.load(path)
        width = max(map(len, variables), default=0)
        sys.stdout.write("".join(f"{name:<{width}} = {one_line(value)}\n" for name, value in variables.items()))
        return 0
    name, equals, value = given.words[1].partition("=") if len(given.words) == 2 else ("", "", "")
    if given.words[0] != "set" or not equals or not name:
        raise UsageError("write: grubedit set NAME=VALUE")
    if "grub-file" not in given:  # nobody would read it
        trusted.refuse(Host("/"), "setting of GRUB")
    grubenv.save(path, {name: value or None})
    return 0
