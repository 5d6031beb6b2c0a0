"""A fresh process for one measurement: `python -m tests.bench.child MODULE:FUNCTION '{"argument": …}'`.

The function returns a Sample, which is printed as JSON. Imports, and Django where it is needed, come before the clock.
"""

import importlib
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from tests.bench.measure import Sample


def call(name: str, arguments: dict[str, Any]) -> Sample:
    """What the function measured. Where the environment names settings, Django is set up before."""
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        import django

        django.setup()
    module, _, function = name.partition(":")
    found: Sample = getattr(importlib.import_module(module), function)(**arguments)
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(call(sys.argv[1], json.loads(sys.argv[2])))))
