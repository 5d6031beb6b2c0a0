"""``python -m utilities.sandbox serve`` and ``register FORMS --output FILE``."""

import argparse
import json
import logging
import os
import signal
import ssl
import sys
import threading
import time
from pathlib import Path

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

from utilities.sandbox import notify, pki
from utilities.sandbox.app import create_app, make_sandbox, register_forms
from utilities.sandbox.context import ROOT, Config, Sandbox

log = logging.getLogger("sandbox")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    environ = os.environ
    parser = argparse.ArgumentParser(prog="python -m utilities.sandbox", description=__doc__)
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="answer as the utilities until stopped")
    serve.add_argument("--address", default=environ.get("SANDBOX_ADDRESS", "127.0.0.1"))
    register = commands.add_parser("register", help="turn registration forms into welcome packages")
    register.add_argument("forms", type=Path)
    register.add_argument("--output", type=Path, required=True)
    for command, run in ((serve, _serve), (register, _register)):
        command.add_argument(
            "--state", type=Path, default=Path(environ.get("SANDBOX_STATE") or ROOT / "var" / "sandbox")
        )
        command.add_argument("--port", type=int, default=int(environ.get("SANDBOX_PORT") or 8001))
        command.add_argument("--tls-port", type=int, default=int(environ.get("SANDBOX_TLS_PORT") or 8002))
        command.add_argument("--clock-offset", type=float, default=0.0, help="seconds that our clock is fast")
        command.add_argument("--base-url", default="", help="where --port is reached, if not directly")
        command.set_defaults(run=run)
    return parser


def _config(options: argparse.Namespace) -> Config:
    return Config(
        state_path=str(options.state / "sandbox.sqlite3"),
        base_url=options.base_url or f"http://localhost:{options.port}",
        tls_base_url=f"https://localhost:{options.tls_port}",
        pki_dir=options.state / "pki",
        clock=lambda: time.time() + options.clock_offset,
    )


def _register(options: argparse.Namespace) -> int:
    """Write welcome packages, readable by this user only."""
    try:
        forms = json.loads(options.forms.read_text())
        packages = register_forms(make_sandbox(_config(options)), forms)
        _name_authority(packages, options.state / "pki")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        print(f"No registration was made: {error}", file=sys.stderr)
        return 1
    options.output.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(options.output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(packages, file, indent=2)
    options.output.chmod(0o600)
    print(f"{len(packages)} welcome packages are in {options.output}.")
    return 0


def _name_authority(packages: list[dict[str, str]], folder: Path) -> None:
    """Outside the environment "sandbox" every address is https, at the utility's real name: our authority vouches."""
    for package in packages:
        if package["environment"] != "sandbox":
            pki.authority(folder)
            package["ca_bundle_path"] = str((folder / "ca.pem").resolve())


def _serve(options: argparse.Namespace) -> int:
    app = create_app(_config(options))
    sandbox: Sandbox = app.extensions["sandbox"]
    servers = [
        wsgi.Server((options.address, options.port), app, numthreads=8),
        wsgi.Server((options.address, options.tls_port), app, numthreads=8),
    ]
    servers[1].ssl_adapter = _tls(sandbox)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    for server in servers:
        server.prepare()
    threads = [threading.Thread(target=server.serve, daemon=True) for server in servers]
    threads.append(notify.start(sandbox, stopping))
    for thread in threads[:2]:
        thread.start()
    log.info("The sandbox answers at %s/_sandbox/ and %s", sandbox.config.base_url, sandbox.config.tls_base_url)
    stopping.wait()
    for server in servers:
        server.stop()
    for thread in threads:
        thread.join(5)
    sandbox.store.close()
    return 0


def _tls(sandbox: Sandbox) -> BuiltinSSLAdapter:
    """TLS that asks for a client certificate and takes no offence at none: the platform's app decides."""
    folder = sandbox.config.pki_dir
    certificate, key = pki.server(folder, sorted(sandbox.hosts))
    adapter = BuiltinSSLAdapter(str(certificate), str(key))
    adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
    adapter.context.load_verify_locations(str(folder / "ca.pem"))
    adapter.context.verify_mode = ssl.CERT_OPTIONAL
    return adapter


if __name__ == "__main__":
    sys.exit(main())
