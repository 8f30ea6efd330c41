"""kairos-boot schema [--format json]

Prints the JSON Schema of a cloud-config. Kept in a file, it makes an editor with the YAML language server complete and
check a document that has a line such as

  # yaml-language-server: $schema=cloud-config.schema.json

      --format json  the one format there is

Exit code: 0, or 2 for wrong usage.
"""

from __future__ import annotations

import sys

from kairos_boot.cli.arguments import UsageError, parse

FLAGS = {"format": True}


def run(words: list[str]) -> int:
    import json

    from kairos_boot.cloudconfig.schema import json_schema

    given = parse(words, FLAGS)
    if given.words or given.value("format", "json") != "json":
        raise UsageError("the one format is json")
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
    return 0
