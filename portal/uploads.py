"""Where a file lies while it is being uploaded."""

from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from espi import temporary


class PrivateUploadHandler(FileUploadHandler):
    """In a file without a name: Django's own would stay in a common directory if the server were killed."""

    file: IO[bytes] | None = None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """A file begins."""
        super().new_file(*args, **kwargs)
        self.file = temporary.file()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """More of it."""
        assert self.file is not None
        self.file.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile | None:
        """All of it."""
        if self.file is None:
            return None
        self.file.seek(0)
        return UploadedFile(
            self.file, self.file_name, self.content_type, file_size, self.charset, self.content_type_extra
        )

    def upload_interrupted(self) -> None:
        """The rest will not come."""
        if self.file is not None:
            self.file.close()
