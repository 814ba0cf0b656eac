"""Show one cluster forming: `python -m demo --help`."""

from __future__ import annotations

import contextlib
import sys

from demo import interruption


def main() -> int:
    """Run the demonstration; returns its exit code, or 128 and the signal that ended it."""
    code = 1
    with interruption.Interruption() as interrupted:
        try:
            # Only now: Ctrl-C while all this is being imported is nothing special either.
            with interrupted.held():
                from demo import command
            interrupted.check()
            code = command.main(sys.argv[1:], interrupted)
        except KeyboardInterrupt:
            # The terminal may be what is gone.
            with contextlib.suppress(OSError):
                print("Interrupted; everything that was started is stopped.", file=sys.stderr)
        if interrupted.signum is not None:
            code = 128 + interrupted.signum
    return code


if __name__ == "__main__":
    sys.exit(main())
