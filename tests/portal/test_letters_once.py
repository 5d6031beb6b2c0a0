"""A process that is killed while the mail server listens: its letter is sent by another, and reaches the server once."""

import os
import signal
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.utils import timezone

from portal.flows import mailing
from portal.models import Letter
from tests.portal.people import person
from tests.portal.test_letters import post

ROOT = Path(__file__).resolve().parents[2]
SENDER = "import django; django.setup(); from portal.flows.mailing import send_letters; send_letters()"


class Server(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it has taken, and, while `is_slow`, answers nothing once a message has begun."""

    allow_reuse_address = daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Session)
        self.taken, self.is_slow, self.begun = [], False, threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.strip().upper()[:4]
            if word == b"DATA":
                self.server.begun.set()
                if self.server.is_slow:
                    self.rfile.read()  # until the client is gone
                    return
                self.wfile.write(b"354 go on\r\n")
                self.server.taken.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            if word == b"QUIT":
                return


@pytest.fixture
def server():
    with Server() as found:
        yield found
        found.shutdown()


def start(server):
    place = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    mail = {"EMAIL_URL": f"smtp://127.0.0.1:{server.server_address[1]}", "DATABASE_URL": place}
    return subprocess.Popen([sys.executable, "-c", SENDER], cwd=ROOT, env=os.environ | mail)


@pytest.mark.django_db(transaction=True)
def test_a_process_killed_in_the_middle_of_a_letter_loses_and_doubles_nothing(server):
    post(person())
    server.is_slow = True
    killed = start(server)
    assert server.begun.wait(60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert server.taken == []
    assert Letter.objects.get().state == "waiting"
    server.is_slow = False
    assert start(server).wait(60) == 0
    assert server.taken == []  # the claim of the one that died still holds
    Letter.objects.update(not_before=timezone.now())
    senders = [start(server) for _ in range(2)]
    assert [each.wait(60) for each in senders] == [0, 0]
    assert len(server.taken) == 1
    assert Letter.objects.get().state == "sent"
    assert mailing.send_due(timezone.now() + mailing.CLAIM_LASTS) == 0


@pytest.mark.django_db(transaction=True)
def test_an_address_that_the_server_refuses_for_good_stops_no_other_letter(server, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address
    post(person("broken\n@example.com"), "1")
    post(person("ann@example.com"), "2")
    assert mailing.send_due(timezone.now()) == 1
    assert sorted(Letter.objects.values_list("state", flat=True)) == ["failed", "sent"]
