"""Run the demonstration: `python -m demo --help`."""

from __future__ import annotations

import sys

from demo import command

if __name__ == "__main__":
    sys.exit(command.main(sys.argv[1:]))
