"""The program."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the verb of the command line and return the exit code."""
    from kairos_boot.cli.main import program

    return program(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
