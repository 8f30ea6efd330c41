#!/usr/bin/python3
"""Put the script reset.sh into reset-plan.yaml, where the controller reads it; with --check only compare."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
PLAN = HERE / "reset-plan.yaml"
BEGIN, END = "  reset.sh: |\n", "---\n"


def plan() -> str:
    """The text of the plan with the script as it is now."""
    before, _, rest = PLAN.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    script = "".join(f"    {line}" if line.strip() else line for line in (HERE / "reset.sh").read_text().splitlines(keepends=True))
    return before + BEGIN + script + END + after


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(plan() != PLAN.read_text())
    PLAN.write_text(plan())
