"""F51, F52, F57: large files, a full disk, a mail server that is away."""

import shutil
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.chaos import invariants
from tests.chaos.experiments import experiment
from tests.chaos.notifications import batch_list, notify_url, post
from tests.chaos.travel import travel
from tests.chaos.work import has_his_data, ready
from tests.chaos.world import World, check, until
from tests.journeys.customers import CECONY_V1, ESSEX

# a disk of which all but 16 KiB is taken
MOUNTED = 'mount -t tmpfs -o size=1m tmpfs "$1" && head -c 1032192 /dev/zero > "$1/full" && shift && exec "$@"'


@experiment("F51")
def large_files(world: World) -> dict[str, Any]:
    """Ten files of 25 MB and two of 200 MB at once: no process grows beyond its limit, and a new customer is served at once."""
    since = time.time()
    world.wire.spoil("utilityapi.com/DataCustodian/espi/1_1/resource/Batch/Subscription", "repeat", times=4, copies=42)
    browser = world.signed_in()
    with world.frozen_workers():
        held = [world.connect(ESSEX, browser=browser) for _ in range(2)]
        held += [world.connect(CECONY_V1, browser=browser) for _ in range(10)]
    took = world.quiet(420)
    sizes = sorted(size for each in held for size in each.subscription.documents.values_list("size", flat=True))
    large, medium = [s for s in sizes if s > 180_000_000], [s for s in sizes if 20_000_000 < s < 180_000_000]
    check(len(large) == 2 and len(medium) == 10, f"files of {[size // 10**6 for size in sizes]} MB")
    held.append(world.connect(ESSEX, browser=browser))
    found = {"largest_mb": sizes[-1] // 10**6, "took": round(took, 1), "afterwards": has_his_data(held[-1])}
    world.quiet(60)
    return found | invariants.hold(world, held, since)


@experiment("F52")
def disk_is_full(world: World) -> dict[str, Any]:
    """While there is no room for a download its job waits with all its attempts, and the site works on."""
    since = time.time()
    with on_small_disks(world) as small:
        browser = world.signed_in()
        held = world.connect(ESSEX, browser=browser)
        job = held.fetch_jobs.get(kind="usage")
        words = until(lambda: room(job), 60, f"the job meets the full disk: {small.text()[-300:]}")
        browser.get(world.url("/dashboard"))
        pages = {browser.response.status_code, requests.get(world.url("/"), timeout=10).status_code}
        body = batch_list(f"http://nobody.example/{time.time_ns()}")
        answer, _ = post(notify_url(world, "essex"), body)
        time.sleep(5)
        job.refresh_from_db()
        check(job.state in ("due", "running") and job.attempts <= 1, f"it is {job.state} after {job.attempts} attempts")
        check(pages == {200} and answer == 200, f"pages were answered {pages}, a notification {answer}")
    world.quiet(120)
    return {"says": words, "pages": sorted(pages), "notification": answer} | invariants.hold(world, [held], since)


@contextmanager
def on_small_disks(world: World) -> Iterator[Any]:
    """The site and one worker alone, each with a disk for files on their way that takes hardly anything; the worker."""
    from django.conf import settings

    unshare = shutil.which("unshare")
    check(unshare, "a small disk cannot be made here: there is no unshare")
    directory = Path(settings.PRIVATE_DIR)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    within = [str(unshare), "--user", "--map-root-user", "--mount", "/bin/sh", "-c", MOUNTED, "sh", str(directory)]
    for program in (*world.workers, world.web):
        program.stop()
    small, words = world.program("small", like="downloads"), world.web.words
    small.words, world.web.words = [*within, *small.words], [*within, *words]
    try:
        small.start()
        world.web.start()
        until(lambda: world.answers(world.url("/")), 60, "the site answers")
        yield small
    finally:
        world.web.words = words
        for program in (small, world.web):
            program.stop()
        for program in (*world.workers, world.web):
            program.start()
        until(lambda: world.answers(world.url("/")), 60, "the site answers")


def room(job: Any) -> str:
    """What the job says once it has met the full disk."""
    job.refresh_from_db()
    return str(job.reason) if "no room" in job.reason else ""


@experiment("F57", kind="resources")
def mail_server_is_away(world: World) -> dict[str, Any]:
    """While the mail server is away for an hour receipts and alerts wait; when it is back each is mailed, once."""
    from portal.flows import alerts
    from portal.models import Letter, StaffAlert

    held = ready(world, ESSEX)
    subject = f"An experiment of {time.time_ns()}"
    alerts.begin(subject, subject, "Nothing is wrong.", now=datetime.now(UTC))
    alert, receipt = StaffAlert.objects.get(key=subject), Letter.objects.get(authorization=held, kind="receipt")
    wake_mailers(3)
    until(lambda: fresh(receipt).attempts, 60, "somebody tries to send the receipt")
    time.sleep(4)
    check(fresh(alert).mailed_at is None, "the alert counts as mailed although nobody took it")
    check(fresh(receipt).state == "waiting", f"the receipt is {receipt.state}: {receipt.reason}")
    says = receipt.reason
    travel(world, hours=1)
    with mail_server(world.mail_port) as received:
        wake_mailers(6)
        until(lambda: fresh(receipt).state == "sent" and fresh(alert).mailed_at, 90, "both are mailed")
        wake_mailers(3)
        time.sleep(4)
    copies = {"alert": mailed(received, subject), "receipt": mailed(received, str(receipt.public_id))}
    check(set(copies.values()) == {1}, f"they were mailed so often: {copies}")
    return {"mailed": copies, "says": says} | invariants.nobody_is_asked_to_reconnect(world, [held])


def wake_mailers(times: int) -> None:
    from portal.celery import app

    for _ in range(times):
        app.send_task("portal.tasks.watch")
        app.send_task("portal.send_letters")


def fresh(row: Any) -> Any:
    """The same row as it is now."""
    row.refresh_from_db()
    return row


def mailed(received: list[str], words: str) -> int:
    """How many mails have these words in their head."""
    return sum(1 for each in received if words in each.partition("\r\n\r\n")[0])


class Mail(socketserver.StreamRequestHandler):
    """Takes every message, as a mail server does."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.strip().upper()[:4]
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b"".join(iter(lambda: self.rfile.readline().removeprefix(b".."), b".\r\n"))
                self.server.received.append(text.decode("utf-8", "replace").replace("\r\n ", " "))  # type: ignore[attr-defined]
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")
            if word == b"QUIT":
                return


@contextmanager
def mail_server(port: int) -> Iterator[list[str]]:
    """A mail server on this machine; what it has received."""
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), Mail) as server:
        server.daemon_threads = True
        server.received = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.received  # type: ignore[attr-defined]
        finally:
            server.shutdown()
