#!/usr/bin/env python
"""Django's command line.

On a developer's machine, where no SECRET_KEY is set, it uses the database, broker and secrets of this copy's `var/`
(those of a running `make`, or servers of its own for as long as the command takes).
"""

import os
import sys
from importlib.util import find_spec

from django.core.management import execute_from_command_line


def main() -> int:
    """Run one command; its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if "SECRET_KEY" not in os.environ and find_spec("honcho"):
        from portal.local.__main__ import main as local

        return local(["manage", *sys.argv[1:]])
    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
