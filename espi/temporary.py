"""Files that hold personal data for a moment: nobody else can open them, and they have no name to be found by."""

import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings


def file() -> BinaryIO:
    """A new file for reading and writing; it is gone when it is closed, and with the process, however that ends."""
    directory = Path(settings.PRIVATE_DIR)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cast(BinaryIO, tempfile.TemporaryFile(dir=directory))
