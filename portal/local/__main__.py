"""The commands of a developer's machine: run (what `make` does), stop, manage, prepare.

python -m portal.local run                     everything, until Ctrl-C
python -m portal.local stop                    stop what `run` started
python -m portal.local manage COMMAND ...      manage.py on the same database, whether `run` runs or not
"""

import argparse
import os
import signal
import sys
from types import FrameType

from portal.local import Problem


def main(arguments: list[str]) -> int:
    """Run one command; the exit code. A Problem is shown as its words alone."""
    parser = argparse.ArgumentParser(prog="python -m portal.local", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["run", "stop", "manage", "prepare"])
    parser.add_argument("words", nargs=argparse.REMAINDER, help="for manage: the words after manage.py")
    options = parser.parse_args(arguments)
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, interrupted)
    from portal.local import commands

    try:
        return commands.COMMANDS[options.command](options.words)
    except Problem as problem:
        print(f"\n{problem}\n", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def interrupted(signum: int, frame: FrameType | None) -> None:
    """Either signal leaves through the same door, past everything that must be stopped on the way out."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    sys.exit(main(sys.argv[1:]))
