"""kairos-boot confext [list] [--active] [--passive] [--recovery] [--common] [--json]
       kairos-boot confext install [--checksum METHOD:DIGITS] [--allow-insecure-registries] SOURCE
       kairos-boot confext enable|disable --active|--passive|--recovery|--common [--now] NAME
       kairos-boot confext remove [--now] NAME

Configuration extensions: images that systemd merges into /etc. What is enabled for a boot is merged by systemd-confext.service.

  list     those that are there, or that a boot takes: which boots take each, whether it is merged, and why it would not be
  install  keep an image: file:/PATH/NAME.raw, https://…/NAME.raw, oci:IMAGE or ocifile:/PATH (NAME.raw in its top directory)
  enable   let the active, the passive, the recovery system or every one take NAME, from the next boot on
  disable  let it take NAME no more
  remove   take NAME away, for every boot

NAME is a file's name, with or without .raw, or a regular expression that is found in one name only.

      --now                        merge it at once, too, if it is for the system that runs (or take it out at once)
      --checksum METHOD:DIGITS     what an address has to give: sha256:… or sha512:…
      --json                       the list for programs
      --allow-insecure-registries  talk to a registry without TLS

Exit code: 0 done, also when nothing was to be done, 1 done, but systemd does not merge it, 2 wrong usage, 3 refused or failed: nothing was changed.
"""

from __future__ import annotations

from kairos_boot.boot.extensions import CONFEXT
from kairos_boot.cli import extensions

FLAGS = extensions.FLAGS


def run(words: list[str]) -> int:
    """One of the verbs, for configuration extensions."""
    return extensions.run(CONFEXT, words)
