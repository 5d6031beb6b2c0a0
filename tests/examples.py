"""How many made-up cases a property is tried with."""

import os

DEEP = 10


def cases(usually: int) -> int:
    """So many in every run of the tests; ten times as many where the environment says DEEP=1."""
    return usually * (DEEP if os.environ.get("DEEP") else 1)
