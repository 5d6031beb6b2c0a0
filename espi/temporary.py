"""Files that hold personal data for a moment: nobody else can open them, and they have no name to be found by."""

import tempfile
from pathlib import Path
from typing import BinaryIO, cast

from django.conf import settings


def file() -> BinaryIO:
    """A new file for reading and writing; it is gone when it is closed, and with the process, however that ends.

    It lies in PRIVATE_DIR; where documents are read without Django, in the system's directory for such files.
    """
    if not settings.configured:
        return cast(BinaryIO, tempfile.TemporaryFile())
    directory = Path(settings.PRIVATE_DIR)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cast(BinaryIO, tempfile.TemporaryFile(dir=directory))
