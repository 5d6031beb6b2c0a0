"""The commands, each from its checks to its clean end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import IO, Any

from portal.local import Problem, keys, place, processes, servers, supervisor, var
from portal.local.place import ROOT, Place

SLOW = 90.0  # seconds until we say that the pages are late
AS_ROOT = "ignore:You're running the worker with superuser privileges"  # on a developer's own machine
CELERY = ["-W", AS_ROOT, "-m", "celery", "--quiet", "-A", "portal.celery:app"]


def run(words: list[str]) -> int:
    """Start everything, print where it is, and stay until told to stop or until a part of it ends. The exit code."""
    began = time.monotonic()
    here = place.from_environment()
    with var.exclusive(here.var), contextlib.ExitStack() as stack:
        clear_orphans(here)
        place.check_ports(here)
        secrets = keys.load(here.var)
        print(f"Starting. Data, logs and secrets of this copy are in {here.var}", flush=True)
        stack.callback(var.remove_record, here.var)
        started = start_servers(here, stack)
        environment = here.environment() | secrets | addresses_of(started)
        note(here, started, [])
        step("prepare", environment)
        return supervise(here, started, environment, began)


def supervise(here: Place, started: list[servers.Server], environment: dict[str, str], began: float) -> int:
    """Run the programs until they are to end; then stop them. The exit code."""
    watched = {server.name: server.process for server in started if server.process}
    group = supervisor.Supervisor(programs(here, environment), watched)
    group.start()
    over = threading.Event()
    try:
        note(here, started, group.programs)
        threading.Thread(target=greet, args=(here, began, over), daemon=True).start()
        ended = group.run()
    finally:
        over.set()
        print("Stopping ...", flush=True)
        group.stop()
    if ended:
        print(f"\n{ended}, so everything was stopped. Its last lines are above, or in {here.var}.\n", file=sys.stderr)
    return 1 if ended else 0


def programs(here: Place, environment: dict[str, str]) -> list[supervisor.Program]:
    """The processes of the product. The web's waits for the broker are short: a customer waits behind them."""
    binds = [word for address in place.interfaces(here.host) for word in ("--bind", bind(address, here.port))]
    debug = ["--reload"] if environment.get("DEBUG", "").lower() in ("1", "true", "yes", "on") else []
    ports = ["--port", str(here.sandbox_port), "--tls-port", str(here.sandbox_tls_port)]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = [*CELERY, "worker", "--pool", "prefork", *quiet, "--loglevel", "INFO"]
    words = {
        "web": [
            "-m",
            "gunicorn",
            "portal.wsgi:application",
            "--config",
            "python:portal.gunicorn_conf",
            "--no-control-socket",
            "--workers",
            "2",
            *binds,
            *debug,
        ],
        "sandbox": ["-m", "utilities.sandbox", "serve", *ports],
        # Two, so that a large file never keeps a person waiting.
        "worker": [*worker, "-n", "worker@%h", "-c", "1", "--queues", "interactive,housekeeping"],
        "downloads": [*worker, "-n", "downloads@%h", "-c", "2", "--queues", "downloads,interactive"],
        "beat": [*CELERY, "beat", "--pidfile=", "--loglevel", "INFO"],
    }
    own = {"web": {"BROKER_SOCKET_TIMEOUT": "0.5"}}
    return [
        supervisor.Program(name, [sys.executable, *each], environment | own.get(name, {}))
        for name, each in words.items()
    ]


