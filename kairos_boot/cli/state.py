"""kairos-boot state [--json] | state get QUERY

Prints what this node is: the boot it is in, its partitions, its system and its version. Needs no root.

  state             everything, as YAML
  state get QUERY   what is at a path (boot, persistent.mounted, kairos.version), without a newline; <nil> where there is nothing

Any other word is passed over, as in Kairos: `state boot` prints everything, `state get boot` one value.

      --json      print it for programs
      --root DIR  read the tree below DIR; nothing of it is executed

Exit code: 0, also where there is nothing at the path, 2 wrong usage, 3 no such root, or the query cannot be answered.
"""

from __future__ import annotations

import sys

from kairos_boot.cli import wiring
from kairos_boot.cli.arguments import UsageError, parse
from kairos_boot.node import query as queries
from kairos_boot.node.state import document
from kairos_boot.system.host import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from kairos_boot.system.facts import Values
    from kairos_boot.system.udev import Partition

FLAGS = {"json": False, "root": True}


def run(words: list[str]) -> int:
    """Print the state or a part of it; further words are passed over, as scripts give them."""
    given = parse(words, FLAGS)
    host = Host(wiring.root_of(given))
    state = state_of(host)
    if given.words[:1] in (["get"], ["g"]):
        if len(given.words) < 2:
            raise UsageError("get needs a query")
        _get(state, given.words[1], as_json="json" in given)
    elif given.words[:1] in (["apply"], ["a"]):
        return 0  # Kairos' verb does nothing, and scripts call it
    elif "json" in given:
        import json

        sys.stdout.write(json.dumps(plain(state), indent=1, ensure_ascii=False) + "\n")
    else:
        from kairos_boot.node.settings import from_data
        from kairos_boot.node.yamltext import dump

        sys.stdout.write(dump(from_data(plain(state))))
    return 0


def state_of(host: Host) -> Values:
    from kairos_boot.system import mounts

    def partitions() -> Sequence[Partition]:
        if not host.online:
            return ()
        from kairos_boot.system.udev import Udev

        try:
            return Udev().partitions()
        except (ImportError, OSError):  # no udev here, such as in a container
            return ()

    return document(host, partitions, mounts.mounted() if host.online else ())


def _get(state: Values, query: str, *, as_json: bool) -> None:
    parts = queries.path_of(query)
    if parts is None:
        found = queries.by_jq(query, plain(state), Host().processes)
    else:
        found = [plain(item) for item in queries.follow(state, parts, lambda item: item)]
    if as_json:
        import json

        sys.stdout.write(json.dumps(found[0] if found else None, ensure_ascii=False) + "\n")
        return
    from kairos_boot.template.gofmt import sprint_value

    sys.stdout.write("\n".join(sprint_value(item) for item in found or [None]))


def plain(value: Any) -> Any:
    """Without the lazy maps; whole numbers without a fraction."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
