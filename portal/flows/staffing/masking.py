"""What staff see of texts that may hold an account number, an address or a secret."""

import re

from portal.logs import redact


def masked(text: str) -> str:
    """For a staff page: no query string, no token, and of a long number only its last three digits."""
    return re.sub(r"\d{3,}(?=\d{3})", "•••", redact(text))


def masked_email(address: str) -> str:
    """An e-mail address of which the first letter and the host can be told: "a•••@example.com"."""
    name, _, host = address.rpartition("@")
    return f"{name[:1]}•••@{host}"