def bind(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def greet(here: Place, began: float, over: threading.Event) -> None:
    """Say once where everything is, as soon as the pages really answer. Runs beside the output of the programs."""
    warned, pause = False, 0.1
    for url in (f"http://localhost:{here.port}/", f"http://localhost:{here.sandbox_port}/_sandbox/"):
        while not answers(url, here):
            if over.wait(pause):
                return
            pause = min(2 * pause, 5)
            if time.monotonic() - began > SLOW and not warned:
                warned = True
                print(f"{url} does not answer yet; the lines above may say why.", flush=True)
    if not over.is_set():
        print(greeting(here, time.monotonic() - began), flush=True)


def answers(url: str, here: Place) -> bool:
    """Whether the page is served, without an error, at the address people will use."""
    host = place.interfaces(here.host)[0]
    address = url.replace("localhost", f"[{host}]" if ":" in host else host) if here.host != "localhost" else url
    request = urllib.request.Request(address, headers={"Host": url.split("/")[2]})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def greeting(here: Place, seconds: float) -> str:
    """The addresses and the demo logins, as they stand on the screen."""
    lines = ["", f"Ready after {seconds:.1f} s. Stop with Ctrl-C.", ""]
    lines += [f"  {name + ':':<20}{address}" for name, address in here.addresses.items()]
    logins = demo_logins(here)
    lines += ["", "  To sign in:"] if logins else []
    for login in logins:
        lines.append(f"    {login['who']:<20}{login['email']:<24}{login['password']}")
        if login.get("totp_secret"):
            lines.append(f"    {'':<20}key for an authenticator app: {login['totp_secret']}")
    return "\n".join([*lines, ""])


def demo_logins(here: Place) -> list[dict[str, Any]]:
    """What seed_demo wrote: a list of {who, email, password, totp_secret where a second step is needed}; [] where it wrote none."""
    try:
        return list(json.loads((here.var / "demo-logins.json").read_text()))
    except (FileNotFoundError, ValueError):
        return []


def start_servers(here: Place, stack: contextlib.ExitStack) -> list[servers.Server]:
    """Start the servers nobody gave us. On the way out Valkey stops first, then PostgreSQL."""
    started: list[servers.Server] = []
    kinds: list[tuple[str, type[servers.Server]]] = [("DATABASE_URL", servers.Postgres), ("REDIS_URL", servers.Valkey)]
    for name, kind in kinds:
        if not servers.given(name):
            server = kind(here.var / kind.name.lower().replace("postgresql", "postgres"))
            stack.callback(server.stop)
            server.start()
            started.append(server)
    return started


def addresses_of(started: list[servers.Server]) -> dict[str, str]:
    return {"DATABASE_URL" if isinstance(server, servers.Postgres) else "REDIS_URL": server.url for server in started}


def clear_orphans(here: Place) -> None:
    stopped = var.stop_orphans(here.var)
    if stopped:
        print(f"Stopped what an earlier start had left running: {', '.join(stopped)}", file=sys.stderr, flush=True)


def note(here: Place, started: list[servers.Server], running: list[supervisor.Program]) -> None:
    """Write down who we are and whom we started. Addresses that were given to us may hold a password: they stay out."""
    everyone = [(program.name, program.process) for program in running]
    everyone += [(server.name, server.process) for server in reversed(started)]
    record = {
        "pid": os.getpid(),
        "addresses": here.addresses,
        "where": here.where,
        "servers": addresses_of(started),
        "children": [var.noted(name, process.pid) for name, process in everyone if process],
    }
    var.write_record(here.var, record)


def step(name: str, environment: dict[str, str], output: IO[str] | None = None) -> None:
    """Run one of our own commands to its end. Raises Problem when it fails; its own lines say why."""
    words = [sys.executable, "-m", "portal.local", name]
    done = subprocess.run(  # noqa: S603
        words,
        cwd=ROOT,
        env=environment,
        check=False,
        stdout=output,
        start_new_session=True,
        preexec_fn=processes.ending_with_parent(signal.SIGTERM),
    )
    if done.returncode != 0:
        raise Problem("The set-up of the database failed; the lines above say why. Nothing is running now.")


def prepare(words: list[str]) -> int:
    """The set-up steps, in a process of their own that ends before the programs start."""
    from portal.local.prepare import prepare as prepare_all

    prepare_all(place.from_environment().var)
    return 0


def stop(words: list[str]) -> int:
    """Stop the launcher that holds var/, and wait for its end."""
    here = place.from_environment()
    pid = var.read_record(here.var).get("pid", 0)
    if not pid or "portal.local" not in processes.command_line(pid):
        print("Nothing is running.")
        return 0
    os.kill(pid, signal.SIGTERM)
    if not processes.wait_until(lambda: not processes.identity(pid), 30):
        raise Problem(f"Process {pid} has not stopped after 30 seconds.")
    print("Stopped.")
    return 0


def manage(words: list[str]) -> int:
    """manage.py with this copy's database, broker, secrets and addresses; starts the servers for its duration if need be.

    Where `make` never ran, the database is set up first. Only the command itself writes to standard output.
    """
    here = place.from_environment()
    here.var.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as stack:
        environment = here.environment() | keys.load(here.var) | running_servers(here, stack)
        if not demo_logins(here) and not servers.given("DATABASE_URL"):
            step("prepare", environment, sys.stderr)
        command = [sys.executable, str(ROOT / "manage.py"), *words]
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


def running_servers(here: Place, stack: contextlib.ExitStack) -> dict[str, str]:
    """The addresses of the servers of a launcher that runs now, and its own; or of our own servers until `stack` closes.

    A running copy may have been started on other ports than this command was told of; its addresses are the right ones.
    """
    try:
        stack.enter_context(var.exclusive(here.var))
    except Problem:
        record = var.read_record(here.var)
        if "servers" not in record:
            raise Problem("It is just starting. Try again when its addresses stand on the screen.") from None
        return record["servers"] | {k: v for k, v in record.get("where", {}).items() if not os.environ.get(k)}
    clear_orphans(here)
    return addresses_of(start_servers(here, stack))


COMMANDS: dict[str, Callable[[list[str]], int]] = {"run": run, "stop": stop, "manage": manage, "prepare": prepare}
