"""Everything `make` needs on a developer's machine: embedded servers, their supervisor, the first-time set-up.

Nothing of the site imports this package; a production install leaves its dependencies (group `local`) out.
"""


class Problem(Exception):
    """Something the person at the keyboard can act on. Its text is the whole message; no traceback is shown."""
