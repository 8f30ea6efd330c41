#!/usr/bin/python3 -I
"""Write the JSON Schema of a cloud-config as a file of this version, in the form that SchemaStore takes, and the entry for its catalog.

    packaging/schema/write.py [DIRECTORY]

The files lie beside this one, so that whoever keeps configurations in git can point at one that does not change (docs/configurations-in-git.md).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from kairos_boot import __version__  # noqa: E402
from kairos_boot.cloudconfig.schema import json_schema  # noqa: E402

NAME = "kairos-boot"
STORE = "https://www.schemastore.org"
DESCRIPTION = "Cloud-config of an immutable Linux node: what is done at each stage of its boot, how it is installed, upgraded and reset"
FILES = ["*.kairos.yaml", "*.kairos.yml", "**/system/oem/*.yaml", "**/oem/[0-9]*_*.yaml", "**/usr/local/cloud-config/*.yaml"]


def version() -> str:
    """Major and minor: a form of the documents stays the same within them."""
    return ".".join(__version__.split(".")[:2])


def files() -> dict[str, str]:
    """Name and content of what is written."""
    name = f"{NAME}-{version()}.json"
    schema = {**json_schema(), "$id": f"{STORE}/{name}", "title": f"cloud-config of {NAME} {version()}", "description": DESCRIPTION}
    first = ("$schema", "$id", "title", "description")
    ordered = {**{key: schema[key] for key in first}, **{key: value for key, value in schema.items() if key not in first}}
    entry = {"name": "Kairos cloud-config", "description": DESCRIPTION, "fileMatch": FILES, "url": f"{STORE}/{NAME}.json", "versions": {version(): f"{STORE}/{name}"}}
    return {name: _text(ordered), "catalog-entry.json": _text(entry)}


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, text in files().items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    main()
