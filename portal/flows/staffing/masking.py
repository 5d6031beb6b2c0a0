"""What staff see of texts that may hold an account number, an address or a secret."""

import re

from portal.logs import redact


def masked(text: str) -> str:
    """For a staff page: no query string, no token, and of a long number only its last three digits."""
    return re.sub(r"\d{3,}(?=\d{3})", "•••", redact(text))
