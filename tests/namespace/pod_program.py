"""The program of the image in a pod: the real verb; only which partitions the node has is told, since nothing here has a udev that knows them."""

from __future__ import annotations

import json
import sys

from kairos_boot.cli import actions, upgrade
from kairos_boot.errors import KairosError
from kairos_boot.node.partitions import NodeDisk
from kairos_boot.system.udev import Partition


class PodWired(actions.Wired):
    """An action on a node whose partitions stand in a file."""

    def disk(self) -> NodeDisk:
        """As the file says."""
        with open("/run/partitions.json", encoding="utf-8") as file:
            parts = {name: Partition(*fields) for name, fields in json.load(file).items()}
        return NodeDisk("/dev/vda", parts["state"], parts["recovery"], parts["oem"], parts["persistent"])


actions.Wired = PodWired  # type: ignore[misc]
try:
    sys.exit(upgrade.run(sys.argv[2:]))
except KairosError as error:
    sys.stderr.write(f"{error}\n")
    sys.exit(3)
