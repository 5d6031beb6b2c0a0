"""Mail while developing: seen where the portal runs, and kept as files."""

from collections.abc import Sequence

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.console import EmailBackend as ConsoleBackend
from django.core.mail.backends.filebased import EmailBackend as FileBackend


class VisibleBackend(BaseEmailBackend):
    """Prints every message on standard output and writes it to a file under EMAIL_FILE_PATH. Sends nothing.

    So a person trying the portal out can read the code that was sent to an invented address.
    """

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Print the plain text of the messages and file them whole; returns how many."""
        ConsoleBackend().send_messages([plain(message) for message in email_messages])
        return FileBackend().send_messages(email_messages) or 0


def plain(message: EmailMessage) -> EmailMessage:
    """The message without its HTML."""
    return EmailMessage(message.subject, message.body, message.from_email, message.to)
